"""The parts of the enclosure that need no namespace."""

import pytest

from nixlib.builders import enclose


def make(folder, files):
    for path, text in files.items():
        place = folder / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
    return str(folder)


def test_layers_are_merged_the_first_before_the_next(tmp_path):
    one = make(tmp_path / "one", {"bin/a": "1", "bin/b": "1", "lib/x": "1"})
    two = make(tmp_path / "two", {"bin/b": "2", "bin/c": "2", "usr/share/y": "2", "lib/x": "2"})
    root = tmp_path / "root"
    root.mkdir()
    enclose.merge([one, two], str(root))
    found = {p: (root / p).read_text() for p in ("bin/a", "bin/b", "bin/c", "lib/x", "usr/share/y")}
    assert found == {"bin/a": "1", "bin/b": "1", "bin/c": "2", "lib/x": "1", "usr/share/y": "2"}
    assert (root / "usr").is_symlink()


def test_layers_go_round_what_the_enclosure_has_itself(tmp_path):
    layer = make(tmp_path / "layer", {"etc/passwd": "theirs", "etc/more": "theirs", "tmp/x": "x"})
    root = tmp_path / "root"
    make(root, {"etc/passwd": "ours"})
    (root / "tmp").mkdir()
    enclose.merge([layer], str(root))
    assert (root / "etc/passwd").read_text() == "ours"
    assert (root / "etc/more").read_text() == "theirs"
    assert not (root / "tmp").is_symlink()


def test_a_link_to_itself_ends(tmp_path):
    for name in ("one", "two"):
        (tmp_path / name / "lib").mkdir(parents=True)
        (tmp_path / name / "lib/gnu").symlink_to(".")
    (tmp_path / "root").mkdir()
    enclose.merge([str(tmp_path / "one"), str(tmp_path / "two")], str(tmp_path / "root"))
    assert (tmp_path / "root/lib/gnu").is_dir()


def test_closure_is_read_as_nix_writes_it(tmp_path):
    (tmp_path / "closure-0").write_text("/s/a\n\n2\n/s/a\n/s/b\n/s/b\n/s/b.drv\n0\n")
    (tmp_path / "closure-1").write_text("/s/b\n\n0\n/s/c\n\n1\n/s/b\n")
    assert enclose.closure(str(tmp_path)) == ["/s/a", "/s/b", "/s/c"]


@pytest.mark.parametrize(
    ("status", "told"), [(0, 0), (3 << 8, 3), (enclose.CANNOT << 8, 1), (9, 137)]
)
def test_status_of_a_command_is_never_that_of_a_missing_wall(status, told):
    assert enclose.exit_status(status) == told
