import pytest

from nixlib.builders.build_prefix import command, patched_binary, patched_shebang, patched_text

OLD, NEW, LONG = "/placeholder", "/new", "/" + "n" * 200


@pytest.mark.parametrize(
    ("data", "patched"),
    [
        (b"a\0/placeholder/lib\0b", b"a\0/new/lib" + bytes(9) + b"b"),
        (b"/placeholder:/placeholder\0", b"/new:/new" + bytes(17)),
        (b"/placeholder", b"/new" + bytes(8)),
        (b"nothing", b"nothing"),
        (b"", b""),
    ],
)
def test_strings_in_binaries_keep_their_lengths(data, patched):
    assert patched_binary(data, OLD.encode(), NEW.encode()) == patched
    assert len(patched) == len(data)


@pytest.mark.parametrize(
    ("line", "new", "patched"),
    [
        (f"#!{OLD}/bin/python -E", NEW, "#!/new/bin/python -E"),
        (
            f"#!{OLD}/bin/python3.11 -E",
            LONG,
            f"#!/bin/sh\n'''exec' \"{LONG}/bin/python3.11\" -E \"$0\" \"$@\" #'''",
        ),
        (f"#!{OLD}/bin/perl -w", LONG, "#!/usr/bin/env perl -w"),
        (f"#! {OLD}/bin/python3.x", LONG, "#!/usr/bin/env python3.x"),
        ("#!/usr/bin/env python", "/a b", "#!/usr/bin/env python"),
        (f"#!{OLD}/bin/perl", "/a b", "#!/usr/bin/env perl"),
        (
            f"#!{OLD}/bin/python",
            "/a b",
            "#!/bin/sh\n'''exec' \"/a b/bin/python\" \"$0\" \"$@\" #'''",
        ),
        (f"#!python {'x' * 200}", NEW, f"#!python {'x' * 200}"),
    ],
)
def test_first_line_is_one_that_the_kernel_takes(line, new, patched):
    assert patched_shebang(line, OLD, new) == patched


def test_text_below_the_first_line_is_patched_too():
    data = f"#!{OLD}/bin/sh\n{OLD}{OLD}\r\n".encode()
    assert patched_text(data, OLD.encode(), NEW.encode()) == b"#!/new/bin/sh\n/new/new\r\n"


def test_command_calls_its_function():
    text = command("/p/bin/python3.11", "a.b", "C.main").decode()
    assert text.startswith("#!/p/bin/python3.11\n")
    assert "from a.b import C\n" in text
    assert "sys.exit(C.main())" in text
    compile(text, "x", "exec")
    compile(command(f"{LONG}/python", "a", "b"), "x", "exec")
