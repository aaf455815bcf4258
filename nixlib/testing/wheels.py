"""Real wheels, honest and hostile, made in memory for tests; equal arguments give equal bytes.

`make_wheel` makes what a build backend would. Every part of it can be replaced, and `make_archive`
makes any ZIP at all, for wheels that no backend would make.
"""

from __future__ import annotations

import hashlib
import io
import stat
import struct
import warnings
import zipfile
from base64 import urlsafe_b64encode
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

__all__ = ["Entry", "make_archive", "make_elf", "make_wheel"]

_DATE = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True)
class Entry:
    """One entry of an archive.

    Attributes:
        name: Its path, any text.
        data: Its bytes; the target, for a link.
        mode: Unix mode with file type.
        deflated: Whether it is compressed.
    """

    name: str
    data: bytes = b""
    mode: int = stat.S_IFREG | 0o644
    deflated: bool = True


def make_archive(entries: Iterable[Entry]) -> bytes:
    """A ZIP with these entries in this order, whatever their names."""
    buffer = io.BytesIO()
    with warnings.catch_warnings(), zipfile.ZipFile(buffer, "w") as archive:
        warnings.simplefilter("ignore", UserWarning)  # duplicate names are what some tests want
        for entry in entries:
            info = zipfile.ZipInfo("placeholder", _DATE)
            info.filename = entry.name  # the constructor would tidy it
            info.external_attr = entry.mode << 16
            info.create_system = 3
            method = zipfile.ZIP_DEFLATED if entry.deflated else zipfile.ZIP_STORED
            archive.writestr(info, entry.data, method)
    return buffer.getvalue()


def make_wheel(
    name: str = "demo",
    version: str = "1.0",
    files: Mapping[str, bytes | str | Entry] | None = None,
    *,
    data: Mapping[str, bytes | str] | None = None,
    entry_points: str = "",
    metadata: str | None = None,
    wheel_version: str = "1.0",
    record: str | None = None,
    more: Iterable[Entry] = (),
) -> bytes:
    r"""A wheel.

    Args:
        name: The project's; `-` becomes `_` in file names.
        version: Of the project.
        files: What goes into site-packages; one module by default.
        data: What goes below `.data/`, such as `{"scripts/run": "#!python\n"}`.
        entry_points: Text of entry_points.txt.
        metadata: Replaces METADATA.
        wheel_version: Of the format.
        record: Replaces RECORD.
        more: Entries that RECORD does not know, at the end.
    """
    stem = f"{name.replace('-', '_')}-{version}"
    info = f"{stem}.dist-info"
    members: dict[str, bytes | str | Entry] = {
        **(
            {f"{name.replace('-', '_')}.py": f"VERSION = {version!r}\n"} if files is None else files
        ),
        **{f"{stem}.data/{path}": content for path, content in (data or {}).items()},
        f"{info}/METADATA": metadata
        if metadata is not None
        else f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n\n",
        f"{info}/WHEEL": f"Wheel-Version: {wheel_version}\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    }
    if entry_points:
        members[f"{info}/entry_points.txt"] = entry_points
    entries = [_entry(path, content) for path, content in members.items()]
    rows = [_row(entry) for entry in entries]
    text = (
        record if record is not None else "".join(f"{row}\n" for row in [*rows, f"{info}/RECORD,,"])
    )
    return make_archive([*entries, Entry(f"{info}/RECORD", text.encode()), *more])


def _entry(path: str, content: bytes | str | Entry) -> Entry:
    if isinstance(content, Entry):
        return Entry(path, content.data, content.mode, content.deflated)
    return Entry(path, content.encode() if isinstance(content, str) else content)


def _row(entry: Entry) -> str:
    digest = urlsafe_b64encode(hashlib.sha256(entry.data).digest()).rstrip(b"=").decode()
    return f"{entry.name},sha256={digest},{len(entry.data)}"


def make_elf(
    *, run_path: str = "", needed: Iterable[str] = (), soname: str = "", rpath: str = ""
) -> bytes:
    """A 64-bit little endian shared library with a dynamic section and nothing else.

    The loader's tables are true; there is no code. Layout: header, two program headers, the dynamic
    section, its texts.
    """
    texts = b"\0"
    entries: list[tuple[int, int]] = []
    wanted = [(1, text) for text in needed] + [(14, soname), (15, rpath), (29, run_path)]
    for tag, text in wanted:
        if text:
            entries.append((tag, len(texts)))
            texts += text.encode() + b"\0"
    dynamic = 64 + 2 * 56
    start = dynamic + (len(entries) + 3) * 16
    entries += [(5, start), (10, len(texts)), (0, 0)]
    table = b"".join(struct.pack("<QQ", *entry) for entry in entries)
    size = start + len(texts)
    header = struct.pack(
        "<4sBBBB8xHHIQQQIHHHHHH",
        b"\x7fELF", 2, 1, 1, 0, 3, 62, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0,
    )  # fmt: skip
    load = struct.pack("<IIQQQQQQ", 1, 5, 0, 0, 0, size, size, 4096)
    segment = struct.pack("<IIQQQQQQ", 2, 6, dynamic, dynamic, dynamic, len(table), len(table), 8)
    return header + load + segment + table + texts
