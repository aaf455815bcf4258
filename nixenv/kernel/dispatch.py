"""From a line to its effect: ask the engine, move the kernel where that can be, show what came of it."""

from __future__ import annotations

import os
import sys
import threading
from dataclasses import dataclass

from . import engine_client, extend, loaded, output, private_magic, screen
from .progress_view import ProgressView
from .session import current_session
from .verbs import parse_cell, parse_line
from .writer import desk, writing_page

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable, Mapping

    from .session import Session
    from .verbs import Command

    Answer = Mapping[str, Any]

RELOCKED = "this kernel runs on as it is; `%nixenv sync` or a restart brings it to the new lock"
RESTART = "restart the kernel to use it"

# One command after the other: cells of ipykernel's subshells run side by side.
_turn = threading.Lock()


@dataclass(frozen=True)
class Host:
    """The kernel that a command is carried out in.

    Attributes:
        asker: A shell or a kernel of ipykernel, which says whose request it is at.
        paint: Shows text and HTML where the progress is.
        effect: Lets the kernel follow the document where it can, and says how far that went.
        facts: What `status` says about the kernel, given the notebook's name.
    """

    asker: Any
    paint: Callable[[str, str], None]
    effect: Callable[[Command, Session, Answer], str]
    facts: Callable[[str], Mapping[str, object]]


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
    screen.show(carry_out(command, host_of(shell)))


def host_of(shell: Any, effects: list[str] | None = None) -> Host:
    """A kernel with IPython's shell.

    Args:
        shell: Whose.
        effects: Gets what every command did to the kernel, for those who must know more than that it is shown.
    """

    def effect(command: Command, session: Session, answer: Answer) -> str:
        said = _take_effect(session, answer) if command.verb.changes_environment else RELOCKED
        if effects is not None:
            effects.append(said)
        return said

    return Host(shell, screen.painter(shell), effect, _kernel_facts)


def carry_out(command: Command, host: Host) -> output.Page:
    """Ask the engine, hand the document over to who writes it, and let the kernel follow.

    Raises:
        KernelSideError: Something failed, or the user stopped it; then the document is as it was.
    """
    with _turn:
        page = writing_page(host.asker)
        session = current_session(host.asker, page.name if page else "")
        view = ProgressView(_headline(command), host.paint)
        with desk(session, page) as place:
            try:
                answer = engine_client.ask(
                    place.session, command.verb.name, command.arguments, view.show
                )
            finally:
                view.finish()
            notice = place.hand_over(is_changed=_is_changed(command, answer))
        return _page(command, host, session, answer, notice)


def _is_changed(command: Command, answer: Answer) -> bool:
    """Whether the engine has written a file: for `sync`, only where there was no lock."""
    name = command.verb.name
    is_news = any(answer.get(kind) for kind in ("added", "changed", "removed"))
    return name in ("add", "remove", "lock") or (name == "sync" and is_news)


def _page(
    command: Command, host: Host, session: Session, answer: Answer, notice: str
) -> output.Page:
    name = command.verb.name
    if name == "list":
        return output.list_page(answer)
    if name == "tree":
        return output.tree_page(answer)
    if name == "status":
        return output.status_page(answer, host.facts(session.notebook_name))
    effect = host.effect(command, session, answer)
    return output.changes_page(answer, [effect, *filter(None, [notice])])


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
        return f"the new environment has another {_foundation(target.python, sys.executable)}: {RESTART}"
    before = extend.current_site_packages()
    differences = loaded.differences(
        loaded.distributions(before), loaded.distributions(target.site_packages)
    )
    packages = loaded.obstacles(differences, before, extend.imported_roots(), sys.modules)
    stand = [*map(_clause, packages), *private_magic.obstacles(target.prefix)]
    if stand:
        return f"this kernel stays as it is until you restart it: {'; '.join(stand)}"
    extend.move_into(target)
    return "; ".join(["ready: no restart is needed", *private_magic.follow(target.prefix)])


def _foundation(python: str, own: str) -> str:
    """What another interpreter means: a change of conda's packages makes their whole prefix anew."""
    is_conda = all("-conda-prefix/" in os.path.realpath(one) for one in (python, own))
    return "conda prefix" if is_conda else "Python"


def _clause(obstacle: loaded.Obstacle) -> str:
    return f"{obstacle.difference}, but its module `{obstacle.module}` is loaded"


def _headline(command: Command) -> str:
    return " ".join(["%nixenv", command.verb.name, *command.arguments])


def _kernel_facts(notebook: str) -> dict[str, object]:
    return {
        "notebook": notebook,
        "kernel python": "{}.{}.{}".format(*sys.version_info[:3]),
        "kernel environment": os.path.realpath(sys.prefix),
        "extended": "yes" if len(extend.imported_roots()) > 1 else "no",
        "private groups in use": private_magic.in_use(),
    }
