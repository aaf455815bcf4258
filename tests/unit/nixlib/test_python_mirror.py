"""What a mirror says of its files, over HTTP on the loopback."""

import hashlib

import pytest

from nixlib.errors import NetworkError
from nixlib.interpreters.python_mirror import PythonMirror, standalone_artifacts
from nixlib.interpreters.standalone import Release
from nixlib.network.httpclient import HttpClient
from nixlib.testing.python_mirror import serve_mirror, write_mirror

LINUX, MAC = "x86_64-linux", "aarch64-darwin"


def release(version, system=LINUX, tag="20240107"):
    return Release(version, system, tag, f"cpython-{version}+{tag}-{system}-install_only.tar.gz")


def artifacts(chosen, url):
    with HttpClient(timeout=5) as client:
        return standalone_artifacts(chosen, PythonMirror.parse(url), client)


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


def test_credentials_go_to_the_mirror_and_into_no_lock(tmp_path):
    write_mirror(tmp_path, {release("3.11.7"): b"data"})
    with serve_mirror(tmp_path, user=("ana", "p@ss")) as (url, _):
        mirror = PythonMirror.parse(url.replace("://", "://ana:p%40ss@") + "/?token=x")
        with HttpClient(timeout=5, auth=mirror.auth) as client:
            found = standalone_artifacts({LINUX: release("3.11.7")}, mirror, client)
        with pytest.raises(NetworkError) as error:
            artifacts({LINUX: release("3.11.7")}, url)

    assert found[LINUX].url.startswith(f"{url}/20240107/")
    assert "401" in error.value.summary
    assert mirror.auth("https://elsewhere.example/x") is None
