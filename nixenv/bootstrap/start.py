"""What to start for a document, and whether that can be known and done at once."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from nixenv.bootstrap.again import FOLLOW, named_notebook, remember
from nixenv.bootstrap.arguments import Arguments
from nixenv.config import load_settings
from nixenv.environments import hold_file, use_file
from nixenv.notebook.metadata import Document, read_document
from nixenv.notebook.notebookpath import Place, find_notebook, find_project
from nixenv.server.hit import parse_wanted
from nixenv.server.launch import (
    ENVIRONMENT,
    Target,
    engine_variables,
    fallback_argv,
    fallback_process_env,
    kernel_argv,
    kernel_process_env,
    own_command,
)
from nixenv.server.opening import Opened, find_opened
from nixlib.composition.bytecode import COMPLETE
from nixlib.environment import environment_key, environment_link


@dataclass(frozen=True, slots=True)
class Launch:
    """What to start.

    Attributes:
        argv: The kernel's command line.
        process_env: Its variables.
        descriptors: What it inherits beside the three standard ones: the hold on its environment.
    """

    argv: Sequence[str]
    process_env: Mapping[str, str]
    descriptors: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Wish:
    """A document, and who gets what is written into it.

    Attributes:
        document: Says what environment is wanted.
        target: What the kernel's `%nixenv` works on.
        user: The file that uses the environment, for `nixenv gc`.
    """

    document: Document
    target: Target
    user: Path | None


def find_wish(place: Place) -> Wish:
    """The document of the kernel that starts at `place`; that of its project where it says nothing.

    As `nixenv.server.target.find_aim`, for one kernel and no event loop: half of a direct start would
    be the import of one.

    Raises:
        NotebookNotFoundError: Nothing says which notebook it is.
        MetadataError: It cannot be read.
    """
    found = find_notebook(place).path
    assert found is not None  # noqa: S101 - only a client in this process has a notebook without a file
    document = read_document(found)
    if document.spec is None and (project := find_project(found.parent)):
        document = read_document(project)
    return Wish(document, Target(document.path), found)


def own_place(environ: Mapping[str, str]) -> Place:
    """This process was started for one kernel, so all its variables were said for this start."""
    return Place(cwd=Path.cwd(), said=environ, inherited={})


def is_only_project(place: Place) -> bool:
    """Whether no notebook is named and a `nixenv.toml` decides, which a notebook's own word would beat."""
    return find_notebook(place).source == "project"


def find_launch(arguments: Arguments, environ: Mapping[str, str]) -> Launch | None:
    """The kernel to become at once; None when there is something to wait for, or to complain about.

    Raises:
        NixError: The notebook, or its environment, cannot be had; said again by whoever goes on.
    """
    place = own_place(environ)
    if FOLLOW in environ or (arguments.tells_path and is_only_project(place)):
        return None
    wish = find_wish(place)
    opened = find_opened(wish.document, user=wish.user, process_env=environ)
    if opened is None:
        return None
    launch = real_kernel(opened, wish.target, arguments.connection_file, arguments.extra, environ)
    # What a machine lacks may be there the next time, and has to be looked for.
    if str(wish.document.path) == named_notebook(environ) and not opened.remarks:
        _remember(wish, opened, environ)
    return launch


def _remember(wish: Wish, opened: Opened, environ: Mapping[str, str]) -> None:
    """Write down what was found, so that the next start need not look for it."""
    settings = load_settings(environ=environ)
    lock = parse_wanted(wish.document.spec, notebook=wish.document.name).lock
    if lock is None or wish.user is None or opened.hit.hold is None:
        return
    root, place = environment_key(lock, settings), opened.hit.environment
    cached = "" if opened.pycache is None else opened.pycache / place.relative_to("/") / COMPLETE
    places = (
        hold_file(settings.state_dir, root),
        environment_link(lock, settings),
        place,
        use_file(settings.state_dir, root, wish.user),
        cached,
    )
    *argv, _ = kernel_argv(place, "", pycache=opened.pycache)
    variables = {**engine_variables(wish.target), ENVIRONMENT: str(place)}
    remember(environ, str(wish.document.path), [str(one) for one in places], argv, variables)


def real_kernel(
    opened: Opened,
    target: Target,
    connection_file: str,
    extra: tuple[str, ...],
    environ: Mapping[str, str],
) -> Launch:
    """The kernel in its environment."""
    place = opened.hit.environment
    return Launch(
        kernel_argv(place, connection_file, pycache=opened.pycache, extra=extra),
        kernel_process_env(_own(environ), place, target, opened.remarks),
        opened.hit.descriptors,
    )


def fallback_kernel(
    reason: Path, target: Target, connection_file: str, environ: Mapping[str, str]
) -> Launch:
    """The kernel that only says why."""
    return Launch(
        fallback_argv(connection_file), fallback_process_env(_own(environ), reason, target)
    )


def attached_engine() -> tuple[str, ...]:
    """The engine's command for a build that nobody wants when this process has gone."""
    return own_command(
        f"from nixenv.bootstrap.attached import end_with; end_with({os.getpid()}); "
        "from nixenv.cli import main; sys.exit(main())"
    )


def _own(environ: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environ.items() if name != FOLLOW}
