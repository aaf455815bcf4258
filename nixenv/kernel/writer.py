"""Who writes a changed spec and lock into the notebook, and what its reader is told about that.

The one place where this is decided. Today the engine writes the document that it was given: the
notebook's file (atomically, and only if nobody else changed it meanwhile), or a mailbox whose content
somebody else puts into the notebook. A front end that listens would be a third kind of writer: it would
get a mailbox as its document, and hand over what is in it.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .session import Session


def saved_notice(session: Session) -> str:
    """What to say after the engine changed the session's document; Markdown's backticks for names."""
    name = session.notebook_name
    if session.variables.get("NIXENV_WRITER") == "mailbox":
        return f"goes into the notebook that this run writes, beside the outputs of `{name}`"
    if session.document.endswith(".ipynb"):
        # JupyterLab and Notebook do not notice a change on disk before they save; then they ask, and
        # `Overwrite` would bring the old metadata back. Reloading keeps the kernel and its variables.
        return (
            f"saved into `{name}` on disk; this page does not show it yet: File → Reload Notebook from "
            "Disk. If Jupyter asks when saving, `Revert` keeps the new requirements, `Overwrite` drops them"
        )
    return f"saved into `{name}`"
