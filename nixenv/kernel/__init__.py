"""nixenv inside a kernel: `%nixenv`, `%%private`, and the answers that `%pip` and its like give there.

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
    """Make `%nixenv` and the private groups known to `shell`; a second time changes nothing."""
    from . import launched, magics, private_magic  # noqa: PLC0415

    magics.register(shell)
    is_new = private_magic.register(shell)
    variables = launched.variables()
    if variables is None or not is_new:
        return
    lines = [*variables.get("NIXENV_REMARKS", "").splitlines(), *private_magic.declare_groups()]
    if lines:
        from . import remarks  # noqa: PLC0415 - few starts have anything to say

        remarks.announce(shell, lines)


def unload_ipython_extension(shell: Any) -> None:
    """Take `%nixenv` and `%%private` away again; IPython's own `%pip` and `%conda` come back."""
    from . import magics, private_magic  # noqa: PLC0415

    magics.unregister(shell)
    private_magic.unregister(shell)
