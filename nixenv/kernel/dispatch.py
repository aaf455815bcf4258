"""From a line to its effect: ask the engine, move the kernel where that can be, show what came of it."""

from __future__ import annotations

import os
import sys

from . import engine_client, extend, loaded, output, screen
from .progress_view import ProgressView
from .session import current_session
from .verbs import parse_cell, parse_line
from .writer import saved_notice

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

    from .session import Session
    from .verbs import Command

    Answer = Mapping[str, Any]


def run_line(shell: Any, line: str) -> None:
    """`%nixenv <line>`.

    Raises:
        KernelSideError: The user's mistake or the engine's failure, as a message without traceback.
    """
    command = parse_line(line)
    if command is None:
        from .magics import HELP  # noqa: PLC0415

        print(HELP, end="")  # noqa: T201 - the answer
        return
    run(shell, command)


def run_cell(shell: Any, line: str, cell: str) -> None:
    """`%%nixenv <line>` with a requirement a line below; raises as `run_line`."""
    run(shell, parse_cell(line, cell))


def run(shell: Any, command: Command) -> None:
    """Carry a command out and show its page."""
    session = current_session(shell)
    view = ProgressView(_headline(command), screen.painter(shell))
    try:
        answer = engine_client.ask(session, command.verb.name, command.arguments, view.show)
    finally:
        view.finish()
    screen.show(_page(command, session, answer))


def _page(command: Command, session: Session, answer: Answer) -> output.Page:
    name = command.verb.name
    if name == "list":
        return output.list_page(answer)
    if name == "tree":
        return output.tree_page(answer)
    if name == "status":
        return output.status_page(answer, _kernel_facts(session))
    remarks = [_take_effect(session, answer) if command.verb.changes_environment else RELOCKED]
    if name != "sync":
        remarks.append(saved_notice(session))
    return output.changes_page(answer, remarks)


RELOCKED = "this kernel runs on as it is; `%nixenv sync` or a restart brings it to the new lock"
RESTART = "restart the kernel to use it"


def _take_effect(session: Session, answer: Answer) -> str:
    """Bring this kernel into the answer's environment if it can be, and say which it was."""
    target = extend.target_of(answer)
    if target is None:
        return f"the environment is made when the kernel starts: {RESTART}"
    if not session.owns_environment:
        return "this kernel is not a nixenv kernel: choose the kernel `nixenv` for the notebook to use it"
    if extend.is_current(target):
        return "this kernel is in that environment already"
    if not extend.has_same_interpreter(target):
        return f"the new environment has another Python: {RESTART}"
    before = extend.current_site_packages()
    differences = loaded.differences(
        loaded.distributions(before), loaded.distributions(target.site_packages)
    )
    stand = loaded.obstacles(differences, before, extend.imported_roots(), sys.modules)
    if stand:
        return _refusal(stand)
    extend.move_into(target)
    return "ready: no restart is needed"


def _refusal(stand: list[loaded.Obstacle]) -> str:
    each = "; ".join(f"{one.difference}, whose module `{one.module}` is loaded" for one in stand)
    return f"this kernel stays as it is, because it cannot swap {each}: {RESTART}"


def _headline(command: Command) -> str:
    return " ".join(["%nixenv", command.verb.name, *command.arguments])


def _kernel_facts(session: Session) -> dict[str, str]:
    return {
        "notebook": session.notebook_name,
        "kernel python": "{}.{}.{}".format(*sys.version_info[:3]),
        "kernel environment": os.path.realpath(sys.prefix),
        "extended": "yes" if len(extend.imported_roots()) > 1 else "no",
    }
