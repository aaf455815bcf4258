"""Python's own modules for looking modules up by name, as the modules of a group see them.

`sys.modules["pandas"]`, `importlib.import_module("pandas.core")`, `importlib.metadata.version("pandas")`
and `pickle.loads(…)` in a group's code mean the group's pandas. The group's `import sys` gives a module
whose `modules` is the group's and whose every other attribute is `sys`'s own; `importlib` is a copy with
three functions of its own; `importlib.metadata`, `importlib.resources`, `pkgutil` and `pickle` are run
once more for the group, so that all they do goes the group's way (`settling` finishes them).
"""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import MutableMapping
from types import ModuleType

from ..registry import ROOT

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.machinery import ModuleSpec
    from typing import Any, Callable, Iterator

    from .domain import Domain

# Parts of `importlib` that are run again; the rest of it is the same for everybody.
RERUN = ("importlib.metadata", "importlib.resources", "importlib._common")


class GroupModules(MutableMapping):  # type: ignore[type-arg]
    """`sys.modules` under the names that the group's code uses, without what the group does not see."""

    def __init__(self, domain: Domain) -> None:
        self._domain = domain

    def _sees(self, name: object) -> bool:
        if not isinstance(name, str):
            return False
        top = name.partition(".")[0]
        return self._domain.owns(top) or self._domain.sees(top)

    def __getitem__(self, name: str) -> Any:
        if not self._sees(name):
            raise KeyError(name)
        return sys.modules[self._domain.real_name(name)]

    def __setitem__(self, name: str, module: Any) -> None:
        self._domain.add_seen(name.partition(".")[0])
        sys.modules[self._domain.real_name(name)] = module

    def __delitem__(self, name: str) -> None:
        if not self._sees(name):
            raise KeyError(name)
        del sys.modules[self._domain.real_name(name)]

    def __iter__(self) -> Iterator[str]:
        for key in list(sys.modules):
            name = self._domain.own_name(key)
            if name != key or (not self._is_hidden(key) and self._sees(key)):
                yield name

    def _is_hidden(self, key: str) -> bool:
        return self._domain.owns(key.partition(".")[0]) or key.startswith(ROOT)

    def __len__(self) -> int:
        return sum(1 for _ in self)

    def __repr__(self) -> str:
        return f"<modules that private group `{self._domain.group.name}` sees>"

    def copy(self) -> dict[str, Any]:
        """As `dict.copy`."""
        return dict(self)


class _Through(ModuleType):
    """A module whose attributes are another's, but for those that it was made with."""

    def __init__(self, real: ModuleType, own: dict[str, Any]) -> None:
        super().__init__(real.__name__, real.__doc__)
        self.__dict__.update(own)
        self.__dict__["_real"] = real

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_real"], name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name in self.__dict__:
            self.__dict__[name] = value
        else:
            setattr(self.__dict__["_real"], name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self.__dict__["_real"], name)

    def __dir__(self) -> list[str]:
        return dir(self.__dict__["_real"])


def _sys(domain: Domain) -> ModuleType:
    return _Through(sys, {"modules": GroupModules(domain)})


def _builtins(domain: Domain) -> ModuleType:
    return domain.builtins_module


def _importlib(domain: Domain) -> ModuleType:
    module = ModuleType("importlib", importlib.__doc__)
    left_out = {"__loader__", "__spec__", "__package__", "metadata", "resources", "util"}
    for name, value in vars(importlib).items():
        if name not in left_out:
            module.__dict__[name] = value
    # `from importlib import metadata` looks for it below this name.
    module.__name__ = domain.name_of(f"{domain.prefix}importlib")

    def import_module(name: str, package: str | None = None) -> ModuleType:
        """Import a module; the package is needed for a relative name."""
        if name.startswith("."):
            return importlib.import_module(name, package and domain.real_name(package))
        return domain.load(name)

    module.import_module = import_module  # type: ignore[attr-defined]
    module.__import__ = domain.import_  # type: ignore[attr-defined]
    return module


def _util(domain: Domain) -> ModuleType:
    module = ModuleType("importlib.util", importlib.util.__doc__)
    for name, value in vars(importlib.util).items():
        if name not in {"__loader__", "__spec__", "__package__"}:
            module.__dict__[name] = value

    def find_spec(name: str, package: str | None = None) -> ModuleSpec | None:
        """Return the spec of a module; the package is needed for a relative name."""
        if name.startswith("."):
            return importlib.util.find_spec(name, package and domain.real_name(package))
        top = name.partition(".")[0]
        if not domain.owns(top) and not domain.sees(top):
            return None
        return importlib.util.find_spec(domain.real_name(name))

    module.find_spec = find_spec  # type: ignore[attr-defined]
    return module


MADE: dict[str, Callable[[Domain], ModuleType]] = {
    "sys": _sys,
    "builtins": _builtins,
    "importlib": _importlib,
    "importlib.util": _util,
}
