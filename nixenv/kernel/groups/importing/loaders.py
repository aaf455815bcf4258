"""Finding and loading the modules of a group: Python's own finders and loaders, with the group's names."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from importlib.machinery import (
    BYTECODE_SUFFIXES,
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
    SourcelessFileLoader,
)

from .. import registry
from ..registry import ROOT
from . import settling, views
from .domain import COPIED, DRAWING, as_part_of_the_import_system

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import ModuleType
    from typing import Any, Iterator, Sequence

    from ..group import Group
    from .domain import Domain


def _prepare(module: ModuleType) -> Domain:
    domain = registry.domain_of(module.__name__)
    domain.refresh_builtins()
    domain.fresh.append(str.__getitem__(module.__name__, slice(None)))
    module.__dict__["__builtins__"] = domain.builtins
    module.__name__ = domain.name_of(module.__name__)
    if module.__package__:
        module.__package__ = domain.name_of(module.__package__)
    return domain


class PrivateSourceLoader(SourceFileLoader):
    """A module of Python code, with the group's `__builtins__`."""

    @as_part_of_the_import_system
    def exec_module(self, module: ModuleType) -> None:
        """Run the code."""
        domain = _prepare(module)
        super().exec_module(module)
        settling.settle(domain, module)


class PrivateBytecodeLoader(SourcelessFileLoader):
    """The same without its source."""

    @as_part_of_the_import_system
    def exec_module(self, module: ModuleType) -> None:
        """Run the code."""
        domain = _prepare(module)
        super().exec_module(module)
        settling.settle(domain, module)


class PrivateExtensionLoader(ExtensionFileLoader):
    """A compiled module; modules of one phase run when they are created, others when executed."""

    def create_module(self, spec: ModuleSpec) -> Any:
        """Load the library with the group's imports."""
        router = registry.domain_of(spec.name).router()
        return router.load(
            self.path, lambda: super(PrivateExtensionLoader, self).create_module(spec)
        )

    @as_part_of_the_import_system
    def exec_module(self, module: ModuleType) -> None:
        """Run what is left of its initialisation."""
        key = self.name
        domain = registry.domain_of(key)
        domain.fresh.append(key)
        super().exec_module(module)
        domain.router().take_new()
        settling.settle(domain, module)


class AliasLoader:
    """The notebook's own module under a name of the group: the same object."""

    def __init__(self, name: str) -> None:
        self.name = name

    def create_module(self, spec: ModuleSpec) -> None:
        """An empty module, which is replaced at once."""

    def exec_module(self, module: ModuleType) -> None:
        """Put the real module into its place, which the import system then takes."""
        sys.modules[module.__name__] = importlib.import_module(self.name)


class ViewLoader:
    """One of Python's own modules as the group sees it."""

    def __init__(self, domain: Domain, name: str) -> None:
        self.domain, self.name = domain, name

    def create_module(self, spec: ModuleSpec) -> ModuleType:  # noqa: ARG002 - the protocol
        """The module, complete."""
        return views.MADE[self.name](self.domain)

    def exec_module(self, module: ModuleType) -> None:
        """Nothing is left to do."""


class PackageLoader:
    """The package `nixenv.private.<group>`, in which the group's modules are."""

    def __init__(self, group: Group) -> None:
        self.group = group

    def create_module(self, spec: ModuleSpec) -> None:
        """An ordinary module."""

    def exec_module(self, module: ModuleType) -> None:
        """List what the group has; nothing of it is loaded."""
        group = self.group
        versions = ", ".join(
            f"{name} {version}" for name, version in sorted(group.distributions.items())
        )
        module.__doc__ = f"Private dependencies `{group.name}`: {versions}"
        listed = sorted(group.owned | group.public | set(group.lent))
        module.__dict__["__all__"] = listed
        # For completion, before anything of it is loaded.
        module.__dict__["__dir__"] = lambda: sorted({*listed, *vars(module)})


DETAILS = (
    (PrivateExtensionLoader, EXTENSION_SUFFIXES),
    (PrivateSourceLoader, SOURCE_SUFFIXES),
    (PrivateBytecodeLoader, BYTECODE_SUFFIXES),
)
_finders: dict[str, FileFinder] = {}


def package(domain: Domain) -> ModuleSpec:
    """The spec of the package that the group's modules are in."""
    loader = PackageLoader(domain.group)
    spec = ModuleSpec(domain.package, loader, origin="private group", is_package=True)  # type: ignore[arg-type]
    spec.submodule_search_locations = list(domain.group.folders)
    return spec


def find(domain: Domain, name: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """The spec of what `domain` calls `name`; None if there is no such module."""
    key = domain.prefix + name
    top, _, rest = name.partition(".")
    if name in views.MADE:
        spec = ModuleSpec(key, ViewLoader(domain, name), is_package=name == "importlib")  # type: ignore[arg-type]
        if name == "importlib":
            spec.submodule_search_locations = list(importlib.__path__)
        return spec
    if top in domain.group.owned:  # perhaps a namespace, of which others have parts
        own = _find_in(key, path if rest else domain.group.folders)
        if own is not None and own.loader is not None:
            return own
        return _first_or_namespace(key, own, list(_elsewhere(domain, name)))
    if top in COPIED or (domain.owns(top) and top not in domain.group.lent):
        return _find_copy(domain, key, name, path if rest else None)
    return _first_or_namespace(key, None, list(_elsewhere(domain, name)))


def _elsewhere(domain: Domain, name: str) -> Iterator[tuple[str, ModuleSpec]]:
    """Where else the group's modules find `name`: with another group, with the notebook, in Python."""
    top = name.partition(".")[0]
    group = domain.group
    homes = [f"{ROOT}{group.lent[top]}."] if top in group.lent else []
    if top in group.public or (top not in group.owned and domain.sees(top) and not homes):
        homes.append("")
    for home in homes:
        found = _spec(home + name)
        if found is not None:
            yield home + name, found


def _spec(name: str) -> ModuleSpec | None:
    module = sys.modules.get(name)
    try:
        return getattr(module, "__spec__", None) or importlib.util.find_spec(name)
    except ModuleNotFoundError:
        return None
    except ValueError:  # a module without a spec, as `__main__` is
        return ModuleSpec(name, None)


def _first_or_namespace(
    key: str, own: ModuleSpec | None, others: Sequence[tuple[str, ModuleSpec]]
) -> ModuleSpec | None:
    """The first regular module, else one namespace of all parts; a sole other module is that module."""
    for name, spec in others:
        if not _is_namespace(spec):
            return alias(key, name)
    if not others:
        return own
    if own is None and len(others) == 1:
        return alias(key, others[0][0])
    namespace = ModuleSpec(key, None, is_package=True)
    parts = own.submodule_search_locations if own is not None else None
    namespace.submodule_search_locations = list(parts or ())
    return namespace


def _is_namespace(spec: ModuleSpec) -> bool:
    return spec.origin is None and spec.submodule_search_locations is not None


def _find_copy(
    domain: Domain, key: str, name: str, path: Sequence[str] | None
) -> ModuleSpec | None:
    """A module of Python's, or of a library for lookups, that is run again for the group."""
    if name.startswith("importlib.") and not name.startswith(views.RERUN):
        return alias(key, name) if _spec(name) is not None else None
    if path is not None:
        return _find_in(key, path)
    full = next((full for full, own in DRAWING.items() if own == name), name)
    lender = domain.group.lent.get(name)
    real = _spec(f"{ROOT}{lender}.{name}" if lender else full)
    if real is None or not real.origin:
        return None
    return importlib.util.spec_from_file_location(
        key,
        real.origin,
        loader=PrivateSourceLoader(key, real.origin),
        submodule_search_locations=real.submodule_search_locations,
    )


def alias(key: str, name: str) -> ModuleSpec:
    """The spec that makes `key` the very module that is called `name`."""
    return ModuleSpec(key, AliasLoader(name))  # type: ignore[arg-type]


def _find_in(key: str, path: Sequence[str] | None) -> ModuleSpec | None:
    """As Python's path finder does it: the first module, or all parts of a namespace."""
    parts: list[str] = []
    for folder in path or ():
        finder = _finders.get(folder)
        if finder is None:
            finder = _finders[folder] = FileFinder(folder, *DETAILS)
        spec = finder.find_spec(key)
        if spec is not None:
            if spec.loader is not None:
                return spec
            parts.extend(spec.submodule_search_locations or ())
    if not parts:
        return None
    namespace = ModuleSpec(key, None, is_package=True)
    namespace.submodule_search_locations = parts
    return namespace
