"""From a document to its environment: there already, or built now by the engine.

Shared by everything that starts kernels. The hit path imports nothing that it does not use.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nixenv.config import TRAITS_VARIABLE, load_settings
from nixenv.errors import EngineError, MetadataError
from nixenv.notebook.metadata import Document
from nixenv.notebook.reading import read_document_async
from nixenv.server.hit import Hit, Wanted, find_hit, parse_wanted
from nixenv.server.launch import engine_command
from nixlib.environment import environment_key
from nixlib.progress import EventSink
from nixlib.settings import Settings
from nixlib.shortfall import shortfalls


@dataclass(frozen=True, slots=True)
class Opened:
    """An environment that a kernel can start in.

    Attributes:
        hit: The environment, held.
        pycache: Its bytecode's folder; None when no cache can be kept, which is only slower.
        remarks: What to say before the first cell: that this machine lacks what the lock was made for.
    """

    hit: Hit
    pycache: Path | None
    remarks: tuple[str, ...] = ()


def engine_process_env(inherited: Mapping[str, str], traits: Mapping[str, Any]) -> dict[str, str]:
    """The engine's variables: everything of this process, and what the server's configuration says."""
    if not traits:
        return dict(inherited)
    return {**inherited, TRAITS_VARIABLE: json.dumps(dict(traits), default=str)}


def find_opened(
    document: Document, *, user: Path | None, process_env: Mapping[str, str]
) -> Opened | None:
    """The environment of `document` if it is there; costs two digests and a stat, and builds nothing.

    Raises:
        MetadataError: The document asks for nothing.
        SpecError: What it asks for is not a spec.
        LockError: Its lock is damaged, too new or stale.
    """
    return _find(_wanted(document), load_settings(environ=process_env), user)


async def open_environment(
    document: Document,
    *,
    user: Path | None,
    process_env: Mapping[str, str],
    on_event: EventSink,
    engine: Sequence[str] = (),
) -> Opened:
    """The environment of `document`, built first if it is not there.

    Args:
        document: A notebook, a mailbox or a `nixenv.toml`.
        user: The notebook that `nixenv gc` shall see as the environment's user; None when it has no
            file of its own.
        process_env: The engine's variables, which are this call's settings too.
        on_event: Told what a build does.
        engine: How the engine is called, when not as `engine_command` says.

    Raises:
        MetadataError: The document asks for nothing.
        SpecError: What it asks for is not a spec.
        LockError: Its lock is damaged, too new or stale.
        EngineError: The environment could not be made.
    """
    settings = load_settings(environ=process_env)
    wanted = _wanted(document)
    if opened := _find(wanted, settings, user):
        return opened
    await _build(document, wanted, settings, process_env, on_event, engine or engine_command())
    if wanted.lock is None:
        # The engine has put the lock that it made into the document.
        wanted = _wanted(await read_document_async(document.path))
    if opened := _find(wanted, settings, user):
        return opened
    raise EngineError(
        f"the environment of `{document.name}` was built and is not there",
        details=(f"looked in `{settings.environments_dir}`",),
        hint="`nixenv doctor`",
        notebook=str(document.path),
    )


def _find(wanted: Wanted, settings: Settings, user: Path | None) -> Opened | None:
    if wanted.lock and (hit := find_hit(wanted.lock, settings, user)):
        remarks = shortfalls(wanted.spec, wanted.lock)
        return Opened(hit, _pycache(hit.environment, settings), remarks)
    return None


def _pycache(environment: Path, settings: Settings) -> Path | None:
    from nixlib.composition.bytecode import prepare_pycache  # noqa: PLC0415 - a build may be needed first

    try:
        return prepare_pycache(environment, settings.cache_dir)
    except OSError:
        return None


def _wanted(document: Document) -> Wanted:
    if document.spec is None:
        raise MetadataError(
            f"`{document.name}` does not say what environment it needs",
            details=("its metadata has no `nixenv`",),
            hint="`%nixenv add pandas`, then restart the kernel",
            notebook=str(document.path),
            key="nixenv",
        )
    return parse_wanted(document.spec, notebook=document.name)


async def _build(
    document: Document,
    wanted: Wanted,
    settings: Settings,
    process_env: Mapping[str, str],
    on_event: EventSink,
    engine: Sequence[str],
) -> None:
    from nixenv.server.builds import Order, current_builds  # noqa: PLC0415 - a cache hit must not load it

    key = build_key(document, wanted, settings)
    argv = (*engine, "build", os.fspath(document.path), "--json", "--events")
    await current_builds().run(Order(key, argv, process_env), on_event)


def build_key(document: Document, wanted: Wanted, settings: Settings) -> str:
    """What builds of the same environment have in common, so that they are one."""
    # Without a lock the answer belongs to the document; with one it belongs to all who have the same.
    if wanted.lock is None:
        return f"{document.path}\n{wanted.spec.digest}"
    return environment_key(wanted.lock, settings)
