"""How a store in memory builds: the real builder, with the store's files where it looks for them.

A namespace in which the store's temporary place is `/nix/store`. What it does not do: hide anything
else of the machine, or run as another user. It needs `unshare` of util-linux and a folder `/nix/store`.
"""

from __future__ import annotations

import os
import selectors
import shutil
import subprocess
import tempfile
import time
from collections import deque
from collections.abc import Callable, Collection, Iterator, Mapping
from pathlib import Path
from typing import IO

from nixlib.cancel import Cancel
from nixlib.daemon import diagnosis
from nixlib.derivation import Derivation
from nixlib.errors import StoreError
from nixlib.storepath import StorePath

_TICK = 0.05
_TAIL = 200
_SCRIPT = 'mount=$2; "$mount" --bind "$0" "$1"; shift 2; exec "$@"'


def run_builder(
    derivation: Derivation,
    place: Path,
    closures: Mapping[str, Collection[tuple[StorePath, Collection[StorePath]]]],
    *,
    store_dir: str,
    on_log: Callable[[str], None],
    cancel: Cancel | None,
    silence: float,
    limit: float,
) -> None:
    """Run a builder; its output is then in `place`.

    Args:
        derivation: What to run.
        place: Where the files of the store are.
        closures: For each file of `exportReferencesGraph`: store objects and their references.
        store_dir: Logical store directory.
        on_log: Called with each line.
        cancel: Stops it.
        silence: Seconds without a line after which it is killed.
        limit: Seconds after which it is killed.

    Raises:
        BuildError: It failed or was killed.
        StoreError: This machine has no namespaces for it.
        RealisationCancelledError: Somebody stopped it.
    """
    lines: deque[str] = deque(maxlen=_TAIL)
    with tempfile.TemporaryDirectory(prefix="memory-build-") as top:
        for name, objects in closures.items():
            Path(top, name).write_text("".join(_registrations(objects, store_dir)))
        command = [*_namespace(place, store_dir), derivation.builder, *derivation.args]
        process = subprocess.Popen(
            command,
            cwd=top,
            env=_environment(derivation, top, store_dir),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        assert process.stdout is not None  # noqa: S101
        killed = ""
        try:
            for line in _lines(process.stdout, cancel or Cancel(), silence, limit):
                lines.append(line)
                on_log(line)
            process.wait(limit)
        except TimeoutError as error:
            killed = str(error)
        finally:
            process.kill()  # `unshare --kill-child`: and with it whatever it has started
            process.stdout.close()
            status = process.wait()
    _judge(derivation, killed, status, tuple(lines), store_dir)


def _judge(
    derivation: Derivation, killed: str, status: int, lines: tuple[str, ...], store_dir: str
) -> None:
    if not killed and status and lines and lines[-1].startswith("unshare: "):
        raise StoreError("a store in memory cannot build here", details=lines, reason="nix")
    if killed or status:
        what = killed or f"its builder failed with exit status {status}"
        reason = "failed" if not killed else "silent" if "nothing" in killed else "too-long"
        raise diagnosis.build_error(
            derivation.name,
            what,
            reason=reason,
            status=None if killed else status,
            drv_path=derivation.path(store_dir).in_dir(store_dir),
            lines=lines,
        )


def _namespace(place: Path, store_dir: str) -> list[str]:
    unshare, mount = shutil.which("unshare"), shutil.which("mount")
    if unshare is None or mount is None:
        raise StoreError("a store in memory cannot build without `unshare`", reason="nix")
    flags = ("--user", "--map-root-user", "--mount", "--pid", "--fork", "--kill-child")
    shell = ("/bin/sh", "-euc", _SCRIPT, str(place), store_dir, mount)
    return [unshare, *flags, "--mount-proc", *shell]


def _environment(derivation: Derivation, top: str, store_dir: str) -> dict[str, str]:
    temporary = dict.fromkeys(("NIX_BUILD_TOP", "TMPDIR", "TEMPDIR", "TMP", "TEMP", "PWD"), top)
    return {
        "PATH": "/path-not-set",
        "HOME": "/homeless-shelter",
        "NIX_STORE": store_dir,
        "NIX_BUILD_CORES": "1",
        **temporary,
        **derivation.env,
        "out": derivation.output(store_dir).in_dir(store_dir),
    }


def _registrations(
    objects: Collection[tuple[StorePath, Collection[StorePath]]], store_dir: str
) -> Iterator[str]:
    for path, references in objects:
        needed = "".join(f"{reference.in_dir(store_dir)}\n" for reference in sorted(references))
        yield f"{path.in_dir(store_dir)}\n\n{len(references)}\n{needed}"


def _lines(output: IO[bytes], cancel: Cancel, silence: float, limit: float) -> Iterator[str]:
    start = last = time.monotonic()
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(output, selectors.EVENT_READ)
        while True:
            cancel.check()
            now = time.monotonic()
            if now - start > limit:
                raise TimeoutError(f"its builder was not done after {limit:g} s and was killed")
            if now - last > silence:
                raise TimeoutError(f"its builder printed nothing for {silence:g} s and was killed")
            if not selector.select(_TICK):
                continue
            data = os.read(output.fileno(), 1 << 16)
            if not data:
                break
            last = now
            *lines, rest = (rest + data).split(b"\n")
            yield from (line.decode("utf-8", "replace") for line in lines)
    if rest:
        yield rest.decode("utf-8", "replace")
