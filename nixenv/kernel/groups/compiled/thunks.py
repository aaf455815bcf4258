"""Machine code between compiled modules and the functions of `compiled`: x86-64, the calling convention of Linux.

A function of ctypes can neither raise in its caller nor run while an exception is pending, and what a signal
raises on its way in is lost, with any answer. The code around it puts a pending exception aside and gives the
function a place for its answer. It raises an answer with the highest bit set, which no address has, and an
interrupt if there is no answer.

The code lies in a file in memory that is mapped readable and executable, and is never writable there:
systems that refuse memory which becomes executable allow that.
"""

from __future__ import annotations

import ctypes
import os
import struct
from contextlib import suppress

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Sequence

RAISED = 1 << 63
PROT_READ, PROT_EXEC, MAP_PRIVATE = 1, 4, 2
FAILED = ctypes.c_void_p(-1).value

PYTHON = ctypes.pythonapi
PYTHON.Py_IncRef.argtypes = [ctypes.py_object]
PYTHON.Py_IncRef.restype = None

ENTER = b"\xf3\x0f\x1e\xfa"  # endbr64
GIVE_NULL = b"\x31\xc0"  # xor eax, eax
LEAVE = b"\x48\x83\xc4\x58\xc3"  # add rsp, 88; ret


def place_of(name: str) -> int:
    """Where the interpreter has its function `name`."""
    return ctypes.cast(getattr(PYTHON, name), ctypes.c_void_p).value or 0


def immortal(value: Any) -> int:
    """The address of an object that C code may use for as long as the process lives."""
    PYTHON.Py_IncRef(value)
    return id(value)


def _call(place: int) -> bytes:
    return b"\x48\xb8" + struct.pack("<Q", place) + b"\xff\xd0"  # mov rax, place; call rax


def constant(value: int) -> bytes:
    """Code of a function that gives one address, whatever it is asked."""
    return ENTER + b"\x48\xb8" + struct.pack("<Q", value) + b"\xc3"  # mov rax, value; ret


def around(function: int) -> bytes:
    """Code of a function that calls the one of ctypes at this place.

    That one returns nothing and takes where its answer belongs, then up to five arguments.
    """
    # At rsp: type, value and traceback of the pending exception; the arguments; the answer.
    drop = b"".join(
        load + _call(place_of("Py_DecRef"))
        for load in (b"\x48\x8b\x3c\x24", b"\x48\x8b\x7c\x24\x08", b"\x48\x8b\x7c\x24\x10")
    )
    lost = (
        drop
        + b"\x48\xbf"  # mov rdi, KeyboardInterrupt
        + struct.pack("<Q", immortal(KeyboardInterrupt))
        + _call(place_of("PyErr_SetNone"))
        + GIVE_NULL
        + LEAVE
    )
    raising = (
        drop
        + b"\x48\x8b\x74\x24\x40\x48\x8b\x7e\x08"  # mov rsi, the answer; mov rdi, its type
        + _call(place_of("PyErr_SetObject"))
        + b"\x48\x8b\x7c\x24\x40"  # mov rdi, the answer
        + _call(place_of("Py_DecRef"))
        + GIVE_NULL
        + LEAVE
    )
    fine = (
        b"\x48\x8b\x3c\x24\x48\x8b\x74\x24\x08\x48\x8b\x54\x24\x10"  # what was pending
        + _call(place_of("PyErr_Restore"))
        + b"\x48\x8b\x44\x24\x40"  # mov rax, the answer
        + LEAVE
    )
    marked = (
        b"\x48\x0f\xba\xf0\x3f"  # btr rax, 63
        b"\x48\x89\x44\x24\x40"  # the answer, without its mark
        b"\x48\x85\xc0"  # test rax, rax
        + _jump(b"\x0f\x85", len(fine))  # jnz raising; else NULL is the answer
    )
    return (
        ENTER
        + b"\x48\x83\xec\x58"  # sub rsp, 88
        + b"\x48\x89\x7c\x24\x18\x48\x89\x74\x24\x20\x48\x89\x54\x24\x28"  # rdi, rsi, rdx
        + b"\x48\x89\x4c\x24\x30\x4c\x89\x44\x24\x38"  # rcx, r8
        + b"\x48\x89\xe7\x48\x8d\x74\x24\x08\x48\x8d\x54\x24\x10"
        + _call(place_of("PyErr_Fetch"))
        + b"\x31\xc0\x48\x89\x44\x24\x40"  # xor eax, eax: no answer yet
        + b"\x48\x8d\x7c\x24\x40"  # lea rdi, where it belongs; the arguments come after it
        + b"\x48\x8b\x74\x24\x18\x48\x8b\x54\x24\x20\x48\x8b\x4c\x24\x28"
        + b"\x4c\x8b\x44\x24\x30\x4c\x8b\x4c\x24\x38"
        + _call(function)
        + b"\x48\x8b\x44\x24\x40"  # mov rax, the answer
        + b"\x48\x85\xc0"  # test rax, rax
        + _jump(b"\x0f\x84", len(_jump(b"\x0f\x89", 0)) + len(marked + fine + raising))  # jz lost
        + _jump(b"\x0f\x89", len(marked))  # jns fine
        + marked
        + fine
        + raising
        + lost
    )


def _jump(operation: bytes, distance: int) -> bytes:
    return operation + struct.pack("<i", distance)


def thread_state(key: str) -> bytes:
    """Code of `PyThreadState_GetDict` that gives a part of that dictionary, made at the first call.

    It calls no Python code: it may be asked while an exception is pending, and without the lock.
    """
    name = struct.pack("<Q", immortal(key))
    new = (
        _call(place_of("PyDict_New"))
        + b"\x49\x89\xc4"  # mov r12, rax
        + b"\x48\x89\xdf\x48\xbe"  # mov rdi, rbx; mov rsi, key
        + name
        + b"\x48\x89\xc2"  # mov rdx, rax
        + _call(place_of("PyDict_SetItem"))
        + b"\x89\x04\x24"  # mov [rsp], eax
        + b"\x4c\x89\xe7"  # mov rdi, r12: the dictionary has it now
        + _call(place_of("Py_DecRef"))
        + GIVE_NULL
        + b"\x83\x3c\x24\x00"  # cmp dword [rsp], 0
        + b"\x49\x0f\x44\xc4"  # cmove rax, r12
    )
    find = (
        b"\x48\x89\xc3\x48\x89\xc7\x48\xbe"  # mov rbx, rax; mov rdi, rax; mov rsi, key
        + name
        + _call(place_of("PyDict_GetItem"))
        + b"\x48\x85\xc0"  # test rax, rax
        + _jump(b"\x0f\x85", len(new))  # jnz end
        + new
    )
    return (
        ENTER
        + b"\x53\x41\x54\x48\x83\xec\x08"  # push rbx; push r12; sub rsp, 8
        + _call(place_of("PyThreadState_GetDict"))
        + b"\x48\x85\xc0"  # test rax, rax
        + _jump(b"\x0f\x84", len(find))  # jz end
        + find
        + b"\x48\x83\xc4\x08\x41\x5c\x5b\xc3"  # end: add rsp, 8; pop r12; pop rbx; ret
    )


def place(codes: Sequence[bytes]) -> list[int]:
    """Where each of these is, ready to be called, for as long as the process lives.

    Raises:
        OSError: This machine maps no executable memory that did not come from a disk.
    """
    whole, starts = b"", []
    for code in codes:
        starts.append(len(whole))
        whole += code + b"\xcc" * (-len(code) % 16)
    libc = ctypes.CDLL(None, use_errno=True)
    libc.mmap.restype = ctypes.c_void_p
    libc.mmap.argtypes = [ctypes.c_void_p, ctypes.c_size_t, *[ctypes.c_int] * 3, ctypes.c_long]
    descriptor = os.memfd_create("nixenv-private")
    try:
        os.write(descriptor, whole)
        start = libc.mmap(None, len(whole), PROT_READ | PROT_EXEC, MAP_PRIVATE, descriptor, 0)
    finally:
        os.close(descriptor)
    if start == FAILED:
        raise OSError(ctypes.get_errno(), "executable memory is refused")
    return [start + one for one in starts]


def are_possible() -> bool:
    """Whether this process may have such code: hardened systems refuse it."""
    with suppress(OSError, MemoryError, AttributeError):
        (start,) = place([constant(RAISED - 1)])
        made = ctypes.CFUNCTYPE(ctypes.c_int)(lambda: 7)
        answers = ctypes.CFUNCTYPE(ctypes.c_uint64)(start)(), made()
        return answers == (RAISED - 1, 7)
    return False
