import subprocess

import pytest

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError, RealisationCancelledError
from nixlib.network.httpclient import HttpClient
from nixlib.nixpkgs.archive import commit_of, fetch_archive, find_commit
from nixlib.testing.fileserver import FileServer, Trouble
from nixlib.testing.nixpkgs import git_archive
from nixlib.tree import tree_of

COMMIT = "0123456789abcdef0123456789abcdef01234567"
DATA = git_archive(tree_of({"default.nix": "{ }", "large": b"\x01\x02" * 500_000}), "a-1", COMMIT)


def test_archive_of_git_itself_names_its_commit(tmp_path):
    def git(*words: str) -> bytes:
        own = ["-c", "user.name=a", "-c", "user.email=a@example.org"]
        argv = ["git", *own, "-C", str(tmp_path), *words]
        return subprocess.run(argv, check=True, capture_output=True).stdout

    git("init", "-q")
    (tmp_path / "default.nix").write_text("{ }")
    git("add", "default.nix")
    git("commit", "-qm", "a")
    archive = git("archive", "--format", "tar.gz", "--prefix", "a-1/", "HEAD")
    assert commit_of(archive, "x") == git("rev-parse", "HEAD").decode().strip()


@pytest.mark.parametrize(
    "data",
    [b"", b"<html>", DATA[:20], git_archive(tree_of({"a": ""}), "a", "")],
    ids=["empty", "a page", "cut off", "without a commit"],
)
def test_other_answers_are_no_revision(data):
    with pytest.raises(NetworkError) as caught:
        commit_of(data, "https://example.org/x")
    assert caught.value.url == "https://example.org/x"


def test_branch_becomes_a_commit_without_its_archive():
    with FileServer({"a.tar.gz": DATA}) as server, HttpClient(timeout=5) as client:
        assert find_commit(server.url("a.tar.gz"), client, Cancel()) == COMMIT


def test_archive_arrives_whole_when_the_connection_breaks_once(tmp_path):
    troubles = {"a.tar.gz": [Trouble(cut_after=100)]}
    sizes = []
    with FileServer({"a.tar.gz": DATA}, troubles) as server, HttpClient(timeout=5) as client:
        url = server.url("a.tar.gz")
        data, commit = fetch_archive(url, client, Cancel(), scratch=tmp_path, on_bytes=sizes.append)
    assert (bytes(data), commit, sizes[-1]) == (DATA, COMMIT, len(DATA))
    assert list(tmp_path.iterdir()) == []


def test_unknown_revision_is_not_asked_for_twice():
    with FileServer({}) as server, HttpClient(timeout=5) as client:
        with pytest.raises(NetworkError) as caught:
            find_commit(server.url("a.tar.gz"), client, Cancel())
        assert (caught.value.status, server.asked["a.tar.gz"]) == (404, 1)


def test_server_that_is_down_is_named():
    with FileServer({}) as server:
        url = server.url("a.tar.gz")
    with HttpClient(timeout=5) as client, pytest.raises(NetworkError) as caught:
        find_commit(url, client, Cancel())
    assert caught.value.url == url


def test_waiting_for_a_silent_server_ends_with_a_cancel():
    troubles = {"a.tar.gz": [Trouble(silent=60)]}
    cancel = Cancel()
    with FileServer({"a.tar.gz": DATA}, troubles) as server, HttpClient(timeout=60) as client:
        import threading

        threading.Timer(0.3, cancel.set).start()
        with pytest.raises(RealisationCancelledError):
            find_commit(server.url("a.tar.gz"), client, cancel)


def test_folder_serves_as_well(tmp_path):
    (tmp_path / "a.tar.gz").write_bytes(DATA)
    with HttpClient() as client:
        assert find_commit((tmp_path / "a.tar.gz").as_uri(), client, Cancel()) == COMMIT
        with pytest.raises(NetworkError):
            find_commit((tmp_path / "b.tar.gz").as_uri(), client, Cancel())
