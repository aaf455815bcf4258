"""What the server extension and the kernels' provisioners of one Jupyter server have in common.

It lies in the settings of the server's web application, so that there is one of each per server and none
where the extension is not loaded.
"""

from __future__ import annotations

from typing import Any, TypeVar

T = TypeVar("T")

_KEY = "nixenv"


def share(server: Any, value: object) -> None:
    """Let every provisioner below `server` find `value` by its type."""
    server.web_app.settings.setdefault(_KEY, {})[type(value)] = value


def shared(kernels: Any, kind: type[T]) -> T | None:
    """What the extension of the server above the mapping kernel manager `kernels` shares, or None."""
    application = getattr(getattr(kernels, "parent", None), "web_app", None)
    found = getattr(application, "settings", {}).get(_KEY, {}).get(kind)
    return found if isinstance(found, kind) else None
