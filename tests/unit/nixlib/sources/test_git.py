import os
import subprocess

import pytest

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError, RealisationCancelledError, SourceError
from nixlib.sources.git import checked_url, fetch_commit
from nixlib.sources.opening import public_location
from nixlib.tree import Directory, Symlink, walk


class Repository:
    def __init__(self, folder):
        self.folder = folder
        self.url = f"file://{folder}"
        folder.mkdir()
        self.git("init", "--quiet", "--initial-branch=main")

    def git(self, *argv):
        who = {"NAME": "a", "EMAIL": "a@b"}
        env = {f"GIT_{role}_{k}": v for role in ("AUTHOR", "COMMITTER") for k, v in who.items()}
        done = subprocess.run(
            ["git", *argv],
            cwd=self.folder,
            env={**os.environ, **env, "GIT_CONFIG_GLOBAL": os.devnull},
            capture_output=True,
            check=True,
            text=True,
        )
        return done.stdout.strip()

    def commit(self, **files):
        for name, text in files.items():
            (self.folder / name).write_text(text)
        self.git("add", "--all")
        self.git("commit", "--quiet", "--message=x")
        return self.git("rev-parse", "HEAD")


@pytest.fixture
def repository(tmp_path):
    found = Repository(tmp_path / "repository")
    (found.folder / ".gitattributes").write_text("*.txt export-ignore\n")
    (found.folder / "run.sh").write_text("")
    (found.folder / "run.sh").chmod(0o755)
    (found.folder / "link").symlink_to("a.py")
    found.first = found.commit(**{"a.py": "1", "b.txt": "x"})
    found.git("tag", "--annotate", "--message=x", "v1.0")
    found.second = found.commit(**{"a.py": "2"})
    return found


def contents(tree):
    return {
        path: node.target if isinstance(node, Symlink) else b"".join(node.read())
        for path, node in walk(tree)
        if not isinstance(node, Directory)
    }


def test_commit_is_read_without_being_checked_out(repository, tmp_path):
    found = fetch_commit(repository.url, repository.first, scratch=tmp_path / "scratch")
    assert found.commit == repository.first
    assert contents(found.tree)["a.py"] == b"1"
    assert contents(found.tree)["b.txt"] == b"x"
    assert contents(found.tree)["link"] == "a.py"
    assert found.tree.entries["run.sh"].executable
    assert list((tmp_path / "scratch").iterdir()) == []


@pytest.mark.parametrize(
    ("reference", "which", "tag"),
    [("v1.0", "first", "v1.0"), ("main", "second", ""), ("", "second", "")],
)
def test_name_leads_to_its_commit(repository, tmp_path, reference, which, tag):
    found = fetch_commit(f"git+{repository.url}", reference, scratch=tmp_path)
    assert (found.commit, found.tag) == (getattr(repository, which), tag)


def test_archival_file_names_the_commit(repository, tmp_path):
    commit = repository.commit(**{".git_archival.txt": "node: $Format:%H$\n"})
    found = fetch_commit(repository.url, commit, scratch=tmp_path)
    assert contents(found.tree)[".git_archival.txt"] == f"node: {commit}\n".encode()


def test_hooks_filters_and_configuration_of_the_repository_do_nothing(repository, tmp_path):
    mark = tmp_path / "ran"
    commit = repository.commit(**{".gitattributes": "* filter=evil\n"})
    repository.git("config", "filter.evil.smudge", f"touch {mark}")
    repository.git("config", "uploadpack.packObjectsHook", f"touch {mark}")
    for hook in ("post-checkout", "post-index-change", "pre-auto-gc"):
        path = repository.folder / ".git" / "hooks" / hook
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\ntouch {mark}\n")
        path.chmod(0o755)
    fetch_commit(repository.url, commit, scratch=tmp_path / "scratch")
    assert not mark.exists()


def test_submodule_stays_empty_and_is_said(repository, tmp_path):
    entry = f"160000,{repository.first},sub"
    repository.git("update-index", "--add", "--cacheinfo", entry)
    repository.git("commit", "--quiet", "--message=x")
    found = fetch_commit(repository.url, "main", scratch=tmp_path)
    assert "sub" not in contents(found.tree)
    assert "submodule" in found.warnings[0]


def test_link_that_leads_out_is_refused(repository, tmp_path):
    (repository.folder / "evil").symlink_to("../../etc/passwd")
    repository.commit()
    with pytest.raises(SourceError, match="leads out"):
        fetch_commit(repository.url, "main", scratch=tmp_path)


@pytest.mark.parametrize("reference", ["nope", "0" * 40, "--upload-pack=x", "a..b", "a b", "$(x)"])
def test_unknown_commit_is_refused(repository, tmp_path, reference):
    with pytest.raises(SourceError):
        fetch_commit(repository.url, reference, scratch=tmp_path)


@pytest.mark.parametrize(
    "url",
    [
        "ext::sh -c touch% /tmp/x",
        "git+ext::sh",
        "--upload-pack=touch /tmp/x",
        "ssh://-oProxyCommand=x/y",
        "ssh://-l@host/y",
        "ssh://host/-x",
        "file://host/x",
        "file:///a/../../etc",
        "git@host:x.git",
        "fd::17",
        "https://host/\nx",
        "https:///x",
        "transport::https://x",
        "/etc",
        "",
        "https://[x/y",
        "file:///tmp%00/x",
        "https://host/%0Ahost=other",
    ],
)
def test_url_that_could_run_something_is_refused(url):
    with pytest.raises(SourceError):
        checked_url(url)


def test_trees_of_trees_that_are_a_hundred_million_files_are_refused(repository, tmp_path):
    def tree(lines):
        made = subprocess.run(
            ["git", "mktree"],
            cwd=repository.folder,
            input="".join(f"{line}\n" for line in lines),
            capture_output=True,
            check=True,
            text=True,
        )
        return made.stdout.strip()

    blob = repository.git("rev-parse", "HEAD:a.py")
    found = tree(f"100644 blob {blob}\tf{number}" for number in range(10))
    for _ in range(7):
        found = tree(f"040000 tree {found}\td{number}" for number in range(10))
    repository.git("branch", "bomb", repository.git("commit-tree", "-m", "x", found))
    with pytest.raises(SourceError, match="gives more than a project has"):
        fetch_commit(repository.url, "bomb", scratch=tmp_path / "scratch")
    assert not list((tmp_path / "scratch").iterdir())


def test_repository_that_sends_more_than_a_project_has_is_refused(
    repository, tmp_path, monkeypatch
):
    monkeypatch.setattr("nixlib.sources.git._MAX_OBJECTS", -1)
    with pytest.raises(SourceError, match="gives more than a project has"):
        fetch_commit(repository.url, "main", scratch=tmp_path)


def test_repository_that_brings_its_objects_by_a_command_runs_none(repository, tmp_path):
    blob = repository.git("rev-parse", "HEAD:a.py")
    objects = repository.folder / ".git/objects"
    (objects / blob[:2] / blob[2:]).unlink()
    for key, value in {
        "core.repositoryformatversion": "1",
        "extensions.partialClone": "origin",
        "remote.origin.url": repository.url,
        "remote.origin.promisor": "true",
        "remote.origin.uploadpack": f"touch {tmp_path}/ran; git-upload-pack",
    }.items():
        repository.git("config", key, value)
    with pytest.raises(NetworkError):
        fetch_commit(repository.url, "main", scratch=tmp_path)
    assert not (tmp_path / "ran").exists()


def test_what_a_repository_says_gives_the_terminal_no_orders(repository, tmp_path):
    with (repository.folder / ".git/config").open("a") as file:
        file.write("[core]\n\tbare = \x1b[31mred\n")
    with pytest.raises(NetworkError) as caught:
        fetch_commit(repository.url, "main", scratch=tmp_path)
    assert "red" in caught.value.render()
    assert "\x1b" not in caught.value.render()


def test_repository_that_is_not_there_is_a_network_error(tmp_path):
    with pytest.raises(NetworkError) as caught:
        fetch_commit(f"file://{tmp_path}/none", "main", scratch=tmp_path)
    assert caught.value.url == f"file://{tmp_path}/none"


def test_cancel_ends_git(repository, tmp_path):
    cancel = Cancel()
    cancel.set()
    with pytest.raises(RealisationCancelledError):
        fetch_commit(repository.url, "main", scratch=tmp_path, cancel=cancel)


@pytest.mark.parametrize(
    ("url", "public"),
    [
        ("git+https://me:token@host/x.git", "https://host/x.git"),
        ("git+ssh://git@host/x.git", "ssh://git@host/x.git"),
        ("git+ssh://git:pw@host:22/x.git", "ssh://git@host:22/x.git"),
    ],
)
def test_lock_gets_no_secret(url, public):
    assert public_location(url) == public
