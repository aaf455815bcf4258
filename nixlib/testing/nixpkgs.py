"""A small tree of nixpkgs' shape, as the archives of revisions that a server of files would have.

    nixpkgs = local_nixpkgs()                       # a folder, made once, then shared; not to be written to
    Settings(…, repositories=nixpkgs.url, nixpkgs=nixpkgs.branch)
    with FileServer(nixpkgs.files()) as server:     # over HTTP

Its derivations are real and are built by this machine's Nix. Their programs and libraries were compiled before,
and its Python is a copy of the one that runs; so no compiler, no shell and no network are needed to build them.
"""

from __future__ import annotations

import gzip
import hashlib
import io
import json
import os
import tarfile
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from nixlib.cancel import Cancel
from nixlib.filelock import wait_lock
from nixlib.interpreters.host_tree import fingerprint, host_tree
from nixlib.interpreters.trim import minor_of
from nixlib.testing.compiled import newer_library, program, shared_library
from nixlib.testing.conda_python import own_python, trimmed_python
from nixlib.tree import Directory, Node, Regular, Symlink, tree_of, walk

__all__ = ["LocalNixpkgs", "git_archive", "local_nixpkgs", "small_tree", "write_revision"]

REPOSITORY, BRANCH = "NixOS/nixpkgs", "nixpkgs-unstable"
COMMIT = "00112233445566778899aabbccddeeff00112233"

_COPY = r"""
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static void copy(const char *from, const char *to) {
    struct stat status;
    if (lstat(from, &status)) { perror(from); exit(1); }
    if (S_ISLNK(status.st_mode)) {
        char target[4096] = { 0 };
        if (readlink(from, target, sizeof target - 1) < 0 || symlink(target, to)) exit(2);
    } else if (S_ISDIR(status.st_mode)) {
        if (mkdir(to, 0755)) { perror(to); exit(3); }
        DIR *folder = opendir(from);
        for (struct dirent *entry; (entry = readdir(folder));) {
            if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..")) continue;
            char *below, *beside;
            if (asprintf(&below, "%s/%s", from, entry->d_name) < 0) exit(4);
            if (asprintf(&beside, "%s/%s", to, entry->d_name) < 0) exit(4);
            copy(below, beside);
        }
        closedir(folder);
    } else {
        int in = open(from, O_RDONLY), out = open(to, O_WRONLY | O_CREAT, status.st_mode & 0777);
        char buffer[1 << 16];
        if (in < 0 || out < 0) { perror(to); exit(5); }
        for (ssize_t size; (size = read(in, buffer, sizeof buffer)) > 0;)
            if (write(out, buffer, size) != size) exit(6);
        close(in); close(out);
    }
}

int main(int count, char **words) {
    if (count > 2 && !strcmp(words[1], "sleep")) {
        fprintf(stderr, "sleeping\n");
        sleep(atoi(words[2]));
        return 1;
    }
    for (int at = 1; at + 1 < count; at += 2) copy(words[at + 1], getenv(words[at]));
    if (getenv("refers")) {
        char path[4096];
        snprintf(path, sizeof path, "%s/refers", getenv("out"));
        FILE *file = fopen(path, "w");
        fputs(getenv("refers"), file);
        fclose(file);
    }
    return 0;
}
"""
_DOT = r"""
#include <stdio.h>
int main(void) { puts("dot - graphviz version 9.9.9"); return 0; }
"""


@dataclass(frozen=True)
class LocalNixpkgs:
    """Archives of revisions on disk.

    Attributes:
        folder: Laid out as on GitHub, `OWNER/REPOSITORY/archive/REVISION.tar.gz`.
        python: The whole version of its Python.
        commit: The only commit.
    """

    folder: Path
    python: str
    commit: str = COMMIT

    @property
    def url(self) -> str:
        """As a `file://` URL, for the setting `repositories`."""
        return self.folder.as_uri()

    @property
    def branch(self) -> str:
        """What a bare `nixpkgs` means, for the setting `nixpkgs`."""
        return f"{REPOSITORY}/{BRANCH}"

    def files(self) -> dict[str, bytes]:
        """Every archive by its path, for a `FileServer`."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*.tar.gz"))
        }


def local_nixpkgs() -> LocalNixpkgs:
    """The tree with everything in it; costs some 5 s the first time, then 30 ms.

    It is kept in the folder for temporary files, and made anew when the running Python or this package
    has changed. Read only: it is shared by all tests of a run.
    """
    host = own_python()
    digest = hashlib.sha256(fingerprint(host).encode())
    for name in ("nixpkgs.py", "nixpkgs_default.nix", "compiled.py", "conda_python.py"):
        digest.update(Path(__file__).with_name(name).read_bytes())
    place = Path(tempfile.gettempdir()) / f"nixenv-nixpkgs-{os.getuid()}"
    place.mkdir(mode=0o755, exist_ok=True)
    if place.lstat().st_uid != os.getuid():
        raise PermissionError(f"`{place}` is another user's")
    folder = place / digest.hexdigest()[:16]
    release = wait_lock(place / f"{folder.name}.lock", Cancel())
    try:
        if not (folder / "complete").exists():
            copy = host_tree(host, scratch=place)
            python = trimmed_python(copy.tree, minor_of(host.version))
            write_revision(folder, small_tree(python, host.version), COMMIT, branches=(BRANCH,))
            (folder / "complete").touch()
    finally:
        release()
    return LocalNixpkgs(folder, host.version)


def small_tree(python: Mapping[str, Node], version: str) -> Directory:
    """The tree.

    Args:
        python: Files of its Python.
        version: All of its version.
    """
    minor = minor_of(version)
    facts = {"version": version, "minor": minor, "attribute": f"python{minor.replace('.', '')}"}
    greet = shared_library("libgreet.so.1", "int greet(void) { return 42; }")
    policy = shared_library("libpolicy.so.1", "int policy(void) { return 14; }")
    files: dict[str, bytes | str | Node] = {
        "default.nix": Path(__file__).with_name("nixpkgs_default.nix").read_bytes(),
        "facts.json": json.dumps(facts),
        "builder/copy": Regular.of(program(_COPY, "-static"), executable=True),
        "graphviz/out/bin/dot": Regular.of(program(_DOT), executable=True),
        "graphviz/out/bin/.dot-wrapped": Regular.of(b"#!/bin/sh\n", executable=True),
        "graphviz/lib/lib/libgvc.so.6": shared_library(
            "libgvc.so.6", "int gvc(void) { return 6; }"
        ),
        "graphviz/doc/share/doc/graphviz.txt": "How to draw.\n",
        "libgreet/lib/libgreet.so.1.2": greet,
        "libgreet/lib/libgreet.so.1": Symlink("libgreet.so.1.2"),
        "libgreet/lib/libgreet.so": Symlink("libgreet.so.1"),
        "libgreet/include/greet.h": "int greet(void);\n",
        "libfuture/lib/libfuture.so.1": newer_library("libfuture.so.1", "GLIBC_2.99"),
        "libpolicy/lib/libpolicy.so.1": policy,
        **{f"python/{path}": node for path, node in python.items()},
        **_module(minor, "tinybase", "1.0", "word = 'hello'\n"),
        **_module(
            minor,
            "tinygreet",
            "2.0",
            "import tinybase\n\ndef main():\n    print(tinybase.word, 'from nixpkgs')\n",
            entry_point="tinygreet:main",
        ),
    }
    return tree_of(files)


def _module(
    minor: str, name: str, version: str, source: str, entry_point: str = ""
) -> dict[str, bytes | str | Node]:
    folder = f"modules/{name}"
    site = f"{folder}/lib/python{minor}/site-packages"
    info = f"{site}/{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    files: dict[str, bytes | str | Node] = {
        f"{site}/{name}.py": source,
        f"{info}/METADATA": metadata,
    }
    if entry_point:
        files[f"{info}/entry_points.txt"] = f"[console_scripts]\n{name} = {entry_point}\n"
        # As nixpkgs has it: a command that runs its own Python, whatever environment it is in.
        files[f"{folder}/bin/{name}"] = Regular.of(b"#!/absent/python\n", executable=True)
    return files


def write_revision(
    folder: Path,
    tree: Directory,
    commit: str,
    *,
    repository: str = REPOSITORY,
    branches: tuple[str, ...] = (),
) -> None:
    """Put a revision's archive where a server of archives has it, under its commit and its branches."""
    data = git_archive(tree, f"{repository.partition('/')[2]}-{commit}", commit)
    for name in (commit, *branches):
        path = folder / repository / "archive" / f"{name}.tar.gz"
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data)


def git_archive(tree: Directory, root: str, commit: str) -> bytes:
    """What `git archive --prefix ROOT/` makes of a commit; the commit's name is in its first block."""
    buffer = io.BytesIO()
    headers = {"comment": commit} if commit else {}
    with (
        gzip.GzipFile(fileobj=buffer, mode="wb", compresslevel=1, mtime=0) as packed,
        tarfile.open(
            fileobj=packed, mode="w", format=tarfile.PAX_FORMAT, pax_headers=headers
        ) as archive,
    ):
        for path, node in walk(tree):
            if isinstance(node, Directory):
                continue
            member = tarfile.TarInfo(f"{root}/{path}")
            if isinstance(node, Symlink):
                member.type, member.linkname = tarfile.SYMTYPE, node.target
                archive.addfile(member)
            else:
                data = b"".join(node.read())
                member.size, member.mode = len(data), 0o755 if node.executable else 0o644
                archive.addfile(member, io.BytesIO(data))
    return buffer.getvalue()
