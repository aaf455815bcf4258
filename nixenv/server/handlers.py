"""The HTTP side of the server extension: what `openapi.json` describes, and nothing else.

Handlers check who asks (as Jupyter's own do: a token or a cookie with its XSRF token, then the server's
authorizer for the resource `nixenv`), turn requests into values and values into JSON. They hold no state.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

from jupyter_core.utils import ensure_async
from jupyter_server.auth.decorator import authorized
from jupyter_server.base.handlers import APIHandler
from jupyter_server.utils import url_path_join
from tornado import web

from nixenv.errors import RequestError
from nixenv.server.building import Builder, no_notebook
from nixenv.server.documents import Documents, note_file
from nixenv.server.requests import parse_order, parse_path, parse_word
from nixenv.server.tasks import Task, Tasks

ROOT = "nixenv/api"
"""Below the server's base URL."""

OPENAPI = Path(__file__).with_name("openapi.json")


@dataclass(frozen=True, slots=True)
class Desk:
    """What the handlers of one server work on."""

    documents: Documents
    tasks: Tasks
    builder: Builder


def routes(desk: Desk, base_url: str) -> list[tuple[str, type[APIHandler], dict[str, Any]]]:
    """The handlers of everything below `nixenv/api/`."""
    served: tuple[tuple[str, type[APIHandler]], ...] = (
        (r"documents/(.+)", DocumentHandler),
        (r"tasks", TasksHandler),
        (r"tasks/([^/]+)", TaskHandler),
        (r"openapi\.json", OpenapiHandler),
    )
    return [
        (url_path_join(base_url, ROOT, pattern), handler, {"desk": desk})
        for pattern, handler in served
    ]


Method = Callable[..., Awaitable[None]]


def _refusing(method: Method) -> Method:
    """Answer a `RequestError` with its status and its sentence."""

    @wraps(method)
    async def answer(handler: _Handler, *arguments: str) -> None:
        try:
            await method(handler, *arguments)
        except RequestError as error:
            # Not tornado's HTTPError, which doubles every percent sign on the way to the browser.
            handler.set_status(error.status)
            handler.finish(json.dumps({"message": error.render(), "reason": None}))

    return answer


class _Handler(APIHandler):
    auth_resource = "nixenv"

    def initialize(self, desk: Desk) -> None:
        self.desk = desk

    def _find(self, number: str) -> Task:
        task = self.desk.tasks.find(number)
        if task is None:
            raise RequestError("there is no such task, or it has ended long ago", status=404)
        return task


class DocumentHandler(_Handler):
    """What a page says about a notebook that it has open."""

    @web.authenticated
    @authorized
    @_refusing
    async def put(self, path: str) -> None:
        """The page has opened it, has changed its metadata, or has saved it."""
        announced = self.desk.documents.announce(parse_path(path), parse_word(self.request.body))
        # After the word is taken: two requests of one page must not overtake each other here.
        await asyncio.to_thread(note_file, announced, Path(self.kernel_manager.root_dir))
        self.set_status(204)
        self.finish()

    @web.authenticated
    @authorized
    @_refusing
    async def delete(self, path: str) -> None:
        """The page is closed."""
        self.desk.documents.withdraw(parse_path(path))
        self.set_status(204)
        self.finish()


class TasksHandler(_Handler):
    """The builds of this server."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """Those that run, and those that ended a short time ago."""
        self.finish(json.dumps({"tasks": [task.to_json() for task in self.desk.tasks.all()]}))

    @web.authenticated
    @authorized
    @_refusing
    async def post(self) -> None:
        """Build a notebook's environment without a kernel."""
        path = parse_order(self.request.body)
        await self._refuse_hidden(path)
        task = await self.desk.builder.start(path)
        self.set_status(202)
        self.set_header("Location", url_path_join(self.base_url, ROOT, "tasks", task.id))
        self.finish(json.dumps(task.to_json()))

    async def _refuse_hidden(self, path: str) -> None:
        """What the server's own API would not show is not there for ours either."""
        contents: Any = self.contents_manager
        if not contents.allow_hidden:
            # A name that no file can have is an error to Jupyter.
            with suppress(OSError):
                if await ensure_async(contents.is_hidden(path)):
                    raise no_notebook(path)


class TaskHandler(_Handler):
    """One build."""

    @web.authenticated
    @authorized
    @_refusing
    async def get(self, number: str) -> None:
        """How it stands."""
        self.finish(json.dumps(self._find(number).to_json()))

    @web.authenticated
    @authorized
    @_refusing
    async def delete(self, number: str) -> None:
        """Cancel it; nothing happens when it has ended."""
        self._find(number).cancel()
        self.set_status(204)
        self.finish()


class OpenapiHandler(_Handler):
    """The description of all this."""

    @web.authenticated
    @authorized
    async def get(self) -> None:
        """The file as it is."""
        self.finish(await asyncio.to_thread(OPENAPI.read_text, encoding="utf-8"))
