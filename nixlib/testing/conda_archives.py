"""Conda archives, honest and hostile, made in memory for tests; equal arguments give equal bytes.

`make_conda` makes what a conda build would: files that have `PLACEHOLDER` in them are found by
themselves, `info/` tells of each file. Every part of `info/` can be replaced, for archives that no
build would make.
"""

from __future__ import annotations

import bz2
import hashlib
import importlib
import io
import json
import posixpath
import sys
import tarfile
import zipfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from nixlib.tree import Directory, Node, Regular, Symlink, tree_of, walk

__all__ = ["PLACEHOLDER", "CondaArchive", "compress_zstd", "make_conda"]

PLACEHOLDER = "/opt/build/channel_" + "placehold_" * 30
PLACEHOLDER = PLACEHOLDER[:255]  # the length that conda-build pads to
_DATE = (1980, 1, 1, 0, 0, 0)
_SECONDS = 315532800  # the same date
_LEVEL = 3
_LONG_AGO = 1577836800000  # 2020-01-01 in milliseconds, as records have it


@dataclass(frozen=True)
class CondaArchive:
    """An archive in a channel.

    Attributes:
        filename: `<name>-<version>-<build>.conda` or `.tar.bz2`.
        subdir: The folder of the channel that it belongs to.
        data: Its bytes.
        index: Its `info/index.json`.
    """

    filename: str
    subdir: str
    data: bytes = field(repr=False)
    index: Mapping[str, Any] = field(repr=False)

    @property
    def sha256(self) -> str:
        """Of its bytes, in hexadecimal."""
        return hashlib.sha256(self.data).hexdigest()


def make_conda(  # noqa: PLR0913 - one for each thing that tests vary
    name: str,
    version: str = "1.0",
    build: str = "0",
    files: Mapping[str, bytes | str | Node] | None = None,
    *,
    depends: Sequence[str] = (),
    constrains: Sequence[str] = (),
    noarch: str = "",
    subdir: str = "noarch",
    entry_points: Sequence[str] = (),
    suffix: str = ".conda",
    index: Mapping[str, Any] | None = None,
    info: Mapping[str, bytes | str | None] | None = None,
) -> CondaArchive:
    """An archive of `files`.

    Args:
        name: Conda's name.
        version: Of the package.
        build: The build string; what follows its last `_` is the build number, when that is one.
        files: What goes into the prefix; for `noarch="python"` below `site-packages/` and
            `python-scripts/`.
        depends: Match specs.
        constrains: Match specs.
        noarch: `python`, `generic` or empty.
        subdir: `noarch`, `linux-64` …
        entry_points: `name = module:function`, for `noarch="python"`.
        suffix: `.conda` or `.tar.bz2`.
        index: Fields of `index.json` to add, to replace, or (None) to leave out.
        info: Files of `info/` to add, to replace, or (None) to leave out.
    """
    tree = tree_of(files or {})
    record: dict[str, Any] = {
        "name": name,
        "version": version,
        "build": build,
        "build_number": _number(build),
        "depends": list(depends),
        "constrains": list(constrains),
        "subdir": subdir,
        "arch": None if subdir == "noarch" else "x86_64",
        "platform": None if subdir == "noarch" else "linux",
        "license": "MIT",
        "timestamp": _LONG_AGO,
        **({"noarch": noarch} if noarch or subdir == "noarch" else {}),
    }
    record |= {"noarch": noarch or "generic"} if subdir == "noarch" else {}
    record = {k: v for k, v in {**record, **(index or {})}.items() if v is not None}
    inside: dict[str, bytes | str | None] = {
        **dict(_info(tree, record, entry_points if noarch == "python" else None)),
        **(info or {}),
    }
    told = {f"info/{path}": text for path, text in inside.items() if text is not None}
    stem = f"{name}-{version}-{build}"
    pack = _dot_conda if suffix == ".conda" else _tar_bz2
    return CondaArchive(f"{stem}{suffix}", subdir, pack(stem, tree, tree_of(told)), record)


def _number(build: str) -> int:
    last = build.rpartition("_")[2]
    return int(last) if last.isdigit() else 0


def _info(
    tree: Directory, record: Mapping[str, Any], entry_points: Sequence[str] | None
) -> Iterator[tuple[str, str]]:
    """What conda-build writes of a package."""
    nodes = dict(walk(tree))
    paths = [_path(path, node, nodes) for path, node in nodes.items() if not _is_folder(node)]
    prefixed = [entry for entry in paths if "prefix_placeholder" in entry]
    yield "index.json", _json(record)
    yield "paths.json", _json({"paths": paths, "paths_version": 1})
    yield "files", "".join(f"{entry['_path']}\n" for entry in paths)
    yield "about.json", _json({"summary": f"{record['name']} of the tests' channel"})
    if prefixed:
        yield (
            "has_prefix",
            "".join(
                f"{entry['prefix_placeholder']} {entry['file_mode']} {entry['_path']}\n"
                for entry in prefixed
            ),
        )
    if entry_points is not None:
        noarch = {"type": "python", "entry_points": list(entry_points)}
        yield "link.json", _json({"noarch": noarch, "package_metadata_version": 1})


def _is_folder(node: Node) -> bool:
    return isinstance(node, Directory) and bool(node.entries)


def _path(path: str, node: Node, nodes: Mapping[str, Node]) -> dict[str, Any]:
    """One entry of `paths.json`."""
    if isinstance(node, Symlink):
        # conda-build hashes what a link leads to
        target = nodes.get(posixpath.normpath(posixpath.join(posixpath.dirname(path), node.target)))
        data = b"".join(target.read()) if isinstance(target, Regular) else b""
        return {"_path": path, "path_type": "softlink", **_identity(data)}
    if isinstance(node, Directory):
        return {"_path": path, "path_type": "directory"}
    data = b"".join(node.read())
    entry = {"_path": path, "path_type": "hardlink", **_identity(data)}
    if PLACEHOLDER.encode() in data:
        mode = "binary" if b"\0" in data else "text"
        entry |= {"file_mode": mode, "prefix_placeholder": PLACEHOLDER}
    return entry


def _identity(data: bytes) -> dict[str, Any]:
    return {"sha256": hashlib.sha256(data).hexdigest(), "size_in_bytes": len(data)}


def _json(value: Mapping[str, Any]) -> str:
    return json.dumps(value, indent=2, sort_keys=True) + "\n"


def _dot_conda(stem: str, tree: Directory, info: Directory) -> bytes:
    members = {
        "metadata.json": b'{"conda_pkg_format_version": 2}',
        f"pkg-{stem}.tar.zst": compress_zstd(_tar(tree)),
        f"info-{stem}.tar.zst": compress_zstd(_tar(info)),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_STORED) as archive:
        for member, data in members.items():
            archive.writestr(zipfile.ZipInfo(member, _DATE), data)
    return out.getvalue()


def _tar_bz2(_stem: str, tree: Directory, info: Directory) -> bytes:
    return bz2.compress(_tar(Directory({**info.entries, **tree.entries})), 1)


def compress_zstd(data: bytes) -> bytes:
    """A Zstandard frame; the standard library has it since 3.14."""
    module = "compression.zstd" if sys.version_info >= (3, 14) else "backports.zstd"
    frame: bytes = importlib.import_module(module).compress(data, _LEVEL)
    return frame


def _tar(tree: Directory) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.GNU_FORMAT) as archive:
        for path, node in walk(tree):
            member = tarfile.TarInfo(path)
            member.mtime = _SECONDS
            if isinstance(node, Regular):
                member.size, member.mode = node.size, 0o755 if node.executable else 0o644
                archive.addfile(member, io.BytesIO(b"".join(node.read())))
            elif isinstance(node, Symlink):
                member.type, member.linkname = tarfile.SYMTYPE, node.target
                archive.addfile(member)
            elif not node.entries:
                member.type, member.mode = tarfile.DIRTYPE, 0o755
                archive.addfile(member)
    return out.getvalue()
