"""The engine, reached as a process: one JSON object is its answer, one JSON line each its events.

Invariant: when `ask` returns or raises, however that comes about, the process is gone and reaped.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import deque

from .failure import KernelSideError, engine_failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Iterable, Mapping

    from .session import Session

    Answer = Mapping[str, Any]
    Process = subprocess.Popen[bytes]

# Lines of the engine's own complaints that are kept as evidence when it dies without an answer.
EVIDENCE_LINES = 20
# Seconds that an interrupted engine has to leave the store in order, before it is killed.
GRACE = 10.0


def ask(
    session: Session, verb: str, arguments: Iterable[str], on_event: Callable[[Answer], None]
) -> Answer:
    """Run one verb of the engine on the session's document.

    Args:
        session: Which engine and which document.
        verb: `add`, `lock`, …
        arguments: What follows the document.
        on_event: Called on this thread with every event, as the object that the engine printed.

    Returns:
        The engine's answer.

    Raises:
        KernelSideError: The engine said what went wrong, was interrupted, or died.
    """
    argv = [*session.engine, verb, session.document, *arguments, "--json", "--events"]
    try:
        process = subprocess.Popen(
            argv,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env=_process_env(session),
            # A front end's interrupt goes to the kernel's whole process group. In a session of its own
            # the engine gets exactly one signal, from us: a second one would end it at once.
            start_new_session=True,
        )
    except OSError as error:
        raise KernelSideError(
            "EngineError",
            f"the engine cannot be started\n  `{argv[0]}`: {error.strerror or error}",
            hint="restart the Jupyter server; if that does not help, install nixenv there again",
        ) from error
    with process:
        try:
            output, evidence, interrupted = _follow(process, on_event)
        finally:
            _end(process)
    return _answer(session, verb, process.returncode, output, evidence, interrupted=interrupted)


def _process_env(session: Session) -> dict[str, str]:
    if session.owns_environment:
        return engine_environment(session.variables, os.environ, sys.prefix)
    # This process runs in the engine's own installation, or in one that can import it.
    return {**os.environ, **session.variables}


def engine_environment(
    variables: Mapping[str, str], environ: Mapping[str, str], prefix: str
) -> dict[str, str]:
    """The process environment for an engine started by this kernel.

    The kernel's own, which has the proxies and credentials that a user may have set in a cell, but
    without what would change the engine's Python, and without the environment's `bin` on PATH: its
    `uv` only says that `%nixenv add` is the way.
    """
    kept = {name: value for name, value in environ.items() if not name.startswith("PYTHON")}
    own_bin = os.path.join(prefix, "bin")
    folders = kept.get("PATH", os.defpath).split(os.pathsep)
    kept["PATH"] = os.pathsep.join(folder for folder in folders if not _is_same(folder, own_bin))
    # What a user sets in a cell comes later than what the server had, so it wins.
    return {**variables, **kept}


def _is_same(folder: str, other: str) -> bool:
    return folder == other or os.path.realpath(folder) == os.path.realpath(other)


def _follow(
    process: Process, on_event: Callable[[Answer], None]
) -> tuple[bytes, Iterable[str], bool]:
    """Read both pipes to their end: the output, the lines that were no events, and whether we stopped it."""
    chunks: list[bytes] = []
    reader = threading.Thread(target=lambda: chunks.append(process.stdout.read()), daemon=True)  # type: ignore[union-attr]
    reader.start()
    evidence: deque[str] = deque(maxlen=EVIDENCE_LINES)
    interrupted = False
    try:
        _read_events(process, on_event, evidence)
        process.wait()
    except KeyboardInterrupt:
        interrupted = True
        _interrupt(process)
    reader.join(timeout=GRACE)
    return b"".join(chunks), evidence, interrupted


def _read_events(
    process: Process, on_event: Callable[[Answer], None], evidence: deque[str]
) -> None:
    assert process.stderr is not None  # noqa: S101 - it was asked for
    for line in process.stderr:
        text = line.decode("utf-8", "replace").rstrip()
        event = _parse_event(text)
        if event is not None:
            on_event(event)
        elif text:
            evidence.append(text)


def _parse_event(text: str) -> Answer | None:
    if not text.startswith("{"):
        return None
    try:
        event = json.loads(text)
    except ValueError:
        return None
    return event if isinstance(event, dict) and "event" in event else None


def _interrupt(process: Process) -> None:
    """Let the engine stop in good order; a second interrupt by the user ends it at once."""
    process.send_signal(signal.SIGINT)
    try:
        process.wait(timeout=GRACE)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()


def _end(process: Process) -> None:
    if process.poll() is None:
        process.kill()
    process.wait()


def _answer(
    session: Session,
    verb: str,
    status: int,
    output: bytes,
    evidence: Iterable[str],
    *,
    interrupted: bool,
) -> Answer:
    try:
        answer = json.loads(output.decode("utf-8"))
    except ValueError:
        answer = None
    if isinstance(answer, dict) and status == 0:
        # Also when it was interrupted: then it had finished before the signal, and its work is done.
        return answer
    if interrupted:
        raise KernelSideError("Interrupted", f"`%nixenv {verb}` was stopped; nothing has changed")
    if isinstance(answer, dict) and isinstance(answer.get("error"), dict):
        raise engine_failure(_in_users_terms(answer["error"], session))
    lines = "".join("\n  " + line for line in evidence)
    how = f"was killed by signal {-status}" if status < 0 else f"ended with exit status {status}"
    raise KernelSideError(
        "EngineError",
        f"the engine gave no answer to `{verb}`: it {how}{lines}",
        hint="run `nixenv doctor` in a terminal",
    )


def _in_users_terms(error: Mapping[str, Any], session: Session) -> Answer:
    """The engine's error with the notebook's name for a mailbox, of which no user has ever heard."""
    name = session.notebook_name
    if os.path.basename(session.document) == name:
        return error
    return {
        key: text.replace(session.document, name) if isinstance(text, str) else text
        for key, text in error.items()
    }
