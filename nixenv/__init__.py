"""nixenv: a notebook carries its own environment, and any Jupyter client opens it in exactly that.

Imports nothing: the command line, the provisioner and the kernel side each cost only themselves.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

__all__ = ["load_ipython_extension", "unload_ipython_extension"]


def load_ipython_extension(shell: Any) -> None:
    """`%load_ext nixenv`, in a kernel that runs in the installation of nixenv itself."""
    from nixenv import kernel  # noqa: PLC0415

    kernel.load_ipython_extension(shell)


def unload_ipython_extension(shell: Any) -> None:
    """`%unload_ext nixenv`."""
    from nixenv import kernel  # noqa: PLC0415

    kernel.unload_ipython_extension(shell)


def _jupyter_server_extension_points() -> list[dict[str, str]]:
    """Where a Jupyter server finds the extension that it knows as `nixenv`."""
    return [{"module": "nixenv.server.extension", "name": "nixenv"}]
