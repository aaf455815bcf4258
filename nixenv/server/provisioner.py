"""The kernel provisioner: what Jupyter asks to start a notebook's kernel.

`pre_launch` finds the notebook, makes sure of its environment and rewrites the command line; it never
blocks the event loop. In a server it waits for a build only as long as a request may take: then the
bootstrap kernel starts, which holds the kernel's place until the environment is there. For an interactive
client it never raises either: then the fallback kernel starts, which says why. A headless run raises,
because there an error must end the run.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TextIO, cast

from jupyter_client.provisioning.local_provisioner import LocalProvisioner

from nixenv.config import load_settings
from nixenv.kernel.mail import remove_letter
from nixenv.notebook.notebookpath import SESSION, Place, find_client
from nixenv.server.documents import find_posted
from nixenv.server.launch import (
    Target,
    fallback_argv,
    fallback_process_env,
    kernel_argv,
    kernel_process_env,
    own_command,
)
from nixenv.server.opening import Opened, engine_process_env, find_opened, open_environment
from nixenv.server.reason import Reason, reason_of
from nixenv.server.target import Aim, find_aim
from nixenv.server.waiting import Waiting
from nixlib.errors import NixError
from nixlib.progress import Event, EventSink, ignore

LAUNCH_TIMEOUT = "KERNEL_LAUNCH_TIMEOUT"
"""Variable in which gateways say after how many seconds they give up."""

_SHARE = 3
"""Of a gateway's time, one part in so many is for the build, the rest for what comes after it."""


@dataclass(frozen=True, slots=True)
class Start:
    """What a kernel is started with; after a crash, the very same again.

    Attributes:
        target: What its `%nixenv` works on.
        opened: The environment; None where there is none, or none yet.
        reason: The file with what the fallback kernel reports; None for a real kernel.
        waiting: The build that goes on; None where the start has waited for it.
    """

    target: Target
    opened: Opened | None = None
    reason: Path | None = None
    waiting: Waiting | None = None

    @property
    def environment(self) -> Opened | None:
        """The environment as far as it is there by now."""
        return self.waiting.opened if self.waiting is not None else self.opened

    def release(self) -> None:
        """Let go of the environment and of the file, and stop what is still being built."""
        if self.waiting is not None:
            self.waiting.release()
        if self.opened is not None:
            self.opened.hit.release()
        if self.reason is not None:
            remove_letter(str(self.reason))


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
            # Let go of at the end: a restart that waits for the same build must not stop it first.
            let_go_of_former = self._detach()
            self._client = find_client(self.parent)
            self._choosing = asyncio.ensure_future(self._choose(kwargs))
            try:
                self._start = await self._choosing
            except NixError as error:
                # Without our frames, which say nothing to a user; what is left is the client's own.
                raise error.with_traceback(None) from None
            finally:
                self._choosing = None
                let_go_of_former()
        self._is_wanted = False
        extra = list(kwargs.get("extra_arguments") or ())
        launch: dict[str, Any] = await super().pre_launch(**kwargs)
        return {**launch, **self._process(self._start, launch, extra)}

    def _process(self, start: Start, launch: Mapping[str, Any], extra: list[str]) -> dict[str, Any]:
        """Command line, variables and descriptors of the kernel's process."""
        manager: Any = self.parent
        connection_file = os.path.realpath(manager.connection_file)
        env = engine_process_env(launch["env"], self._settings())
        opened = start.environment
        if opened is None and start.waiting is not None:
            return self._place_holder(start.waiting, launch, [connection_file, *extra])
        if opened is None:
            assert start.reason is not None  # noqa: S101 - one of the two is there
            return {
                "cmd": fallback_argv(connection_file),
                "env": fallback_process_env(env, start.reason, start.target),
            }
        hit, pycache = opened.hit, opened.pycache
        return {
            "cmd": kernel_argv(hit.environment, connection_file, pycache=pycache, extra=extra),
            "env": kernel_process_env(env, hit.environment, start.target, opened.remarks),
            "pass_fds": (*launch.get("pass_fds", ()), *hit.descriptors),
        }

    def _place_holder(
        self, waiting: Waiting, launch: Mapping[str, Any], arguments: list[str]
    ) -> dict[str, Any]:
        """The same for the kernel that follows a build."""
        from nixenv.bootstrap.again import FOLLOW  # noqa: PLC0415 - only long builds need it

        descriptor = waiting.connect()
        env = engine_process_env(launch["env"], self._settings())
        return {
            "cmd": [
                *own_command("from nixenv.bootstrap.main import main; main()"),
                "-f",
                *arguments,
            ],
            "env": {**env, FOLLOW: str(descriptor)},
            "pass_fds": (*launch.get("pass_fds", ()), descriptor),
        }

    async def launch_kernel(self, cmd: list[str], **kwargs: Any) -> Any:
        """Start the process; what it has inherited is not ours any more."""
        try:
            return await super().launch_kernel(cmd, **kwargs)
        finally:
            if self._start is not None and self._start.waiting is not None:
                self._start.waiting.close_inherited()

    async def cleanup(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002 - Jupyter's signature
        """Give a headless client what its kernel wrote, and let go; a second time does nothing."""
        self._deliver()
        if not restart:
            await self._stop_choosing()
            if self._start is not None and self._start.waiting is not None:
                await self._start.waiting.leave()
            self._let_go()
        await super().cleanup(restart=restart)

    async def _stop_choosing(self) -> None:
        """A start that is still building is over when its kernel is not wanted any more."""
        if (choosing := self._choosing) is not None and choosing is not asyncio.current_task():
            choosing.cancel()
            with suppress(asyncio.CancelledError, NixError):
                await choosing

    def _deliver(self) -> None:
        # A page's mailbox has no client that waits for it.
        if self._client is not None and self._aim is not None and self._aim.mailbox is not None:
            self._aim.mailbox.deliver(self._client.nb.metadata)

    def _let_go(self) -> None:
        self._detach()()

    def _detach(self) -> Callable[[], None]:
        """Forget this start; what is returned lets go of what it has."""
        start, aim = self._start, self._aim
        self._start = self._aim = self._client = None
        self._is_wanted = True

        def let_go() -> None:
            if start is not None:
                start.release()
            if aim is not None and aim.mailbox is not None:
                aim.mailbox.remove()

        return let_go

    async def _choose(self, kwargs: Mapping[str, Any]) -> Start:
        """What the kernel is started with.

        Raises:
            NixError: There is no environment to start in, and the client is a headless one.
        """
        target = Target(None)
        try:
            self._aim = aim = await find_aim(await self._place(kwargs))
            target = aim.target
            process_env = engine_process_env(kwargs.get("env") or os.environ, self._settings())
            opened = find_opened(aim.document, user=aim.user, process_env=process_env)
            if opened is None:
                return await self._wait(aim, process_env)
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

    async def _wait(self, aim: Aim, process_env: Mapping[str, str]) -> Start:
        """Build, and wait for it as long as the client does.

        Raises:
            NixError: It cannot be built, or somebody stopped it.
        """
        from nixenv.bootstrap.follow import wish_json  # noqa: PLC0415 - a cache hit needs none of it

        async def build(announce: EventSink) -> Opened:
            with self._task(aim, waiting.stop) as show:
                return await open_environment(
                    aim.document,
                    user=aim.user,
                    process_env=process_env,
                    on_event=_all_of(self._sink(), show, announce),
                )

        waiting = Waiting(build, wish_json(aim.document.path, aim.target, aim.user))
        opened = await waiting.until(self._patience(process_env))
        return Start(aim.target, opened) if opened else Start(aim.target, waiting=waiting)

    def _patience(self, process_env: Mapping[str, str]) -> float | None:
        """Seconds until a kernel's place must be held; None where whoever starts it waits for ever.

        A console's event loop stands still once the kernel has started, and a headless run has nobody to
        show a build to: both wait.
        """
        if self._root_dir() is None or self._client is not None:
            return None
        patience = load_settings(environ=process_env).patience
        with suppress(ValueError):
            return min(patience, float(process_env.get(LAUNCH_TIMEOUT, "")) / _SHARE)
        return patience

    @contextmanager
    def _task(self, aim: Aim, stop: Callable[[], None]) -> Iterator[EventSink]:
        """The build as a task that pages see, where there are pages."""
        from nixenv.server.tasks import tasks_of  # noqa: PLC0415 - as above

        tasks = tasks_of(getattr(self.parent, "parent", None))
        if tasks is None:
            yield ignore
            return
        with tasks.running(aim.contents or aim.document.name, self.kernel_id, stop) as task:
            yield task.sink

    def _root_dir(self) -> Path | None:
        """The root of the server's paths; None outside a server."""
        found = getattr(getattr(self.parent, "parent", None), "root_dir", None)
        return Path(found) if found else None

    async def _place(self, kwargs: Mapping[str, Any]) -> Place:
        kernels = getattr(self.parent, "parent", None)
        root_dir = self._root_dir()
        said = kwargs.get("env") or {}
        session = await self._session_path(kernels) if root_dir else ""
        return Place(
            cwd=_absolute(kwargs.get("cwd") or "."),
            said=said,
            inherited=os.environ,
            root_dir=root_dir,
            session=session,
            posted=find_posted(kernels, session, said.get(SESSION, "")) if root_dir else (),
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


def _all_of(*sinks: EventSink) -> EventSink:
    def tell(event: Event) -> None:
        for sink in sinks:
            # What one listener cannot show, the others can.
            with suppress(Exception):
                sink(event)

    return tell


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
