"""Large buffers between processes: written once into memory without a name, and mapped by the other side.

The receiver's mapping is private: what it writes into an array is its own, and pages that it only reads are
never copied. The sender keeps nothing; the memory is gone with the last mapping.
"""

from __future__ import annotations

import mmap
import os
import tempfile

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    Layout = Sequence[Sequence[int]]

# Smaller ones travel inside the message: a mapping costs some 20 µs.
SHARED_FROM = 32 * 1024
ALIGNMENT = 64
_SEALS = 0x1 | 0x2 | 0x4 | 0x8  # F_SEAL_SEAL, _SHRINK, _GROW, _WRITE of fcntl.h
_ADD_SEALS, _GET_SEALS = 1033, 1034


def anonymous() -> int:
    """An open file in memory that has no name."""
    create = getattr(os, "memfd_create", None)
    if create is not None:
        return int(create("nixenv", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING))
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def share(buffers: Sequence[memoryview]) -> tuple[int, Layout]:
    """Write buffers into one anonymous file; the file, and start and length of each in it.

    Raises:
        OSError: Memory ran out.
    """
    file = anonymous()
    layout = []
    end = 0
    try:
        for buffer in buffers:
            start = -(-end // ALIGNMENT) * ALIGNMENT
            end = start + buffer.nbytes
            layout.append((start, buffer.nbytes))
            _write(file, buffer, start)
        seal(file)
    except BaseException:
        os.close(file)
        raise
    return file, layout


def _write(file: int, buffer: memoryview, start: int) -> None:
    done = 0
    while done < buffer.nbytes:
        # One call of the system writes less than 2 GiB.
        done += os.pwrite(file, buffer[done : done + (1 << 30)], start + done)


def seal(file: int) -> None:
    """From now on nobody changes what is in the file, where the system can promise that."""
    if hasattr(os, "memfd_create"):
        import fcntl  # noqa: PLC0415

        fcntl.fcntl(file, _ADD_SEALS, _SEALS)


def attach(file: int, layout: Layout) -> list[memoryview]:
    """The buffers in an anonymous file, writable and private; the file may be closed afterwards.

    Raises:
        ValueError: The layout is not of this file, or somebody could still shorten it.
    """
    end = max((start + size for start, size in layout), default=0)
    if os.fstat(file).st_size < end or any(min(place) < 0 for place in layout):
        raise ValueError("the memory is shorter than what should be in it")
    if hasattr(os, "memfd_create"):
        import fcntl  # noqa: PLC0415

        if fcntl.fcntl(file, _GET_SEALS) & _SEALS != _SEALS:
            raise ValueError("the memory could change while it is read")
    if end == 0:
        return [memoryview(bytearray()) for _ in layout]
    whole = memoryview(mmap.mmap(file, end, access=mmap.ACCESS_COPY))
    return [whole[start : start + size] for start, size in layout]
