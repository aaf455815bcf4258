"""Outputs of nixpkgs as what composing takes: programs, Python packages, the interpreter itself."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING

from nixlib.composition.compose import InterpreterPackage
from nixlib.composition.package import LAYOUT, Facts, Package, Place, StoreListing, no_facts
from nixlib.errors import InterpreterError
from nixlib.platforms import python_minor
from nixlib.wheels.distinfo import is_name, is_version, normalised, parse_headers, parse_scripts

if TYPE_CHECKING:
    from nixlib.nixpkgs.realising import RealisedAttribute
    from nixlib.store import Store
    from nixlib.storepath import StorePath

PROGRAMS: Place = "bin"
_INFO = re.compile(r".+\.(dist|egg)-info")
_VERSION = re.compile(r"(python3\.\d+-)?(?P<name>.+?)-(?P<version>\d.*)")


def packages_of(realised: RealisedAttribute, store: Store, *, python: str) -> tuple[Package, ...]:
    """What a requirement brings into an environment, one package for each of its outputs.

    Of a Python package what can be imported joins, and its commands are made anew, so that they run the
    environment's Python; of anything else its programs.

    Args:
        realised: The attribute.
        store: Where it is valid.
        python: The version of the environment's Python.
    """
    listings = {path: StoreListing(store.physical(path)) for path in realised.paths}
    site = f"lib/python{python_minor(python)}/site-packages"
    return tuple(
        found
        for path, listing in listings.items()
        for found in (
            _python_package(path, listing, site)
            if realised.locked.python
            else _programs(path, listing, realised.locked.attribute)
        )
    )


def _programs(path: StorePath, listing: StoreListing, attribute: str) -> Iterator[Package]:
    # Only programs: they find their own data by its store path, and other folders would clash for nothing.
    commands = listing.children("bin")
    if not commands:
        return
    name, version = _named(path.name, attribute)
    hidden = frozenset(f"bin/{command}" for command in commands if command.startswith("."))
    facts, parts = no_facts(name, version), {"bin": PROGRAMS}
    yield Package(name, version, path, listing, facts, parts=parts, apart=hidden)


def _python_package(path: StorePath, listing: StoreListing, site: str) -> Iterator[Package]:
    name, version = _named(path.name, path.name)
    console: dict[str, str] = {}
    gui: dict[str, str] = {}
    infos = [entry for entry in sorted(listing.children(site)) if _INFO.fullmatch(entry)]
    for info in infos:
        for file in ("METADATA", "PKG-INFO"):
            if listing.kind(f"{site}/{info}/{file}") == "file":
                headers = parse_headers(listing.read(f"{site}/{info}/{file}"))
                if is_name(headers.get("name", "")) and is_version(headers.get("version", "")):
                    name, version = normalised(headers["name"]), headers["version"]
        if listing.kind(f"{site}/{info}/entry_points.txt") == "file":
            scripts = parse_scripts(listing.read(f"{site}/{info}/entry_points.txt"))
            console |= scripts.console
            gui |= scripts.gui
    facts = Facts(LAYOUT, name, version, console, gui, (), ())
    yield Package(name, version, path, listing, facts, parts={site: "site-packages"})


def _named(store_name: str, attribute: str) -> tuple[str, str]:
    """A name and a version out of the name of a store object, `graphviz-12.0.0`."""
    found = _VERSION.fullmatch(store_name)
    if found is None:
        return normalised(attribute.rpartition(".")[2]), "0"
    return normalised(found["name"]), found["version"]


def nixpkgs_interpreter(
    realised: RealisedAttribute, version: str, store: Store
) -> InterpreterPackage:
    """A Python of nixpkgs as the interpreter of an environment.

    Raises:
        InterpreterError: The store object has no such Python.
    """
    path = realised.paths[0]
    listing = StoreListing(store.physical(path))
    if listing.kind(f"bin/python{python_minor(version)}") is None:
        raise InterpreterError(
            f"`{realised.locked.attribute}` of nixpkgs is not Python {version}",
            details=(f"`{path}` has no `bin/python{python_minor(version)}`",),
            wanted=version,
            found=(),
        )
    return InterpreterPackage(version, path, listing)
