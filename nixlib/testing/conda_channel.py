"""The tests' channel: a folder with real archives and repodata of all three kinds, and a server for it.

    channel = local_channel()                     # a folder, made once, then shared; not to be written to
    channel.url                                   # file:///…
    with FileServer(channel.files()) as server:   # over HTTP; `troubles` make it slow, half, or down
        server.url("linux-64/repodata.json")

`write_channel` makes another out of any archives.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from nixlib.cancel import Cancel
from nixlib.filelock import wait_lock
from nixlib.interpreters.host_tree import fingerprint
from nixlib.interpreters.trim import minor_of
from nixlib.platforms import current_system
from nixlib.testing.conda_archives import CondaArchive
from nixlib.testing.conda_packages import sound_archives
from nixlib.testing.conda_python import own_python, python_archives

__all__ = ["LocalChannel", "local_channel", "write_channel"]

_SUBDIRS = {
    "aarch64-darwin": "osx-arm64",
    "aarch64-linux": "linux-aarch64",
    "x86_64-darwin": "osx-64",
    "x86_64-linux": "linux-64",
}


@dataclass(frozen=True)
class LocalChannel:
    """A channel on disk.

    Attributes:
        folder: Its root, with a folder for each platform.
        python: The whole version of its Python.
        subdir: Conda's name of this machine's platform.
    """

    folder: Path
    python: str
    subdir: str

    @property
    def url(self) -> str:
        """As a `file://` URL."""
        return self.folder.as_uri()

    def files(self) -> dict[str, bytes]:
        """Every file by its path, for a `FileServer`."""
        return {
            str(path.relative_to(self.folder)): path.read_bytes()
            for path in sorted(self.folder.rglob("*"))
            if path.is_file()
        }

    def archives(self) -> dict[str, Path]:
        """Every archive by its file name."""
        found = [path for path in self.folder.glob("*/*") if path.suffix in (".conda", ".bz2")]
        return {path.name: path for path in sorted(found)}


def local_channel() -> LocalChannel:
    """The channel with everything in it; costs 4 s the first time, then 30 ms.

    It is kept in the folder for temporary files, and made anew when the running Python or this package
    has changed. Read only: it is shared by all tests of a run.
    """
    host, subdir = own_python(), _SUBDIRS[current_system()]
    digest = hashlib.sha256(fingerprint(host).encode())
    for source in sorted(Path(__file__).parent.glob("conda_*.py")):
        digest.update(source.read_bytes())
    place = Path(tempfile.gettempdir()) / f"nixenv-channel-{os.getuid()}"
    place.mkdir(mode=0o755, exist_ok=True)
    if place.lstat().st_uid != os.getuid():
        raise PermissionError(f"`{place}` is another user's")
    folder = place / digest.hexdigest()[:16]
    release = wait_lock(place / f"{folder.name}.lock", Cancel())
    try:
        if not folder.is_dir():
            _make(folder, [*_everything(place, subdir)])
    finally:
        release()
    return LocalChannel(folder, host.version, subdir)


def _everything(scratch: Path, subdir: str) -> Iterable[CondaArchive]:
    host = own_python()
    yield from python_archives(host, subdir, scratch=scratch)
    yield from sound_archives(minor_of(host.version), subdir)


def _make(folder: Path, archives: Iterable[CondaArchive]) -> None:
    unfinished = folder.with_suffix(".part")
    shutil.rmtree(unfinished, ignore_errors=True)
    write_channel(unfinished, archives)
    unfinished.rename(folder)


def write_channel(folder: Path, archives: Iterable[CondaArchive]) -> None:
    """Lay out a channel in `folder`, with `repodata.json`, `.json.zst` and shards.

    Costs some 0.1 s. Archives without an `index.json` that can be read are put there and not listed.
    """
    from rattler.index import index_fs  # noqa: PLC0415 - 0.2 s that other tests need not pay

    (folder / "noarch").mkdir(parents=True)
    for archive in archives:
        place = folder / archive.subdir
        place.mkdir(exist_ok=True)
        (place / archive.filename).write_bytes(archive.data)

    def index() -> None:
        asyncio.run(index_fs(folder, write_zst=True, write_shards=True))

    with ThreadPoolExecutor(1) as pool:  # callers may be in a loop of their own
        pool.submit(index).result()
