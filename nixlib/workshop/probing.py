"""Proof that enclosed builds are enclosed: one is built that looks for holes.

A setting proves nothing. Nix ignores a client that asks for its sandbox, and turns it off by itself
where the machine cannot do it (`sandbox-fallback`).
"""

from __future__ import annotations

import contextlib
import json
import os
import secrets
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from nixlib.cancel import Cancel
from nixlib.interpreters.host_memory import HostMemory
from nixlib.workshop.enclosure import sandbox_error
from nixlib.workshop.workshop import Workshop

# Of these, what the machine has must not be seen inside.
_OF_THE_MACHINE: Final = (
    *("/home", "/root", "/usr/lib", "/var/lib", "/run", "/sys", "/boot", "/opt", "/srv"),
    *("/etc/hostname", "/etc/machine-id", "/etc/nix", "/etc/shadow", "/etc/ssl"),
)
_SECONDS: Final = 120.0
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


def check_enclosure(workshop: Workshop, cancel: Cancel | None = None) -> None:
    """Make sure that whatever is built `enclosed` in this workshop can neither see nor reach this machine.

    Costs a build, 0.2 s; what was proved is remembered until the machine starts anew.

    Raises:
        SandboxError: It can; `seen` says what.
        BuildError: The probe could not be run.
        StoreError: Nix cannot build.
        RealisationCancelledError: Somebody stopped it.
    """
    memory = HostMemory(workshop.settings.state_dir / "workshop.json")
    # The probe without what makes each one unique: other scripts, another runtime are to be proved anew.
    scripts = workshop.derivation("probe", "probe", {}, (), enclosed=True).path()
    key = f"enclosed {_boot_id()} {os.geteuid()} {workshop.physical_dir} {scripts}"
    if memory.recall(key) is not None:
        return
    holes = _probe(workshop, cancel)
    if holes:
        raise sandbox_error(holes)
    memory.keep({key: {}})


def _probe(workshop: Workshop, cancel: Cancel | None) -> tuple[str, ...]:
    with bait() as (marker, port):
        paths = [marker, *(path for path in _OF_THE_MACHINE if os.path.lexists(path))]
        # Never the same twice: an output that is valid already would prove nothing of today.
        arguments = {"paths": paths, "port": port, "once": secrets.token_hex(16)}
        probe = workshop.derivation("probe", "probe", arguments, (), enclosed=True)
        output = workshop.build(probe, cancel=cancel, silence=_SECONDS, limit=_SECONDS)
    return tuple(json.loads((workshop.store.physical(output) / "holes.json").read_bytes()))


@contextmanager
def bait() -> Iterator[tuple[str, int]]:
    """A file that every user of this machine can see, and a port where every user finds somebody."""
    # Not where `TMPDIR` says: a folder that is closed to others would hide it for another reason.
    with (
        tempfile.NamedTemporaryFile(prefix="nixenv-probe-", dir="/tmp") as marker,
        socket.create_server(("127.0.0.1", 0)) as server,
    ):
        Path(marker.name).chmod(0o644)
        listening = threading.Thread(target=_accept, args=(server,), daemon=True)
        listening.start()
        try:
            yield marker.name, server.getsockname()[1]
        finally:
            # Wakes it up; closing the socket alone would not.
            server.shutdown(socket.SHUT_RDWR)
            listening.join()


def _accept(server: socket.socket) -> None:
    with contextlib.suppress(OSError):
        while True:
            server.accept()[0].close()


def _boot_id() -> str:
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        return ""
