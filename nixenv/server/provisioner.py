"""The kernel provisioner: what Jupyter asks to start a notebook's kernel.

`pre_launch` finds the notebook, makes sure of its environment and rewrites the command line; it never
blocks the event loop. For an interactive client it never raises either: then the fallback kernel
starts, which says why. A headless run raises, because there an error must end the run.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from nixenv.notebook.notebookpath import Place, find_client
from nixenv.server.launch import (
    Target,
    fallback_argv,
    fallback_process_env,
    kernel_argv,
    kernel_process_env,
)
from nixenv.server.opening import Opened, engine_process_env, open_environment
from nixenv.server.reason import Reason, reason_of
from nixenv.server.target import Aim, find_aim
from nixlib.errors import NixError
from nixlib.progress import EventSink


@dataclass(frozen=True, slots=True)
class Start:
    """What a kernel is started with; after a crash, the very same again.

    Attributes:
        target: What its `%nixenv` works on.
        opened: The environment; None for the fallback kernel.
        reason: The file with what the fallback kernel reports; None for a real kernel.
    """

    target: Target
    opened: Opened | None = None
    reason: Path | None = None

    def release(self) -> None:
        """Let go of the environment and of the file."""
        if self.opened is not None:
            self.opened.hit.release()
        if self.reason is not None:
            self.reason.unlink(missing_ok=True)


class NixProvisioner(LocalProvisioner):
    """Starts a notebook's kernel in the notebook's own environment."""

    _start: Start | None = None
    _aim: Aim | None = None
    _client: Any = None
    _is_wanted: bool = True
    _choosing: asyncio.Task[Start] | None = None

    async def shutdown_requested(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002 - Jupyter's signature
        """Remember that somebody wants the next start: after a crash, nobody was asked."""
        self._is_wanted = True
        await super().shutdown_requested(restart=restart)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Decide what to start, then let Jupyter choose the ports and write the connection file."""
        if self._start is None or self._is_wanted:
            self._let_go()
            self._client = find_client(self.parent)
            self._choosing = asyncio.ensure_future(self._choose(kwargs))
            try:
                self._start = await self._choosing
            except NixError as error:
                # Without our frames, which say nothing to a user; what is left is the client's own.
                raise error.with_traceback(None) from None
            finally:
                self._choosing = None
        self._is_wanted = False
        extra = list(kwargs.get("extra_arguments") or ())
        launch: dict[str, Any] = await super().pre_launch(**kwargs)
        return {**launch, **self._process(self._start, launch, extra)}

    def _process(self, start: Start, launch: Mapping[str, Any], extra: list[str]) -> dict[str, Any]:
        """Command line, variables and descriptors of the kernel's process."""
        manager: Any = self.parent
        connection_file = os.path.realpath(manager.connection_file)
        env = engine_process_env(launch["env"], self._settings())
        if start.opened is None:
            assert start.reason is not None  # noqa: S101 - one of the two is there
            return {
                "cmd": fallback_argv(connection_file),
                "env": fallback_process_env(env, start.reason, start.target),
            }
        hit, pycache = start.opened.hit, start.opened.pycache
        return {
            "cmd": kernel_argv(hit.environment, connection_file, pycache=pycache, extra=extra),
            "env": kernel_process_env(env, hit.environment, start.target),
            "pass_fds": (*launch.get("pass_fds", ()), *hit.descriptors),
        }

    async def cleanup(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002 - Jupyter's signature
        """Give a headless client what its kernel wrote, and let go; a second time does nothing."""
        self._deliver()
        if not restart:
            await self._stop_choosing()
            self._let_go()
        await super().cleanup(restart=restart)

    async def _stop_choosing(self) -> None:
        """A start that is still building is over when its kernel is not wanted any more."""
        if (choosing := self._choosing) is not None and choosing is not asyncio.current_task():
            choosing.cancel()
            with suppress(asyncio.CancelledError, NixError):
                await choosing

    def _deliver(self) -> None:
        if self._aim is not None and self._aim.mailbox is not None:
            self._aim.mailbox.deliver(self._client.nb.metadata)

    def _let_go(self) -> None:
        if self._start is not None:
            self._start.release()
        if self._aim is not None and self._aim.mailbox is not None:
            self._aim.mailbox.remove()
        self._start = self._aim = self._client = None
        self._is_wanted = True

    async def _choose(self, kwargs: Mapping[str, Any]) -> Start:
        """What the kernel is started with.

        Raises:
            NixError: There is no environment to start in, and the client is a headless one.
        """
        target = Target(None)
        try:
            self._aim = aim = await find_aim(await self._place(kwargs))
            target = aim.target
            opened = await open_environment(
                aim.document,
                user=aim.user,
                process_env=engine_process_env(kwargs.get("env") or os.environ, self._settings()),
                on_event=self._sink(),
            )
        except Exception as error:
            if self._client is not None:
                self._let_go()
                raise
            reason = reason_of(error)
            if isinstance(error, NixError):
                self.log.warning("nixenv: %s", reason.text)
            else:
                self.log.exception("nixenv: a kernel could not be started")
            return _fallback(target, reason)
        return Start(target, opened)

    async def _place(self, kwargs: Mapping[str, Any]) -> Place:
        kernels = getattr(self.parent, "parent", None)
        root_dir = getattr(kernels, "root_dir", None)
        return Place(
            cwd=_absolute(kwargs.get("cwd") or "."),
            said=kwargs.get("env") or {},
            inherited=os.environ,
            root_dir=Path(root_dir) if root_dir else None,
            session=await self._session_path(kernels) if root_dir else "",
            client=self._client,
        )

    async def _session_path(self, kernels: Any) -> str:
        """The notebook's path in the server's session, which exists from the first restart on."""
        sessions = getattr(getattr(kernels, "parent", None), "session_manager", None)
        if sessions is None:
            return ""
        # The server's answer for a kernel without a session is an HTTP error, 404.
        with suppress(Exception):
            session = await sessions.get_session(kernel_id=self.kernel_id)
            return str(session["path"]) if session["type"] == "notebook" else ""
        return ""

    def _settings(self) -> dict[str, Any]:
        """What the Jupyter application's configuration says about the engine."""
        return dict(self.config.get("Nixenv", {}))

    def _sink(self) -> EventSink:
        from nixenv.progress_lines import PlainLines  # noqa: PLC0415 - a cache hit shows nothing

        stream = sys.stderr if self._client is not None else cast("TextIO", _Log(self.log))
        return PlainLines(stream, time.monotonic)


def _absolute(folder: str) -> Path:
    return Path(folder).absolute()


def _fallback(target: Target, reason: Reason) -> Start:
    return Start(target, reason=reason.save())


class _Log:
    """A logger as a stream of lines."""

    def __init__(self, log: Any) -> None:
        self._log = log

    def write(self, line: str) -> None:
        self._log.info("nixenv: %s", line.rstrip())

    def flush(self) -> None:
        """Nothing is kept back."""
