"""What each document asks for, and whether it has it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import Path

from nixenv.config import load_settings
from nixenv.environments import record_use
from nixenv.errors import EngineError, MetadataError
from nixenv.notebook.metadata import Document
from nixenv.notebook.reading import read_document_async
from nixenv.server.hit import Wanted, find_hit, parse_wanted
from nixenv.server.opening import Opened, build_key, open_environment
from nixenv.watch.desk import Desk, Opener, Outcome
from nixenv.watch.events import Idle, Ready, Trouble, WatchSink
from nixenv.watch.pace import DEFAULT_PACE, Pace
from nixenv.watch.pending import QUIET, Pending
from nixenv.watch.scan import Stamp, stamp_of
from nixlib.environment import environment_key
from nixlib.errors import NixError
from nixlib.progress import EventSink

_UNFINISHED = 1.0
"""Seconds until a file with half its JSON is read again."""

_NETWORK_CODE = 5
"""The engine's exit code when a registry or a cache is at fault."""


class Keeper:
    """Sees that every document has its environment.

    Args:
        process_env: The engine's variables, which are this watch's settings too.
        tell: Gets every event about documents.
        may_lock: Whether a document without a lock is locked, and its lock written into it.
        known: The stamp of each document as it was read; kept here.
        pending: Where a document goes that has to be read once more.
        wake: Called when a build has ended.
        pace: How soon what the network failed is tried again.
        opener: Makes sure of an environment; the engine, if nothing else is said.
    """

    def __init__(
        self,
        process_env: Mapping[str, str],
        tell: WatchSink,
        *,
        may_lock: bool,
        known: dict[Path, Stamp],
        pending: Pending,
        wake: Callable[[], None],
        pace: Pace = DEFAULT_PACE,
        opener: Opener | None = None,
    ) -> None:
        self.desk = Desk(opener or self._open, tell, self._ended, wake)
        self._process_env = process_env
        self._tell = tell
        self._may_lock = may_lock
        self._pace = pace
        self._known = known
        self._pending = pending
        self._ready: dict[Path, Path] = {}
        self._said: dict[Path, str] = {}
        self._retries: dict[Path, int] = {}

    async def examine(self, path: Path, *, is_saved: bool) -> None:
        """Read the document at `path`, and see that it gets what it asks for.

        Args:
            path: The document; it may be gone.
            is_saved: Somebody has just saved it, so it comes before those that wait.
        """
        stamp = stamp_of(path)
        if stamp is None:
            self.forget(path)
            return
        try:
            document = await read_document_async(path, patience=0)
            self._known[path] = stamp
            self._see_to(document, is_saved=is_saved)
        except (NixError, OSError) as error:
            if isinstance(error, MetadataError) and error.fields.get("unfinished"):
                self._pending.put_off(path, time.monotonic() + _UNFINISHED)
                return
            self._known[path] = stamp
            self.desk.leave(path)
            self._say(path, error)

    def _see_to(self, document: Document, *, is_saved: bool) -> None:
        path = document.path
        if document.spec is None:
            self._forget_state(path)
            return
        wanted = parse_wanted(document.spec, notebook=document.name)
        settings = load_settings(environ=self._process_env)
        key = build_key(document, wanted, settings)
        if wanted.lock is None:
            if not self._may_lock:
                raise _no_lock(document)
            self.desk.want(document, key, first=is_saved)
            return
        if self.desk.key_of(path) == build_key(document, Wanted(wanted.spec, None), settings):
            return  # the build that wrote this lock is about to end
        if hit := find_hit(wanted.lock, settings, path):
            hit.release()
            self.desk.leave(path)
            self._be_ready(Ready(path, hit.environment, hit.lock))
        else:
            self.desk.want(document, key, first=is_saved)

    async def _open(self, document: Document, on_event: EventSink) -> Opened:
        return await open_environment(
            document, user=document.path, process_env=self._process_env, on_event=on_event
        )

    def _ended(self, outcome: Outcome) -> None:
        result = outcome.result
        if isinstance(result, Opened):
            for document in outcome.documents:
                self._record(document)
                self._be_ready(
                    Ready(document.path, result.hit.environment, result.hit.lock, outcome.seconds)
                )
        elif isinstance(result, NixError | OSError):
            for document in outcome.documents:
                self._fail(document.path, result)
        else:
            raise result

    def _record(self, document: Document) -> None:
        """`nixenv gc` must know everybody who uses an environment, not only who had it built."""
        settings = load_settings(environ=self._process_env)
        lock = parse_wanted(document.spec, notebook=document.name).lock
        if lock is not None:
            record_use(settings.state_dir, environment_key(lock, settings), document.path)

    def _be_ready(self, ready: Ready) -> None:
        self._said.pop(ready.document, None)
        self._retries.pop(ready.document, None)
        if self._ready.get(ready.document) != ready.environment:
            self._ready[ready.document] = ready.environment
            self._tell(ready)

    def _fail(self, path: Path, error: NixError | OSError) -> None:
        now = time.monotonic()
        type_ = error.fields.get("type") if isinstance(error, EngineError) else ""
        if type_ == "ConflictError":
            # Saved while its lock was made: the lock of what it says now is asked for.
            self._pending.put_off(path, now + QUIET)
            return
        times = self._retries.get(path, 0)
        if not times:
            self._said.pop(path, None)  # it was built anew, so the answer is news
        self._say(path, error)
        if isinstance(error, EngineError) and error.fields.get("exit_status") == _NETWORK_CODE:
            self._retries[path] = times + 1
            self._pending.put_off(
                path, now + min(self._pace.retry * 2**times, self._pace.longest_retry)
            )

    def _say(self, path: Path, error: NixError | OSError) -> None:
        self._ready.pop(path, None)
        if self._said.get(path) != str(error):
            self._said[path] = str(error)
            self._tell(Trouble(path, error))

    def forget(self, path: Path) -> None:
        """The document at `path` is gone."""
        self._known.pop(path, None)
        self._pending.drop(path)
        self._forget_state(path)

    def _forget_state(self, path: Path) -> None:
        self.desk.leave(path)
        self._ready.pop(path, None)
        self._said.pop(path, None)
        self._retries.pop(path, None)

    def summary(self) -> Idle:
        """How many documents have what they ask for, and how many have not."""
        return Idle(len(self._ready), len(self._said))


def _no_lock(document: Document) -> MetadataError:
    return MetadataError(
        f"`{document.name}` has no lock yet, so it is not built",
        hint=f'`nixenv lock "{document.path}"`, or `nixenv watch --lock`',
        notebook=str(document.path),
        key="nixenv.lock",
    )
