"""The Jupyter server extension: what pages tell the server, and what they are told while it builds.

Jupyter loads it by the name `nixenv`, which `jupyter_server_config.d/nixenv.json` of the wheel enables; the
package itself points here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib.metadata import version
from pathlib import Path
from typing import Any

from packaging.version import Version

from nixenv.server.building import Builder
from nixenv.server.documents import Documents
from nixenv.server.handlers import Desk, routes
from nixenv.server.shared import share
from nixenv.server.tasks import Surroundings, Tasks

SCHEMA = Path(__file__).with_name("task-1.json")
"""What a task is; the schema of the events, and of the answers of `tasks`."""


def _load_jupyter_server_extension(server: Any) -> None:
    """Register the event and the handlers.

    At the server's start, because a page that subscribes to events gets only those known at that moment.
    """
    schema = _schema()
    server.event_logger.register_event_schema(schema)

    def announce(task: Mapping[str, Any]) -> None:
        server.event_logger.emit(schema_id=schema["$id"], data=dict(task))

    documents, tasks = Documents(), Tasks(Surroundings(announce))
    traits = dict(server.config.get("Nixenv", {}))
    builder = Builder(tasks, documents, server.kernel_manager, traits)
    share(server, documents)
    share(server, tasks)
    settings = server.web_app.settings
    handlers = routes(Desk(documents, tasks, builder), settings["base_url"])
    server.web_app.add_handlers(".*$", handlers)
    server.log.info("nixenv: the server extension is loaded")


def _schema() -> dict[str, Any]:
    schema: dict[str, Any] = json.loads(SCHEMA.read_text(encoding="utf-8"))
    if Version(version("jupyter_events")) < Version("0.11"):
        # It takes a number only, where later ones take a text only.
        schema["version"] = int(schema["version"])
    return schema
