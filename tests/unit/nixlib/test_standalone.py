"""Which standalone Pythons exist; a tree that starts itself is in integration."""

import pytest

from nixlib.errors import InterpreterError
from nixlib.interpreters.standalone import Release, choose, known_releases, standalone_tree
from nixlib.platforms import SYSTEMS
from nixlib.testing.python_mirror import release_tarball
from nixlib.tree import tree_of

LINUX, MAC = "x86_64-linux", "aarch64-darwin"


def release(version, system=LINUX, tag="20240107"):
    return Release(version, system, tag, f"cpython-{version}+{tag}-{system}-install_only.tar.gz")


def test_uv_knows_releases_of_every_system_and_minor():
    found = known_releases()
    minors = {".".join(r.version.split(".")[:2]) for r in found if r.system == LINUX}

    assert {r.system for r in found} == set(SYSTEMS)
    assert {"3.8", "3.9", "3.10", "3.11", "3.12", "3.13"} <= minors
    assert all(r.file.endswith(".tar.gz") and r.version in r.file for r in found)
    assert not any("freethreaded" in r.file or "_v3" in r.file or "musl" in r.file for r in found)


def test_uv_that_does_not_start_is_an_error():
    with pytest.raises(InterpreterError):
        known_releases(uv=("/nonexistent/uv",))


def test_choose_prefers_a_version_that_every_system_has():
    releases = [release("3.11.7"), release("3.11.7", MAC), release("3.11.9")]

    assert choose("3.11", releases, [LINUX, MAC], "3.12") == {
        LINUX: releases[0],
        MAC: releases[1],
    }
    assert choose("3.11", releases, [LINUX], "3.12") == {LINUX: releases[2]}


def test_choose_gives_nothing_when_nothing_is_allowed():
    assert choose("3.12", [release("3.11.7")], [LINUX], "3.11") == {}


def test_archive_of_another_version_is_refused():
    data = release_tarball(tree_of({"bin/python3.12": b"", "lib/python3.12/os.py": b""}))

    with pytest.raises(InterpreterError) as error:
        standalone_tree(data, "3.11.7")

    assert "bin/python3.11" in error.value.summary


def test_archive_whose_program_does_not_start_is_refused(tmp_path):
    data = release_tarball(tree_of({"bin/python3.11": b"\x7fELF", "lib/python3.11/os.py": b""}))

    with pytest.raises(InterpreterError):
        standalone_tree(data, "3.11.7", scratch=tmp_path)

    assert list(tmp_path.iterdir()) == []
