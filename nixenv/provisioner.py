"""The kernel provisioner: what Jupyter asks to start a notebook's kernel.

`pre_launch` finds the notebook, makes sure of its environment and rewrites the command line; it never
blocks the event loop. For an interactive client it never raises either: then the fallback kernel
starts, which says why. A headless run raises, because there an error must end the run.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.provisioning import LocalProvisioner

from nixenv.errors import NotebookNotFoundError
from nixenv.failure import Failure, failure_of
from nixenv.hit import Hit
from nixenv.launch import (
    Target,
    fallback_argv,
    fallback_process_env,
    kernel_argv,
    kernel_process_env,
)
from nixenv.mailbox import Mailbox, open_mailbox
from nixenv.notebookpath import Place, client_name, find_client, find_notebook, find_project
from nixenv.opening import engine_process_env, open_environment
from nixenv.reading import read_document_async
from nixlib.progress import EventSink


@dataclass(frozen=True, slots=True)
class Start:
    """What a kernel was started with; a crash starts it with the very same again.

    Attributes:
        target: What `%nixenv` works on.
        hit: The environment; None for the fallback kernel.
        failure_file: What the fallback kernel reports; None for a real kernel.
    """

    target: Target
    hit: Hit | None = None
    failure_file: Path | None = None

    def release(self) -> None:
        """Let go of the environment and of the file."""
        if self.hit is not None:
            self.hit.release()
        if self.failure_file is not None:
            self.failure_file.unlink(missing_ok=True)


class NixProvisioner(LocalProvisioner):  # type: ignore[misc]
    """Starts a notebook's kernel in the notebook's own environment."""

    _start: Start | None = None
    _mailbox: Mailbox | None = None
    _client: Any = None
    _was_asked: bool = False

    async def shutdown_requested(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002 - Jupyter's signature
        """Remember that somebody wants this shutdown: a crash does not come through here."""
        self._was_asked = True
        await super().shutdown_requested(restart=restart)

    async def pre_launch(self, **kwargs: Any) -> dict[str, Any]:
        """Decide what to start, then let Jupyter choose ports and write the connection file."""
        is_crash = self._start is not None and not self._was_asked
        if not is_crash:
            await self._choose_start(kwargs)
        self._was_asked = False
        extra = list(kwargs.get("extra_arguments") or ())
        launch: dict[str, Any] = await super().pre_launch(**kwargs)
        return self._launch_with(launch, extra)

    def _launch_with(self, launch: dict[str, Any], extra: list[str]) -> dict[str, Any]:
        start = self._start
        assert start is not None  # noqa: S101 - pre_launch has set it
        connection_file = os.path.realpath(self.parent.connection_file)
        env = engine_process_env(launch["env"], self._traits)
        if start.hit is None:
            assert start.failure_file is not None  # noqa: S101 - one of the two is there
            cmd = fallback_argv(connection_file)
            return {
                **launch,
                "cmd": cmd,
                "env": fallback_process_env(env, start.failure_file, start.target),
            }
        cmd = kernel_argv(start.hit.environment, connection_file, pycache=None, extra=extra)
        inherited = (*launch.get("pass_fds", ()), *((start.hit.hold,) if start.hit.hold else ()))
        return {
            **launch,
            "cmd": cmd,
            "env": kernel_process_env(env, start.hit.environment, start.target),
            "pass_fds": inherited,
        }

    async def cleanup(self, restart: bool = False) -> None:  # noqa: FBT001, FBT002 - Jupyter's signature
        """Give a headless client what the kernel wrote, and let go; may be called any number of times."""
        self._deliver()
        if not restart:
            self._let_go()
        await super().cleanup(restart=restart)

    def _deliver(self) -> None:
        if self._mailbox is not None and self._client is not None:
            self._mailbox.deliver(self._client.nb.metadata)

    def _let_go(self) -> None:
        if self._start is not None:
            self._start.release()
        if self._mailbox is not None:
            self._mailbox.remove()
        self._start = self._mailbox = self._client = None

    async def _choose_start(self, kwargs: Mapping[str, Any]) -> None:
        """Set `_start` to what the next kernel is started with.

        Raises:
            Exception: Whatever went wrong, in a headless run only.
        """
        self._deliver()
        self._let_go()
        self._client = find_client(self.parent)
        place = await self._place(kwargs)
        target = Target(None)
        try:
            target, user = await self._find_target(place)
            hit = await open_environment(
                target.document,
                user=user,
                process_env=engine_process_env(os.environ, self._traits),
                on_event=self._sink(),
            )
            self._start = Start(target, hit)
        except Exception as error:
            if self._client is not None:
                raise
            failure = failure_of(error)
            self.log.error("nixenv: %s", failure.render())
            self._start = Start(target, failure_file=failure.save())
