"""What a process that speaks for a worker can do to the kernel, and what it cannot."""

from __future__ import annotations

import contextlib
import os
import pickle
import resource
import socket
import struct
import threading
from pathlib import Path

import pytest

from nixenv.kernel.process import encoding, guards, link, namesakes, wire
from nixenv.kernel.process.references import References


def references(ask=None) -> References:
    return References("there.", "write it there", ask)


@pytest.fixture
def kernel_and_worker():
    """The kernel's link, and the bare socket of what should be a worker."""
    ours, theirs = socket.socketpair()
    connection = link.Link(
        wire.Wire(ours),
        references(lambda name: name),
        "group `g`",
        first=2,
        guard=guards.KernelGuard(lambda _: None),
    )
    yield connection, theirs
    with contextlib.suppress(OSError):
        theirs.shutdown(socket.SHUT_RDWR)
    theirs.close()
    connection.greeted.wait(10)
    ours.close()


def asked(connection: link.Link, theirs: socket.socket, payload: bytes) -> tuple[int, object]:
    """What the kernel answers to a call of the worker's, in a thread of the worker's own."""
    end = wire.Wire(theirs)
    end.send(wire.Message(wire.CALL, 1001, 7, payload))
    answer = end.receive()
    assert answer is not None
    return answer.kind, encoding.decode(answer.payload, answer.descriptors, references())


def test_worker_cannot_ask_for_a_module_of_the_kernel_by_its_name(kernel_and_worker):
    payload, _ = encoding.encode(("module_getattr", ["os", "system"]), references())
    kind, error = asked(*kernel_and_worker, payload)
    assert (kind, type(error)) == (wire.FAILURE, KeyError)
    assert kernel_and_worker[0].references.count == 0


def test_worker_cannot_ask_for_what_was_never_handed_to_it(kernel_and_worker):
    payload, _ = encoding.encode(("call", [1, (), {}]), references())
    kind, error = asked(*kernel_and_worker, payload)
    assert (kind, type(error).__name__) == (wire.FAILURE, "GoneError")


def test_announced_message_takes_no_memory_before_it_comes():
    ours, theirs = socket.socketpair()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    theirs.sendall(wire.HEAD.pack(wire.REPLY, 0, 0, 1, 1 << 31) + b"x" * 100)
    theirs.close()
    assert wire.Wire(ours).receive() is None
    ours.close()
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 1 << 19


def _open_files() -> int:
    return len(list(Path("/proc/self/fd").iterdir()))


def test_files_of_a_message_that_was_cut_off_are_closed():
    ours, theirs = socket.socketpair()
    kept = _open_files() - 1  # of the two ends, one is closed before they are counted
    reading, writing = os.pipe()
    head = wire.HEAD.pack(wire.REPLY, 1, 0, 1, 100)
    socket.send_fds(theirs, [head], [reading])
    for file in (reading, writing):
        os.close(file)
    theirs.close()
    assert wire.Wire(ours).receive() is None
    assert _open_files() == kept
    ours.close()


@pytest.mark.parametrize("size", [0, 1, wire.ANNOUNCED - 1, wire.ANNOUNCED * 5 + 3])
def test_message_of_any_length_arrives_whole(size):
    ours, theirs = socket.socketpair()
    payload = os.urandom(size)
    message = wire.Message(wire.REPLY, 1, 2, payload)
    thread = threading.Thread(target=wire.Wire(theirs).send, args=(message,))
    thread.start()
    found = wire.Wire(ours).receive()
    thread.join()
    assert found is not None
    assert found.payload == payload
    ours.close()
    theirs.close()


def _text(value: str) -> bytes:
    return b"X" + struct.pack("<I", len(value)) + value.encode()


def test_bytes_cannot_call_what_both_sides_have(tmp_path):
    mark = tmp_path / "mark"
    found = b"\x80\x05cx\n_make_common\n(" + _text("os") + _text("system") + b"K\x01tR"
    with pytest.raises(TypeError):
        encoding.decode(found + b"(" + _text(f"touch {mark}") + b"tR.\0", (), references())
    assert not mark.exists()
    alone = encoding.decode(found + b".\0", (), references())
    assert not callable(alone)
    assert namesakes.own(alone) is os.system


def test_kernel_gives_no_module_to_bytes_that_name_it():
    module = b"\x80\x05cx\n_make_own_module\n(" + _text("os") + b"tR.\0"
    with pytest.raises(pickle.UnpicklingError, match="no modules"):
        encoding.decode(module, (), references(lambda name: name))
    assert encoding.decode(module, (), references()) is os


def test_interrupt_while_a_worker_starts_leaves_no_process(here, tmp_path):
    python = tmp_path / "slow" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text("#!/bin/sh\nexec sleep 60\n")
    python.chmod(0o755)
    here.run(
        f"""
        slow = Remote(ProcessGroup("slow", {str(tmp_path / "slow")!r}, {{}}))
        def children():
            with open(f"/proc/{{os.getpid()}}/task/{{os.getpid()}}/children") as file: return file.read()
        def interrupt():
            until(children)
            time.sleep(0.3)
            os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=interrupt).start()
        raised(KeyboardInterrupt, slow.link)
        assert children() == ""
        """
    )
