"""Nix's own programs, run for one answer: nothing inherited that matters, everything bounded.

What they evaluate and build is a stranger's: it may run for ever, eat all memory or print without end. So a
program has a time, a limit of memory, a limit of what is kept of its words, and dies with all its children.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING

from nixlib.errors import StoreError
from nixlib.store import choose_location, find_program

if TYPE_CHECKING:
    from nixlib.cancel import Cancel
    from nixlib.settings import Settings

_TICK = 0.05
_JOIN = 5.0  # seconds for the last words to be read
_KEPT_LINES = 200
_LINE = 4096
_OUTPUT = 16 << 20
_MEMORY = 6 << 30
_DROPPED = "NIX_PATH"
"""The variable by which a shell changes what is evaluated; where the store is and how Nix is set up stays."""


@dataclass(frozen=True)
class Limits:
    """What a program may use.

    Attributes:
        seconds: In all.
        silence: Seconds without a word.
        memory: Bytes of the program itself; looked at where `/proc` is.
        grace: Seconds to die in peace: what builds takes its builders with it.
    """

    seconds: float = 600.0
    silence: float = 600.0
    memory: int = _MEMORY
    grace: float = 0.5


@dataclass(frozen=True)
class Answer:
    """How a program ended.

    Attributes:
        status: Its exit status.
        output: What it printed.
        log: The last lines that it said beside that.
    """

    status: int
    output: bytes
    log: tuple[str, ...]


def nix_env(settings: Settings, env: Mapping[str, str] | None = None) -> dict[str, str]:
    """The process environment in which Nix's programs use the store of `settings`."""
    variables = dict(os.environ if env is None else env)
    location = choose_location(settings.store, variables)
    kept = {name: value for name, value in variables.items() if name != _DROPPED}
    if location.kind == "auto":
        kept.pop("NIX_REMOTE", None)
        return kept
    return {**kept, "NIX_REMOTE": location.uri}


def run_program(
    name: str,
    arguments: Sequence[str],
    *,
    settings: Settings,
    cancel: Cancel,
    limits: Limits | None = None,
    on_line: Callable[[str], None] = lambda _: None,
) -> Answer:
    """Run one of Nix's programs to its end.

    Args:
        name: Such as `nix-instantiate`.
        arguments: Its arguments; no shell sees them.
        settings: Which store it uses.
        cancel: Ends it within moments.
        limits: What it may use.
        on_line: Called with each line of its log, on another thread.

    Raises:
        DaemonUnavailableError: There is no Nix.
        StoreError: It used more than it may; field `reason` is `too-long`, `silent`, `memory` or `output`.
        RealisationCancelledError: Somebody stopped it.
    """
    env = nix_env(settings)
    program = find_program(env, name)
    process = subprocess.Popen(
        [program, *arguments],
        env=env,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd="/",
        start_new_session=True,
    )
    running = _Running(process, name, limits or Limits(), on_line)
    try:
        running.wait(cancel)
    finally:
        running.end()
    return Answer(process.returncode, bytes(running.output), tuple(running.log))


def nix_version(settings: Settings, cancel: Cancel) -> tuple[int, ...]:
    """The version of the Nix that evaluates here, `(2, 8)`.

    Raises:
        DaemonUnavailableError: There is no Nix.
    """
    answer = run_program("nix-instantiate", ["--version"], settings=settings, cancel=cancel)
    found = re.search(rb"(\d+)\.(\d+)", answer.output)
    return (int(found[1]), int(found[2])) if found else (0, 0)


@dataclass
class _Running:
    process: subprocess.Popen[bytes]
    name: str
    limits: Limits
    on_line: Callable[[str], None]
    output: bytearray = field(default_factory=bytearray)
    log: deque[str] = field(default_factory=lambda: deque(maxlen=_KEPT_LINES))

    def __post_init__(self) -> None:
        self._spoke = time.monotonic()
        assert self.process.stdout is not None  # noqa: S101 - pipes, as `run_program` asks for
        assert self.process.stderr is not None  # noqa: S101
        self._threads = [
            threading.Thread(target=self._read_output, args=(self.process.stdout,), daemon=True),
            threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True),
        ]
        for thread in self._threads:
            thread.start()

    def _read_output(self, pipe: IO[bytes]) -> None:
        with pipe:
            while chunk := pipe.read1(1 << 16):  # type: ignore[attr-defined] # a BufferedReader
                self._spoke = time.monotonic()
                if len(self.output) <= _OUTPUT:
                    self.output += chunk

    def _read_log(self, pipe: IO[bytes]) -> None:
        rest = b""
        with pipe:
            while chunk := pipe.read1(1 << 16):  # type: ignore[attr-defined] # a BufferedReader
                self._spoke = time.monotonic()
                *lines, rest = (rest + chunk).split(b"\n")
                rest = rest[-_LINE:]
                self._take(lines)
        self._take([rest] if rest else [])

    def _take(self, lines: Sequence[bytes]) -> None:
        # Of a flood only the end of each wave: who prints a gigabyte must not be waited for.
        for line in lines[-_KEPT_LINES:]:
            text = line[:_LINE].decode("utf-8", "replace").rstrip()
            self.log.append(text)
            self.on_line(text)

    def wait(self, cancel: Cancel) -> None:
        started = time.monotonic()
        while self.process.poll() is None:
            cancel.check()
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(_TICK)
            now = time.monotonic()
            if now - started > self.limits.seconds:
                raise self._excess("too-long", f"more than {self.limits.seconds:.0f} s")
            if now - self._spoke > self.limits.silence:
                raise self._excess("silent", f"no word for {self.limits.silence:.0f} s")
            if self._memory() > self.limits.memory:
                raise self._excess("memory", f"more than {self.limits.memory >> 20} MiB of memory")
            if len(self.output) > _OUTPUT:
                raise self._excess("output", f"more than {_OUTPUT >> 20} MiB of output")

    def _memory(self) -> int:
        try:
            pages = Path(f"/proc/{self.process.pid}/statm").read_text().split()[1]
            return int(pages) * os.sysconf("SC_PAGE_SIZE")
        except (OSError, IndexError, ValueError):
            return 0

    def _excess(self, reason: str, what: str) -> StoreError:
        return StoreError(
            f"`{self.name}` was stopped: {what}", details=tuple(self.log)[-20:], reason=reason
        )

    def end(self) -> None:
        """See to it that nothing of it is left, and that all it said is here."""
        if self.process.poll() is None:
            self._signal(signal.SIGTERM)
            with suppress(subprocess.TimeoutExpired):
                self.process.wait(self.limits.grace)
        self._signal(signal.SIGKILL)
        self.process.wait()
        for thread in self._threads:
            thread.join(_JOIN)

    def _signal(self, number: signal.Signals) -> None:
        # The whole group, also after its leader's end: whatever it forked must not outlive it.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.process.pid, number)
