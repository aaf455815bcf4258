"""A notebook's metadata: the only place that reads or writes it.

Three kinds of document carry a spec and its lock: a notebook (`metadata["nixenv"]`), a mailbox (a bare
`.json` object with a `nixenv` key, for notebooks that exist only in the memory of a headless client) and
a `nixenv.toml` (the spec; its lock is `nixenv.lock` beside it). What is read is a value; writing gives
the value back and succeeds only if nobody has changed the file in the meantime.
"""

from __future__ import annotations

import codecs
import hashlib
import json
import os
import time
from collections.abc import Callable, Mapping, MutableMapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from nixenv.errors import ConflictError, MetadataError

KEY = "nixenv"

Kind = Literal["notebook", "mailbox", "toml"]
_KINDS: dict[str, Kind] = {".ipynb": "notebook", ".json": "mailbox", ".toml": "toml"}

_BOM = b"\xef\xbb\xbf"
_WRITTEN_JUST_NOW = 5.0  # seconds; an older file with half its JSON will not get the other half


@dataclass(frozen=True, slots=True)
class Stamp:
    """What a file was when it was read: enough to see that it is another one now."""

    mtime_ns: int
    size: int
    inode: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Document:
    """What one document says, and what its file was at that moment.

    Attributes:
        path: Absolute, symbolic links kept.
        metadata: The notebook's metadata; of other kinds, an object with the key `nixenv`.
        stamp: For `write_document`.
        name: What to call it in messages.
    """

    path: Path
    metadata: Mapping[str, Any]
    stamp: Stamp
    name: str

    @property
    def kind(self) -> Kind:
        """Which of the three kinds, by the file's name."""
        return _KINDS[self.path.suffix]

    @property
    def spec(self) -> Any:
        """The value of `nixenv` (spec and lock) as it stands there, or None."""
        return self.metadata.get(KEY)


def read_document(
    path: Path, *, patience: float = 1.0, sleep: Callable[[float], None] = time.sleep
) -> Document:
    """Read the document at `path`; costs its size (200 MB: seconds and a gigabyte).

    Args:
        path: A `.ipynb`, `.json` or `.toml` file.
        patience: Seconds to wait for somebody who is writing the file at this moment.
        sleep: How to wait.

    Raises:
        MetadataError: It cannot be read, or is not what its name says; `notebook` and `key` say where.
    """
    path = Path(os.path.abspath(path))  # noqa: PTH100 - resolve() would follow the user's links
    deadline = time.monotonic() + patience
    while True:
        try:
            return _read(path)
        except MetadataError as error:
            if not error.fields.get("unfinished") or time.monotonic() >= deadline:
                raise
        sleep(0.05)


def _read(path: Path) -> Document:
    if path.suffix not in _KINDS:
        raise MetadataError(
            f"`{path.name}` is not a document that can carry an environment",
            details=("known are `.ipynb`, `.json` and `.toml`",),
            notebook=str(path),
        )
    data, stamp = _read_bytes(path)
    try:
        text = data.removeprefix(_BOM).decode()
    except UnicodeDecodeError as error:
        is_utf16 = data[:2] in (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)
        raise MetadataError(
            f"`{path.name}` is not UTF-8 text",
            details=(f"byte {error.start} is 0x{data[error.start]:02x}",),
            hint=f'`iconv -f UTF-16 -t UTF-8 "{path}"` prints it as UTF-8' if is_utf16 else "",
            notebook=str(path),
        ) from error
    metadata = _parse_toml(path, text) if path.suffix == ".toml" else _parse_json(path, text, stamp)
    named = metadata.get("notebook") if path.suffix == ".json" else None
    name = Path(named).name if isinstance(named, str) else path.name
    return Document(path=path, metadata=metadata, stamp=stamp, name=name)


def _read_bytes(path: Path) -> tuple[bytes, Stamp]:
    try:
        with path.open("rb") as file:
            data = file.read()
            status = os.fstat(file.fileno())
    except FileNotFoundError as error:
        raise MetadataError(f"there is no `{path}`", notebook=str(path)) from error
    except OSError as error:
        raise MetadataError(
            f"cannot read `{path}`: {_reason(error)}", notebook=str(path)
        ) from error
    sha256 = hashlib.sha256(data)
    if path.suffix == ".toml" and (lock := lock_path(path)).exists():
        sha256.update(lock.read_bytes())
    return data, Stamp(status.st_mtime_ns, status.st_size, status.st_ino, sha256.hexdigest())


def _reason(error: OSError) -> str:
    return (error.strerror or str(error)).lower()


def _parse_json(path: Path, text: str, stamp: Stamp) -> dict[str, Any]:
    try:
        value = json.loads(text)
    except (ValueError, RecursionError) as error:
        fresh = time.time() - stamp.mtime_ns / 1e9 < _WRITTEN_JUST_NOW
        where = (
            f": line {error.lineno}, {error.msg.removesuffix(' at')}"
            if isinstance(error, json.JSONDecodeError)
            else ""
        )
        raise MetadataError(
            f"`{path.name}` is not JSON{where.lower()}",
            details=("it is empty",) if not text.strip() else (),
            hint=_checkpoint_hint(path),
            notebook=str(path),
            unfinished=fresh,
        ) from error
    if not isinstance(value, dict):
        raise _not_an_object(path, "the whole document", value)
    if path.suffix == ".json":
        return value
    metadata = value.get("metadata", {})
    if not isinstance(metadata, dict):
        raise _not_an_object(path, "metadata", metadata)
    return metadata


def _checkpoint_hint(path: Path) -> str:
    """How to get back what Jupyter saved before, where it keeps that."""
    kept = path.parent / ".ipynb_checkpoints" / f"{path.stem}-checkpoint{path.suffix}"
    return f'`cp "{kept}" "{path}"` brings back an earlier save' if kept.is_file() else ""


def _not_an_object(path: Path, key: str, found: object) -> MetadataError:
    kind = {list: "a list", str: "a text", type(None): "null", bool: "a boolean"}
    return MetadataError(
        f"`{key}` of `{path.name}` is not an object",
        details=(f"found {kind.get(type(found), 'a number')}",),
        notebook=str(path),
        key=key,
        found=type(found).__name__,
    )


def lock_path(toml: Path) -> Path:
    """Where the lock of a `nixenv.toml` is kept."""
    return toml.with_suffix(".lock")


def _parse_toml(path: Path, text: str) -> dict[str, Any]:
    # tomlkit, because Python 3.10 has no tomllib and writing needs it anyway.
    import tomlkit  # noqa: PLC0415 - only documents of this kind pay for it
    import tomlkit.exceptions  # noqa: PLC0415

    try:
        spec = tomlkit.parse(text).unwrap()
    except tomlkit.exceptions.TOMLKitError as error:
        raise MetadataError(
            f"`{path.name}` is not TOML: {str(error)[:1].lower()}{str(error)[1:]}",
            notebook=str(path),
        ) from error
    if "lock" in spec:
        raise MetadataError(
            f"`lock` does not belong in `{path.name}`",
            details=(f"it is kept in `{lock_path(path).name}` beside it",),
            notebook=str(path),
            key="lock",
        )
    value = {**spec, **_beside(path)}
    return {KEY: value} if value else {}


def _beside(path: Path) -> dict[str, Any]:
    beside = lock_path(path)
    if not beside.exists():
        return {}
    try:
        return {"lock": json.loads(beside.read_text(encoding="utf-8"))}
    except (OSError, ValueError) as error:
        raise MetadataError(
            f"`{beside.name}` is not a lock: it is not JSON",
            hint=f"`nixenv lock {path.name}`",
            notebook=str(path),
            key="lock",
        ) from error


def create_document(path: Path) -> Document:
    """Make an empty document at `path`, which must not exist yet.

    Raises:
        MetadataError: There is a file already, or none can be made there.
    """
    empty = {
        ".ipynb": '{\n "cells": [],\n "metadata": {},\n "nbformat": 4,\n "nbformat_minor": 5\n}\n',
        ".json": "{}\n",
        ".toml": "",
    }
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(empty.get(path.suffix, ""))
    except OSError as error:
        raise MetadataError(
            f"cannot make `{path}`: {_reason(error)}", notebook=str(path)
        ) from error
    return read_document(path)


def write_document(document: Document, changes: Mapping[str, Any]) -> Document:
    """Set keys of the document's metadata, None to remove one; every other byte stays.

    Atomic: a reader sees the old file or the new one. A symbolic link is followed; mode, owner and
    extended attributes are kept. Two writers of ours exclude each other by a lock on the file.

    Returns:
        The document as it is now.

    Raises:
        ConflictError: Somebody has changed the file since `document` was read; nothing is written.
        MetadataError: The file or its folder cannot be written; nothing is written.
    """
    from nixenv.notebook.atomic import exclusive, replace  # noqa: PLC0415 - reading does not need to write

    target = document.path.resolve()
    try:
        with exclusive(target):
            data, stamp = _read_bytes(document.path)
            if stamp.sha256 != document.stamp.sha256:
                raise _changed(document)
            written = _with_changes(document, data, changes)
            still = (stamp.mtime_ns, stamp.size, stamp.inode)
            if written[target] != data and not replace(target, written[target], still=still):
                raise _changed(document)
            for path, content in written.items():
                if path != target and not (path.exists() and path.read_bytes() == content):
                    replace(path, content)
    except OSError as error:
        raise MetadataError(
            f"cannot write `{document.path}`: {_reason(error)}",
            hint=f'`chmod u+w "{document.path}"`' if isinstance(error, PermissionError) else "",
            notebook=str(document.path),
        ) from error
    return read_document(document.path)


def _changed(document: Document) -> ConflictError:
    return ConflictError(
        f"`{document.name}` was changed by somebody else in the meantime, so it is left as it is",
        details=("most often a Jupyter client saved it",),
        hint="run the same command once more",
        notebook=str(document.path),
    )


def _with_changes(document: Document, data: bytes, changes: Mapping[str, Any]) -> dict[Path, bytes]:
    """The new content of each file of the document."""
    from nixenv.notebook.splice import with_member  # noqa: PLC0415

    target = document.path.resolve()
    if document.kind == "toml":
        return _toml_changes(target, data.decode(), changes.get(KEY))
    text = data.removeprefix(_BOM).decode()
    for key, value in changes.items():
        text = with_member(
            text, ("metadata", key) if document.kind == "notebook" else (key,), value
        )
    return {target: data[: len(_BOM)] * data.startswith(_BOM) + text.encode()}


def _toml_changes(target: Path, text: str, value: Mapping[str, Any] | None) -> dict[Path, bytes]:
    # tomlkit keeps the author's comments and order, which is why people choose TOML for this.
    import tomlkit  # noqa: PLC0415

    spec = {key: item for key, item in (value or {}).items() if key != "lock"}
    document = tomlkit.parse(text)
    _set_members(document, spec)
    files = {target: tomlkit.dumps(document).encode()}
    if value and "lock" in value:
        lock = json.dumps(value["lock"], indent=1, sort_keys=True, ensure_ascii=False)
        files[lock_path(target)] = f"{lock}\n".encode()
    return files


def _set_members(table: MutableMapping[str, Any], wanted: Mapping[str, Any]) -> None:
    """Change only what is different: what is set anew loses the comments in it."""
    for key in [key for key in table if key not in wanted]:
        del table[key]
    for key, item in wanted.items():
        there = table.get(key)
        if isinstance(there, MutableMapping) and isinstance(item, Mapping):
            _set_members(there, item)
        elif key not in table or there != item:
            table[key] = item
