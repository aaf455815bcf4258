"""Where output goes: into a notebook's cell, in place, or onto a terminal, line by line."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Callable

    from .output import Page


def painter(shell: Any) -> Callable[[str, str], None]:
    """How progress is painted for the users of `shell`.

    In a kernel the first painting is a display and later ones update it; `jupyter console` shows the
    first and ignores updates (jupyter_console 6.6.3, `ptshell.py`), so the result is a display of its
    own. In a terminal each change is a line.
    """
    if getattr(shell, "kernel", None) is None:
        return lambda text, html: print(text, flush=True)  # noqa: ARG005, T201
    from IPython.display import display, update_display  # noqa: PLC0415

    identity: list[str] = []

    def paint(text: str, html: str) -> None:
        bundle = {"text/plain": text, "text/html": html}
        if identity:
            update_display(bundle, display_id=identity[0], raw=True)  # type: ignore[no-untyped-call]
        else:
            identity.append(display(bundle, display_id=True, raw=True).display_id)  # type: ignore[no-untyped-call]

    return paint


def show(page: Page) -> None:
    """Put a page into the cell's output: HTML for those who can, text for the others."""
    from IPython.display import display  # noqa: PLC0415

    display({"text/plain": page.text(), "text/html": page.html()}, raw=True)  # type: ignore[no-untyped-call]
