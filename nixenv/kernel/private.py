"""The package that a notebook's private groups are imported from: `from nixenv.private.old import pandas`.

It holds nothing but them, so that none of their names is taken. `nixenv.groups` finds what is in it.
"""

from __future__ import annotations

from .groups import registry as _registry

__path__: list[str] = []


def __dir__() -> list[str]:
    return _registry.names()


def __getattr__(name: str) -> list[str]:
    if name == "__all__":  # IPython completes `from nixenv.private.` with what is in it.
        return _registry.names()
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


_registry.install()
