"""nixenv inside a kernel: `%nixenv`, and the answers that `%pip` and its like give there.

The launcher makes this folder importable as `nixenv` in any notebook's environment, so everything here
needs only the standard library and IPython, runs on Python 3.8, and imports its neighbours relatively:
in the server's own installation the same files are `nixenv.kernel`. Loading the extension costs under a
millisecond; what a verb needs is imported when the verb is used.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

__all__ = ["load_ipython_extension", "start_session", "unload_ipython_extension"]


def start_session(variables: Mapping[str, str]) -> None:
    """Remember the `NIXENV_*` variables that this kernel was started with; the launcher calls it once."""
    from . import launched  # noqa: PLC0415

    launched.remember(variables)


def load_ipython_extension(shell: Any) -> None:
    """Make `%nixenv` known to `shell`; a second time changes nothing."""
    from . import launched, magics  # noqa: PLC0415

    magics.register(shell)
    remarks = (launched.variables() or {}).get("NIXENV_REMARKS")
    if remarks:
        from . import remarks as room  # noqa: PLC0415 - few starts have anything to say

        room.announce(shell, remarks.splitlines())


def unload_ipython_extension(shell: Any) -> None:
    """Take `%nixenv` away again; IPython's own `%pip` and `%conda` come back."""
    from . import magics  # noqa: PLC0415

    magics.unregister(shell)
