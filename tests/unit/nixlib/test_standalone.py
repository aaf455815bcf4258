"""Which standalone Pythons exist, and what a mirror says of them; the tree itself is in integration."""

import hashlib

import pytest

from nixlib.errors import InterpreterError, NetworkError
from nixlib.httpclient import HttpClient
from nixlib.platforms import SYSTEMS
from nixlib.standalone import Release, choose, known_releases, standalone_artifacts, standalone_tree
from nixlib.testing.python_mirror import release_tarball, serve_mirror, write_mirror
from nixlib.tree import tree_of

LINUX, MAC = "x86_64-linux", "aarch64-darwin"


def release(version, system=LINUX, tag="20240107"):
    return Release(version, system, tag, f"cpython-{version}+{tag}-{system}-install_only.tar.gz")


def artifacts(chosen, url):
    with HttpClient(timeout=5) as client:
        return standalone_artifacts(chosen, url, client)


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


def test_artifacts_have_the_sum_and_size_that_the_mirror_publishes(tmp_path):
    chosen = {LINUX: release("3.11.7"), MAC: release("3.11.7", MAC)}
    files = {chosen[LINUX]: b"linux" * 1000, chosen[MAC]: b"mac"}
    write_mirror(tmp_path, files)
    with serve_mirror(tmp_path) as (url, asked):
        found = artifacts(chosen, url + "/")

    for system, one in chosen.items():
        assert found[system].sha256 == hashlib.sha256(files[one]).hexdigest()
        assert found[system].size == len(files[one])
        assert found[system].filename == one.file
        assert found[system].url.startswith(f"{url}/20240107/")
    assert sum(path.endswith("SHA256SUMS") for path in asked) == 1


def test_artifacts_of_old_releases_have_a_sum_each(tmp_path):
    one = release("3.8.10")
    write_mirror(tmp_path, {one: b"data"})
    (tmp_path / one.release / "SHA256SUMS").unlink()
    sha256 = hashlib.sha256(b"data").hexdigest()
    (tmp_path / one.release / f"{one.file}.sha256").write_text(sha256 + "\n")
    with serve_mirror(tmp_path) as (url, _):
        assert artifacts({LINUX: one}, url)[LINUX].sha256 == sha256


def test_artifacts_without_a_published_sum_are_an_error(tmp_path):
    write_mirror(tmp_path, {release("3.11.7"): b"data"})
    with serve_mirror(tmp_path) as (url, _), pytest.raises(NetworkError) as error:
        artifacts({LINUX: release("3.11.9")}, url)

    assert "3.11.9" in error.value.summary


def test_listed_file_that_is_not_there_is_an_error(tmp_path):
    write_mirror(tmp_path, {release("3.11.7"): b"data"})
    (tmp_path / "20240107" / release("3.11.7").file).unlink()
    with serve_mirror(tmp_path) as (url, _), pytest.raises(NetworkError) as error:
        artifacts({LINUX: release("3.11.7")}, url)

    assert "404" in error.value.summary


def test_silent_mirror_is_an_error_that_names_it():
    with pytest.raises(NetworkError) as error:
        artifacts({LINUX: release("3.11.7")}, "http://127.0.0.1:9/mirror")

    assert error.value.fields["url"] == "http://127.0.0.1:9/mirror"


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
