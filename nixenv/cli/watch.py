"""`nixenv watch`: builds the environments of a folder's notebooks as they are saved."""

from __future__ import annotations

import argparse
import asyncio
import os
import signal
from collections.abc import Callable, Mapping
from contextlib import suppress
from pathlib import Path

from nixenv.cli.command import CANCELLED, Context
from nixenv.cli.report import Report
from nixenv.cli.watch_screen import Screen, open_screen
from nixenv.config import VARIABLE_PREFIX
from nixenv.errors import UsageError
from nixenv.watch.events import Idle, WatchEvent

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Watch `arguments.folder` until somebody stops it, by Ctrl-C or a signal."""
    root = Path(os.path.abspath(arguments.folder))  # noqa: PTH100 - resolve() would follow the user's links
    if not root.is_dir():
        what = "is not a folder" if root.exists() else "does not exist"
        raise UsageError(
            f"`{root}` {what}, so it cannot be watched",
            hint=f'`nixenv build "{root}"` builds one notebook' if root.exists() else "",
            key="DIR",
        )
    state = _State()
    with open_screen(
        root, is_json=arguments.json, is_quiet=arguments.quiet, stop=state.stop
    ) as screen:
        asyncio.run(_watch(root, arguments, screen, state))
    del context
    summary = state.summary
    return Report(
        {"event": "stopped", "ready": summary.ready, "troubled": summary.troubled},
        "stopped",
        exit_code=CANCELLED,
    )


class _State:
    """What the command knows of its watch: how to stop it, and how things stood last."""

    def __init__(self) -> None:
        self.summary = Idle(0, 0)
        self._stop: Callable[[], None] = lambda: None

    def stop(self) -> None:
        """End the watch; a second time does nothing, because stopping an engine takes seconds at most."""
        self._stop()

    def belongs_to(self, task: asyncio.Task[None]) -> None:
        """Stopping means to cancel `task`."""

        def stop() -> None:
            self._stop = lambda: None
            task.cancel()

        self._stop = stop


async def _watch(root: Path, arguments: argparse.Namespace, screen: Screen, state: _State) -> None:
    from nixenv.watch.watching import watch  # noqa: PLC0415 - the only verb that needs watchdog

    def tell(event: WatchEvent) -> None:
        if isinstance(event, Idle):
            state.summary = event
        screen(event)

    process_env = _process_env(arguments.store)
    task = asyncio.ensure_future(
        watch(root, process_env=process_env, tell=tell, may_lock=arguments.lock)
    )
    state.belongs_to(task)
    loop = asyncio.get_running_loop()
    for number in _SIGNALS:
        # Whoever started it with `nohup` wants it to survive the terminal.
        if signal.getsignal(number) is not signal.SIG_IGN:
            loop.add_signal_handler(number, state.stop)
    with suppress(asyncio.CancelledError):
        await task


def _process_env(store: str | None) -> Mapping[str, str]:
    """The engine's variables; an option of this command line is one of its settings."""
    return {**os.environ, **({f"{VARIABLE_PREFIX}STORE": store} if store else {})}
