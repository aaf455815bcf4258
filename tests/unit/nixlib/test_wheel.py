"""Wheels: what is installed where, and everything that must be refused."""

import base64
import csv
import hashlib
import io
import json
import stat
import struct
import zipfile

import pytest

from nixlib.errors import WheelError
from nixlib.testing.wheels import Entry, make_archive, make_elf, make_wheel
from nixlib.tree import Regular, Symlink, walk
from nixlib.wheels import wheelfiles
from nixlib.wheels.wheel import read_wheel

NAME = "demo-1.0-py3-none-any.whl"
INFO = "demo-1.0.dist-info"


def contents(wheel) -> dict[str, bytes]:
    return {
        path: b"".join(node.read()) for path, node in walk(wheel.tree) if isinstance(node, Regular)
    }


def executables(wheel) -> set[str]:
    return {
        path for path, node in walk(wheel.tree) if isinstance(node, Regular) and node.executable
    }


def record_of(wheel) -> dict[str, tuple[str, str]]:
    text = contents(wheel)[f"site-packages/{INFO}/RECORD"].decode()
    return {path: (digest, size) for path, digest, size in csv.reader(text.splitlines())}


def test_every_scheme_goes_to_its_place():
    data = make_wheel(
        data={
            "purelib/pure.py": "1",
            "platlib/plat.py": "2",
            "scripts/run": "#!python\nprint()\n",
            "scripts/tool": "#!/bin/sh\n",
            "headers/demo.h": "3",
            "data/share/demo.txt": "4",
            "data/etc/deep/demo.cfg": "5",
        }
    )
    wheel = read_wheel(data, NAME)
    assert contents(wheel).keys() == {
        "nixenv.json",
        "bin/run",
        "bin/tool",
        "include/demo/demo.h",
        "data/share/demo.txt",
        "data/etc/deep/demo.cfg",
        "site-packages/demo.py",
        "site-packages/pure.py",
        "site-packages/plat.py",
        *(f"site-packages/{INFO}/{n}" for n in ("METADATA", "WHEEL", "RECORD", "INSTALLER")),
    }
    assert executables(wheel) == {"bin/run", "bin/tool"}
    assert wheel.facts.python_scripts == ("run",)
    assert wheel.warnings == ()


def test_record_is_rewritten_and_true():
    wheel = read_wheel(
        make_wheel(
            data={"scripts/run": "#!python\n", "scripts/tool": "#!/bin/sh\n", "data/share/x": "y"},
            entry_points="[console_scripts]\ndemo = demo:main\n",
        ),
        NAME,
    )
    files, record = contents(wheel), record_of(wheel)
    for path, (digest, size) in record.items():
        if digest:
            root = {"../../../bin": "bin", "../../../share": "data/share"}
            folder, _, name = path.rpartition("/")
            inside = f"{root[folder]}/{name}" if folder in root else f"site-packages/{path}"
            own = base64.urlsafe_b64encode(hashlib.sha256(files[inside]).digest()).rstrip(b"=")
            assert digest == f"sha256={own.decode()}"
            assert int(size) == len(files[inside])
    hashless = {path for path, (digest, _) in record.items() if not digest}
    assert hashless == {f"{INFO}/RECORD", "../../../bin/run", "../../../bin/demo"}
    assert "../../../share/x" in record
    assert files[f"site-packages/{INFO}/INSTALLER"] == b"nixenv\n"


def test_signatures_and_markers_of_other_installers_are_left_out():
    names = ("RECORD.jws", "RECORD.p7s", "REQUESTED", "INSTALLER")
    wheel = read_wheel(make_wheel(more=[Entry(f"{INFO}/{n}", b"x") for n in names[:2]]), NAME)
    assert not any(path.endswith((".jws", ".p7s")) for path in contents(wheel))
    assert wheel.warnings == ()
    wheel = read_wheel(make_wheel(files={f"{INFO}/{n}": "pip" for n in names[2:]}), NAME)
    assert f"site-packages/{INFO}/REQUESTED" not in contents(wheel)
    assert contents(wheel)[f"site-packages/{INFO}/INSTALLER"] == b"nixenv\n"


def test_entry_points_become_facts_and_replace_wrappers_of_old_tools():
    wheel = read_wheel(
        make_wheel(
            data={"scripts/demo": "#!python\nimport pkg_resources\n"},
            entry_points=(
                "[console_scripts]\ndemo = demo.cli:main [color]\nUpper = demo:a.b\n"
                "[gui_scripts]\nwindow=demo:gui\n[other.group]\nx = demo\n"
            ),
        ),
        NAME,
    )
    assert wheel.facts.console_scripts == {"demo": "demo.cli:main", "Upper": "demo:a.b"}
    assert wheel.facts.gui_scripts == {"window": "demo:gui"}
    assert wheel.facts.python_scripts == ()
    assert "bin/demo" not in contents(wheel)


@pytest.mark.parametrize(
    "line",
    [
        "../../evil = demo:main",
        "a/b = demo:main",
        ".. = demo:main",
        "bad = os:system('x')",
        "bad = demo",
        "bad = demo:main; import os",
    ],
)
def test_entry_point_that_is_no_command_is_left_out_and_named(line):
    wheel = read_wheel(make_wheel(entry_points=f"[console_scripts]\n{line}\ngood = demo:x\n"), NAME)
    assert wheel.facts.console_scripts == {"good": "demo:x"}
    assert len(wheel.warnings) == 1
    assert NAME in wheel.warnings[0]


def test_facts_lie_in_the_tree_as_canonical_json():
    wheel = read_wheel(make_wheel("Zope.Thing", "2.0"), "Zope.Thing-2.0-py3-none-any.whl")
    facts = json.loads(contents(wheel)["nixenv.json"])
    assert (facts["name"], facts["version"], facts["layout"]) == ("zope-thing", "2.0", 1)
    assert contents(wheel)["nixenv.json"] == wheel.facts.to_bytes()


def test_executable_bit_survives():
    wheel = read_wheel(
        make_wheel(
            files={"demo/tool": Entry("", b"\x7fELF", stat.S_IFREG | 0o755), "demo/x.py": ""}
        ),
        NAME,
    )
    assert executables(wheel) == {"site-packages/demo/tool"}


def test_tree_does_not_depend_on_the_order_of_members():
    files = {f"demo/m{n}.py": str(n) for n in range(5)}
    one = read_wheel(make_wheel(files=files), NAME)
    other = read_wheel(make_wheel(files=dict(reversed(files.items()))), NAME)
    assert contents(one) == contents(other)


def test_large_wheel_is_read_in_pieces_and_is_the_same(monkeypatch):
    big = bytes(range(256)) * 12_000
    elf = make_elf(run_path="$ORIGIN/../other/lib") + big
    data = make_wheel(files={"demo/big.bin": big, "demo/lib.so": elf, "demo/small.py": "x"})
    whole = read_wheel(data, NAME)
    monkeypatch.setattr(wheelfiles, "HELD", 1000)
    pieces = read_wheel(data, NAME)
    assert contents(pieces) == contents(whole)
    assert pieces.facts == whole.facts
    assert whole.facts.origin == ("site-packages/demo",)
    node = pieces.tree.entries["site-packages"].entries["demo"].entries["big.bin"]
    assert max(map(len, node.read())) <= 1 << 20


def test_link_inside_the_wheel_is_kept():
    link = Entry("", b"real.so", stat.S_IFLNK | 0o777)
    wheel = read_wheel(make_wheel(files={"demo/real.so": "x", "demo/link.so": link}), NAME)
    nodes = dict(walk(wheel.tree))
    assert nodes["site-packages/demo/link.so"] == Symlink("real.so")
    assert wheel.warnings == ()


BAD_NAMES = {
    "parent": "../evil.py",
    "parent inside": "demo/../../evil.py",
    "absolute": "/etc/evil",
    "backslash": "demo\\..\\evil.py",
    "current": "demo/./x.py",
    "empty part": "demo//x.py",
    "control": "demo/a\nb.py",
    "long": f"demo/{'x' * 300}.py",
}


@pytest.mark.parametrize("name", BAD_NAMES.values(), ids=BAD_NAMES)
def test_wheel_is_refused_when_a_name_is_no_path_inside_it(name):
    with pytest.raises(WheelError) as caught:
        read_wheel(make_wheel(more=[Entry(name, b"x")]), NAME)
    assert caught.value.wheel == NAME
    assert caught.value.member == name


@pytest.mark.parametrize(
    "target", ["/etc/passwd", "../../outside", "..", "missing", "", "sub/../../../x", "link"]
)
def test_wheel_is_refused_when_a_link_leads_out_of_it(target):
    link = Entry("demo/link", target.encode(), stat.S_IFLNK | 0o777)
    with pytest.raises(WheelError) as caught:
        read_wheel(make_wheel(files={"demo/x.py": ""}, more=[link]), NAME)
    assert caught.value.member == "demo/link"


def test_wheel_is_refused_when_a_link_stands_in_data():
    link = Entry("demo-1.0.data/scripts/x", b"y", stat.S_IFLNK | 0o777)
    with pytest.raises(WheelError):
        read_wheel(make_wheel(data={"scripts/y": ""}, more=[link]), NAME)


HOSTILE = {
    "duplicate": [Entry("demo.py", b"evil")],
    "file below a file": [Entry("demo.py/x", b"")],
    "second dist-info": [Entry("other-1.0.dist-info/METADATA", b"")],
    "dist-info in capitals": [Entry("demo-1.0.DIST-INFO/METADATA", b"")],
    "data of another": [Entry("other-1.0.data/scripts/x", b"")],
    "unknown scheme": [Entry("demo-1.0.data/lib/x", b"")],
    "no scheme": [Entry("demo-1.0.data/x", b"")],
    "script in a directory": [Entry("demo-1.0.data/scripts/a/b", b"")],
    "same place twice": [Entry("demo-1.0.data/purelib/demo.py", b"")],
    "device": [Entry("demo/null", b"", stat.S_IFCHR | 0o666)],
    "pipe": [Entry("demo/pipe", b"", stat.S_IFIFO | 0o666)],
}


@pytest.mark.parametrize("more", HOSTILE.values(), ids=HOSTILE)
def test_wheel_is_refused_when_its_layout_is_hostile(more):
    with pytest.raises(WheelError) as caught:
        read_wheel(make_wheel(more=more), NAME)
    assert caught.value.wheel == NAME


METADATA = {
    "other name": {"metadata": "Name: other\nVersion: 1.0\n"},
    "other version": {"metadata": "Name: demo\nVersion: 2.0\n"},
    "no name": {"metadata": "Version: 1.0\n"},
    "name that is a path": {"metadata": "Name: ../demo\nVersion: 1.0\n"},
    "newer format": {"wheel_version": "2.0"},
    "no format": {"wheel_version": "x"},
    "record is not csv": {"record": "a,b\n"},
    "record with a quote": {"record": '"a,b,c\n'},
}


@pytest.mark.parametrize("parts", METADATA.values(), ids=METADATA)
def test_wheel_is_refused_when_its_metadata_is_wrong(parts):
    with pytest.raises(WheelError):
        read_wheel(make_wheel(**parts), NAME)


@pytest.mark.parametrize(
    "filename",
    [
        "demo-1.0.whl",
        "demo.whl",
        "other-1.0-py3-none-any.whl",
        "demo-2.0-py3-none-any.whl",
        "demo-1.0-py3-none-any.zip",
    ],
)
def test_wheel_is_refused_when_its_file_name_disagrees(filename):
    with pytest.raises(WheelError):
        read_wheel(make_wheel(), filename)


def test_equal_versions_in_other_spellings_agree():
    assert read_wheel(make_wheel(), "demo-1.0.0-py3-none-any.whl").facts.version == "1.0"
    assert read_wheel(make_wheel(), "Demo-1.0-1build-py3-none-any.whl").facts.name == "demo"


def test_newer_minor_format_warns():
    wheel = read_wheel(make_wheel(wheel_version="1.9"), NAME)
    assert len(wheel.warnings) == 1


RECORDS = {
    "wrong hash": ("demo.py,sha256=AAAA,16\n", "demo.py"),
    "missing": ("", "demo.py"),
    "extra": (None, "ghost.py"),
    "weak hash": ("demo.py,md5=AAAA,16\n", "demo.py"),
    "no hash": ("demo.py,,\n", "demo.py"),
}


def disagreeing(row: str | None) -> bytes:
    honest = zipfile.ZipFile(io.BytesIO(make_wheel())).read(f"{INFO}/RECORD").decode()
    first, rest = honest.split("\n", 1)
    assert first.startswith("demo.py,")
    text = f"{honest}ghost.py,sha256=AAAA,1\n" if row is None else row + rest
    return make_wheel(record=text)


@pytest.mark.parametrize(("row", "member"), RECORDS.values(), ids=RECORDS)
def test_disagreement_with_record_warns_and_is_refused_when_strict(row, member):
    wheel = read_wheel(disagreeing(row), NAME)
    assert len(wheel.warnings) == 1
    assert NAME in wheel.warnings[0]
    assert member in wheel.warnings[0]
    assert not wheel.has_true_record
    with pytest.raises(WheelError) as caught:
        read_wheel(disagreeing(row), NAME, strict=True)
    assert caught.value.member == member


def test_many_disagreements_are_counted():
    wheel = read_wheel(make_wheel(files={f"m{n}.py": "" for n in range(30)}, record=""), NAME)
    assert len(wheel.warnings) == 6
    assert "27 more" in wheel.warnings[-1]  # 30 modules, METADATA, WHEEL


def patched(data: bytes, old: bytes, new: bytes) -> bytes:
    assert old in data
    return data.replace(old, new)


def test_archive_is_refused_when_a_name_has_a_nul():
    data = patched(make_wheel(files={"demo_py": "x"}), b"demo_py", b"dem\0_py")
    with pytest.raises(WheelError) as caught:
        read_wheel(data, NAME)
    assert caught.value.member == "dem\0_py"


def test_archive_is_refused_when_a_name_is_not_text():
    with pytest.raises(WheelError):
        read_wheel(patched(make_wheel(), b"demo.py", b"dem\xff.py"), NAME)


def test_archive_is_refused_when_it_is_cut_short():
    data = make_wheel()
    for size in (0, 1, 21, len(data) // 2, len(data) - 1):
        with pytest.raises(WheelError):
            read_wheel(data[:size], NAME)


def test_archive_is_refused_when_bytes_surround_it():
    for data in (b"x" + make_wheel(), make_wheel() + b"x"):
        with pytest.raises(WheelError):
            read_wheel(data, NAME)


def test_archive_is_refused_when_encrypted():
    data = bytearray(make_wheel())
    data[data.index(b"PK\1\2") + 8] |= 1
    with pytest.raises(WheelError) as caught:
        read_wheel(bytes(data), NAME)
    assert caught.value.member == "demo.py"


def test_archive_is_refused_when_the_method_is_unknown():
    data = bytearray(make_wheel())
    data[data.index(b"PK\1\2") + 10] = 14
    with pytest.raises(WheelError):
        read_wheel(bytes(data), NAME)


@pytest.mark.parametrize("declared", [1, 10_000], ids=["larger", "smaller"])
def test_archive_is_refused_when_a_member_is_not_as_large_as_declared(declared):
    data = bytearray(make_wheel(files={"demo.py": b"x" * 500}))
    struct.pack_into("<I", data, data.index(b"PK\1\2") + 24, declared)
    with pytest.raises(WheelError) as caught:
        read_wheel(bytes(data), NAME)
    assert caught.value.member == "demo.py"


def test_archive_is_refused_when_its_content_is_damaged():
    data = bytearray(make_wheel(files={"demo.py": Entry("", b"x" * 500, deflated=False)}))
    data[data.index(b"xxx") + 100] ^= 1
    with pytest.raises(WheelError) as caught:
        read_wheel(bytes(data), NAME)
    assert caught.value.member == "demo.py"


def test_archive_is_refused_when_members_overlap():
    data = bytearray(make_wheel(files={"aa.py": b"1" * 50, "bb.py": b"2" * 50}))
    first = data.index(b"PK\1\2")
    second = data.index(b"PK\1\2", first + 1)
    data[second + 42 : second + 46] = data[first + 42 : first + 46]
    data[second + 46 : second + 51] = data[first + 46 : first + 51]
    with pytest.raises(WheelError):
        read_wheel(bytes(data), NAME)


def test_archive_is_refused_when_the_two_tables_name_files_differently():
    data = make_wheel()
    local = data.index(b"demo.py")
    with pytest.raises(WheelError):
        read_wheel(data[:local] + b"evil.py" + data[local + 7 :], NAME)


def test_archive_is_refused_when_it_is_a_bomb():
    bomb = [Entry(f"demo/{n}", bytes(16 << 20)) for n in range(8)]
    with pytest.raises(WheelError) as caught:
        read_wheel(make_archive(bomb), NAME)
    assert "reason" in caught.value.summary


def test_archive_with_zip64_sizes_is_read():
    buffer = io.BytesIO()
    source = zipfile.ZipFile(io.BytesIO(make_wheel()))
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for info in source.infolist():
            with archive.open(info.filename, "w", force_zip64=True) as member:
                member.write(source.read(info))
    wheel = read_wheel(buffer.getvalue(), NAME)
    assert contents(wheel)["site-packages/demo.py"] == b"VERSION = '1.0'\n"


ORIGINS = {
    "neighbour": ({"demo/lib/a.so": "$ORIGIN/../../nvidia/lib"}, ("site-packages/demo/lib",)),
    "own tree": ({"demo/a.so": "$ORIGIN/../demo.libs", "demo.libs/b.so": "$ORIGIN"}, ()),
    "braces": ({"demo/a.so": "${ORIGIN}/../other"}, ("site-packages/demo",)),
    "absolute": ({"demo/a.so": "/usr/lib:/opt/x"}, ()),
    "out of the root": ({"demo/a.so": "$ORIGIN/../../../../../lib"}, ("site-packages/demo",)),
    "through a real one": (
        {
            "demo/lib/a.so": "$ORIGIN/../../nvidia",
            "func/b.so": "$ORIGIN/../demo/lib",
            "c/c.so": "$ORIGIN",
        },
        ("site-packages/demo/lib", "site-packages/func"),
    ),
}


@pytest.mark.parametrize(("libraries", "origin"), ORIGINS.values(), ids=ORIGINS)
def test_directories_with_libraries_that_look_outside_must_be_real(libraries, origin):
    files = {path: make_elf(run_path=run_path) for path, run_path in libraries.items()}
    assert read_wheel(make_wheel(files=files), NAME).facts.origin == origin
