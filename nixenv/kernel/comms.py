"""ipykernel's side of the pages: its comms come in here, and whose cell is running is asked here.

Loaded with the extension, so it imports what it needs when a page is there.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .page import Page

# The comm's target name, on both sides.
TARGET = "nixenv"


def listen(shell: Any) -> None:
    """Take the comms of pages from now on; a terminal's shell has none."""
    manager = _manager(shell)
    if manager is not None:
        manager.register_target(TARGET, _opened)


def stop_listening(shell: Any) -> None:
    """Take no more comms; those that are open stay."""
    targets = getattr(_manager(shell), "targets", {})
    if targets.get(TARGET) is _opened:
        del targets[TARGET]


def _manager(shell: Any) -> Any:
    return getattr(getattr(shell, "kernel", None), "comm_manager", None)


def _opened(comm: Any, message: Any) -> None:
    """The comm manager's callback: `comm` is the `comm` package's, or an older ipykernel's own."""
    from .page import pages  # noqa: PLC0415
    from .session import start_variables  # noqa: PLC0415
    from .writer import offer_lock  # noqa: PLC0415

    identity = comm.comm_id
    comm.on_msg(lambda told: pages().told(identity, told["content"].get("data")))
    comm.on_close(lambda _: pages().closed(identity))
    session = session_of(message)
    pages().opened(identity, session, message["content"].get("data"), comm.send)
    offer_lock(pages().of_session(session), start_variables().get("NIXENV_MAILBOX", ""))


def session_of(message: Any) -> str:
    """The client session that sent a message; empty when there is none."""
    header = message.get("header") if isinstance(message, dict) else None
    session = header.get("session") if isinstance(header, dict) else None
    return session if isinstance(session, str) else ""


def page_of_request(shell: Any) -> Page | None:
    """The page that sent what is carried out at this moment; None for other clients and in a terminal.

    Args:
        shell: A shell or a kernel of ipykernel: both say what they are at.
    """
    get_parent = getattr(shell, "get_parent", None)
    if get_parent is None:
        return None
    from .page import pages  # noqa: PLC0415

    return pages().of_session(session_of(get_parent()))
