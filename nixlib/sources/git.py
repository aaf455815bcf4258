"""A commit of a git repository as a tree, read out of git's own objects; nothing is checked out.

A URL comes out of a stranger's notebook and a repository is a stranger's work. So git is told which
transports exist at all (`ext::` is a command line), what stands for a URL never begins with `-`, there are no
hooks, templates, filters or submodules, and nobody is asked for a password. The user's own git configuration
counts: it says how private repositories are reached.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError, SourceError
from nixlib.processgroup import end_group
from nixlib.sources.links import leads_out
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of

__all__ = ["Checkout", "checked_url", "fetch_commit"]

TRANSPORTS: Final = ("file", "http", "https", "ssh")

_URL: Final = re.compile(r"(?:file|https?|ssh)://[A-Za-z0-9._~!$&'()*+,;=:@/\[\]%-]{1,1000}")
_ESCAPED_CONTROL: Final = re.compile(r"%[01][0-9A-Fa-f]|%7[Ff]")
_HOST: Final = re.compile(r"[A-Za-z0-9\[][A-Za-z0-9.:\[\]-]{0,250}")
_COMMIT: Final = re.compile(r"[0-9a-f]{40}")
_REFERENCE: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+/-]{0,200}")
_CONTROL: Final = re.compile(r"[\x00-\x1f\x7f-\x9f]")
_DROPPED: Final = ("GIT_", "SSH_ASKPASS")
_KEPT: Final = (
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_SSL_CAINFO",
    "GIT_SSL_CAPATH",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_SSH_VARIANT",
)
_MAX_BYTES: Final = 1 << 30
_MAX_FILES: Final = 200_000
_MAX_LISTED: Final = 64 << 20  # ten trees of ten trees each, eight deep, are 10**8 files in 2 kB
_MAX_OBJECTS: Final = 4 << 30  # packed, with history where a server gives no single commit
_SILENCE: Final = 60  # seconds
_SHOWN: Final = 10
_POLL: Final = 0.02
_SSH: Final = (
    *("ssh", "-oBatchMode=yes", "-oStrictHostKeyChecking=yes"),
    *(f"-oConnectTimeout={_SILENCE}", f"-oServerAliveInterval={_SILENCE // 3}"),
)
_GITLINK, _LINK, _EXECUTABLE = "160000", "120000", "100755"


@dataclass(frozen=True)
class Checkout:
    """One commit.

    Attributes:
        commit: 40 hexadecimal digits.
        tag: The tag that was asked for, if it was one.
        tree: Its files.
        warnings: What is left out of them.
    """

    commit: str
    tag: str
    tree: Directory
    warnings: tuple[str, ...] = ()


def checked_url(url: str) -> str:
    """`url`, if git may be given it: a transport that runs nothing, and no option in disguise.

    Raises:
        SourceError: It is not.
    """
    url = url.removeprefix("git+")
    try:
        parts = urlsplit(url)
        host = parts.hostname or ""
    except ValueError:
        parts, host = urlsplit(""), ""
    is_remote = parts.scheme in ("http", "https", "ssh")
    if (
        not _URL.fullmatch(url)
        or _ESCAPED_CONTROL.search(url)
        or not parts.scheme
        or (is_remote and not _HOST.fullmatch(host))
        or (parts.scheme == "file" and (host or "/.." in parts.path))
        or (parts.username or "").startswith("-")
        or parts.path.lstrip("/").startswith("-")
    ):
        raise SourceError(
            f"`{url[:200]}` is not a repository that git may be asked for",
            details=(f"it must begin with {', '.join(f'`git+{name}://`' for name in TRANSPORTS)}",),
            source=url,
            member="",
        )
    return url


def fetch_commit(
    url: str, reference: str, *, scratch: Path, cancel: Cancel | None = None
) -> Checkout:
    """The commit that `reference` is in the repository at `url`.

    Args:
        url: `https://`, `ssh://`, `http://` or `file://`; `git+` before it is dropped.
        reference: A commit of 40 digits, a tag or a branch; empty for the default branch.
        scratch: Folder for the objects while they are read.
        cancel: Ends git, which is waited for.

    Raises:
        SourceError: It has no such commit, or what is in it leads out of it; no git is installed.
        NetworkError: The repository did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    url = checked_url(url)
    if reference and not (_REFERENCE.fullmatch(reference) and ".." not in reference):
        raise _none_such(url, reference, "that is no name of a commit, a tag or a branch")
    scratch.mkdir(parents=True, exist_ok=True)
    # The objects are gone when the tree has been read, so the files are read now.
    with tempfile.TemporaryDirectory(dir=scratch, prefix="nixenv-git-") as folder:
        git = _Git(Path(folder), url, cancel or Cancel())
        git.run("init", "--quiet", "--bare", "--template=", ".")
        commit, tag = git.find(reference)
        git.fetch(commit, reference)
        nodes, warnings = git.read(commit)
    return Checkout(commit, tag, nodes, warnings)


class _Git:
    """A repository of our own, with nothing in it but what is fetched."""

    def __init__(self, folder: Path, url: str, cancel: Cancel) -> None:
        self._folder = folder
        self._url = url
        self._cancel = cancel

    def find(self, reference: str) -> tuple[str, str]:
        """The commit that `reference` is, and the tag, if it is one."""
        if _COMMIT.fullmatch(reference):
            return reference, ""
        names = (f"refs/tags/{reference}^{{}}", f"refs/tags/{reference}", f"refs/heads/{reference}")
        asked = [*names, reference] if reference.startswith("refs/") else names
        patterns = asked if reference else ("HEAD",)
        said = self.run("ls-remote", "--quiet", "--", self._url, *patterns).decode(errors="replace")
        lines = (line.partition("\t") for line in said.splitlines())
        found = {name: identity for identity, _, name in lines}
        for name in patterns:
            if _COMMIT.fullmatch(found.get(name, "")):
                return found[name], reference if name.startswith("refs/tags/") else ""
        raise _none_such(self._url, reference, "it has no tag and no branch of that name")

    def fetch(self, commit: str, reference: str) -> None:
        """Have the objects of `commit` here."""
        try:
            self.run("fetch", "--quiet", "--depth=1", "--no-tags", "--", self._url, commit)
        except NetworkError:
            # A server may refuse to give what no branch or tag points to; it has it in their history.
            everything = ("+refs/heads/*:refs/heads/*", "+refs/tags/*:refs/tags/*")
            self.run("fetch", "--quiet", "--no-tags", "--", self._url, *everything)
        try:
            self.run("rev-parse", "--quiet", "--verify", "--end-of-options", f"{commit}^{{commit}}")
        except NetworkError as error:
            raise _none_such(self._url, reference or commit, "it has no such commit") from error

    def read(self, commit: str) -> tuple[Directory, tuple[str, ...]]:
        """The files of `commit`."""
        argv = ("ls-tree", "-r", "-z", "-l", "--full-tree", commit)
        listed = self.run(*argv, limit=_MAX_LISTED).decode("utf-8", "surrogateescape")
        entries = [_Entry.parse(line) for line in listed.split("\0") if line]
        size = sum(entry.size for entry in entries)
        if len(entries) > _MAX_FILES or size > _MAX_BYTES:
            raise self._bad(f"it has {len(entries)} files of {size} bytes, more than a project has")
        submodules = sorted(entry.path for entry in entries if entry.mode == _GITLINK)
        blobs = [entry for entry in entries if entry.mode != _GITLINK]
        contents = self._contents([entry.identity for entry in blobs])
        files = {entry.path: self._node(entry, contents[entry.identity], commit) for entry in blobs}
        warnings = tuple(
            f"`{path}` of `{self._url}` is a submodule and stays empty"
            for path in submodules[:_SHOWN]
        )
        return tree_of(files), warnings

    def _node(self, entry: _Entry, data: bytes, commit: str) -> Node:
        if entry.mode == _LINK:
            target = data.decode("utf-8", "surrogateescape")
            if leads_out(entry.path, target):
                raise self._bad(f"link `{entry.path}` leads out of it: `{target[:200]}`")
            return Symlink(target)
        if entry.path == ".git_archival.txt":
            # Written for archives of a commit, which this is: tools that ask git read it instead.
            data = data.replace(b"$Format:%H$", commit.encode())
        return Regular.of(data, executable=entry.mode == _EXECUTABLE)

    def _contents(self, identities: list[str]) -> Mapping[str, bytes]:
        wanted = list(dict.fromkeys(identities))
        stream = self.run("cat-file", "--batch", said="\n".join([*wanted, ""]).encode())
        found: dict[str, bytes] = {}
        at = 0
        for identity in wanted:
            end = stream.index(b"\n", at)
            name, kind, size = stream[at:end].decode().split(" ")
            if name != identity or kind != "blob":
                raise self._bad(f"object {identity} is no file")
            at = end + 1 + int(size)
            found[identity] = stream[end + 1 : at]
            at += 1
        return found

    def run(self, *argv: str, said: bytes = b"", limit: int = 2 * _MAX_BYTES) -> bytes:
        """What git prints, `limit` bytes at most; its own words where it fails."""
        config = {
            "core.hooksPath": os.devnull,
            "fetch.fsckObjects": "true",
            "gc.auto": "0",
            "http.followRedirects": "initial",
            "http.lowSpeedLimit": "1",
            "http.lowSpeedTime": str(_SILENCE),
            "protocol.allow": "never",
            **{f"protocol.{name}.allow": "always" for name in TRANSPORTS},
        }
        options = [word for key, value in config.items() for word in ("-c", f"{key}={value}")]
        with (
            tempfile.TemporaryFile(dir=self._folder) as given,
            _outputs(self._folder) as (out, err),
        ):
            given.write(said)
            given.seek(0)
            try:
                process = subprocess.Popen(
                    [_program(), *options, *argv],
                    cwd=self._folder,
                    env=_environment(),
                    stdin=given if said else subprocess.DEVNULL,
                    stdout=out,
                    stderr=err,
                    start_new_session=True,
                )
            except OSError as error:
                raise self._bad(f"`git` cannot be started: {error.strerror}") from error
            try:
                while process.poll() is None:
                    self._cancel.wait(_POLL)
                    if os.fstat(out.fileno()).st_size > limit or self._fetched() > _MAX_OBJECTS:
                        raise self._bad(f"`git {argv[0]}` gives more than a project has")
            finally:
                end_group(process)
            out.seek(0)
            err.seek(0)
            if process.returncode != 0:
                raise self._failed(argv[0], err.read(1 << 16).decode("utf-8", "replace"))
            return out.read()

    def _fetched(self) -> int:
        """The bytes of all packs, those under way too."""
        try:
            return sum(
                entry.stat().st_size for entry in os.scandir(self._folder / "objects" / "pack")
            )
        except FileNotFoundError:
            return 0  # not there yet, or a file that has got its name meanwhile

    def _failed(self, command: str, said: str) -> NetworkError:
        # What a server says stands in it, which may be orders to a terminal.
        lines = (_CONTROL.sub("", line).rstrip() for line in said.strip().splitlines())
        return NetworkError(
            f"git cannot have `{self._url}`",
            details=(f"`git {command}` said:", *list(lines)[-_SHOWN:]),
            url=self._url,
        )

    def _bad(self, reason: str) -> SourceError:
        return SourceError(
            f"cannot open the repository `{self._url}`",
            details=(reason,),
            source=self._url,
            member="",
        )


@dataclass(frozen=True)
class _Entry:
    """A line of `git ls-tree -l`."""

    mode: str
    identity: str
    size: int
    path: str

    @classmethod
    def parse(cls, line: str) -> _Entry:
        facts, _, path = line.partition("\t")
        mode, _, identity, size = facts.split()
        return cls(mode, identity, int(size) if size.isdigit() else 0, path)


@contextlib.contextmanager
def _outputs(folder: Path) -> Iterator[tuple[tempfile._TemporaryFileWrapper[bytes], ...]]:
    with tempfile.TemporaryFile(dir=folder) as out, tempfile.TemporaryFile(dir=folder) as err:
        yield out, err  # type: ignore[misc] # on POSIX it is the file itself


def _program() -> str:
    return shutil.which("git") or "/usr/bin/git"


def _environment() -> dict[str, str]:
    """The user's variables, without those by which git asks or is told to run something."""
    own = {k: v for k, v in os.environ.items() if k in _KEPT or not k.startswith(_DROPPED)}
    asking = {"GIT_TERMINAL_PROMPT": "0", "GIT_ASKPASS": "", "SSH_ASKPASS": ""}
    ssh = {"GIT_SSH_COMMAND": " ".join(_SSH)}
    allowed = {"GIT_ALLOW_PROTOCOL": ":".join(TRANSPORTS), "GIT_LFS_SKIP_SMUDGE": "1"}
    # A repository whose missing objects a command of its own would bring (CVE-2024-32004).
    allowed["GIT_NO_LAZY_FETCH"] = "1"
    return {**own, **asking, **ssh, **allowed, "LC_ALL": "C"}


def _none_such(url: str, reference: str, why: str) -> SourceError:
    return SourceError(
        f"`{reference}` cannot be had from `{url}`", details=(why,), source=url, member=reference
    )
