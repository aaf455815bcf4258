"""Building a notebook's environment for a page that asked for it, without a kernel."""

from __future__ import annotations

import asyncio
import logging
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from nixenv.errors import RequestError
from nixenv.notebook.formatting import printable
from nixenv.notebook.notebookpath import Place, local_notebook
from nixenv.server.documents import Documents, posted
from nixenv.server.opening import engine_process_env, open_environment
from nixenv.server.target import find_aim
from nixenv.server.tasks import Task, Tasks
from nixlib.errors import NixError

LIMIT = 16
"""Builds at a time that nobody's kernel waits for; each is a process."""

_log = logging.getLogger(__name__)


class Builder:
    """Starts builds that belong to no kernel.

    Args:
        tasks: Where they can be seen.
        documents: What pages have told about their notebooks.
        kernels: The server's mapping kernel manager.
        traits: What the server's configuration says about the engine.
    """

    def __init__(
        self, tasks: Tasks, documents: Documents, kernels: Any, traits: Mapping[str, Any]
    ) -> None:
        self._tasks = tasks
        self._documents = documents
        self._kernels = kernels
        self._traits = traits
        self._jobs: set[asyncio.Task[None]] = set()

    async def start(self, path: str) -> Task:
        """Begin to build the environment of the notebook at a contents path, as its page has it.

        Joins the build of a kernel that starts in the same environment.

        Raises:
            RequestError: There is no such notebook, or too much is being built.
        """
        place = await self._place(path)
        if len(self._jobs) >= LIMIT:
            raise RequestError(
                f"{LIMIT} environments are being built for pages, and that is the limit", status=429
            )

        def cancel() -> None:
            job.cancel()

        task = self._tasks.begin(path, None, cancel)
        job = asyncio.ensure_future(self._build(place, task))
        self._jobs.add(job)
        job.add_done_callback(lambda _: self._end(job, task))
        return task

    async def _place(self, path: str) -> Place:
        root = Path(self._kernels.root_dir)
        file = await asyncio.to_thread(local_notebook, root, path)
        announced = self._documents.find(path)
        if announced is None and file is None:
            raise no_notebook(path)
        return Place(
            cwd=root if file is None else file.parent,
            said={},
            inherited={},
            root_dir=root,
            session=path,
            posted=() if announced is None else (posted(announced, root),),
        )

    async def _build(self, place: Place, task: Task) -> None:
        aim = await find_aim(place)
        try:
            opened = await open_environment(
                aim.document,
                user=aim.user,
                process_env=engine_process_env(os.environ, self._traits),
                on_event=task.sink,
            )
            opened.hit.release()
        finally:
            if aim.mailbox is not None:
                aim.mailbox.remove()

    def _end(self, job: asyncio.Task[None], task: Task) -> None:
        self._jobs.discard(job)
        error = asyncio.CancelledError() if job.cancelled() else job.exception()
        if error is not None and not isinstance(error, (NixError, asyncio.CancelledError)):
            _log.error("nixenv: `%s` could not be built", task.path, exc_info=error)
        task.end(error)


def no_notebook(path: str) -> RequestError:
    """What to raise when there is none at a contents path."""
    return RequestError(f"there is no notebook `{printable(path)}`", status=404)
