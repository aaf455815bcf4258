"""What is valid as what composing takes: packages, and the interpreter that runs them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from nixlib.binaries.libraries import check_libraries
from nixlib.composition.compose import InterpreterPackage
from nixlib.composition.package import FACTS_NAME, Package, StoreListing, parse_facts
from nixlib.errors import StoreError
from nixlib.realise.context import Valid

if TYPE_CHECKING:
    from nixlib.store import Store
    from nixlib.storepath import StorePath


def package_at(store: Store, name: str, version: str, path: StorePath) -> Package:
    """An unpacked wheel.

    Raises:
        StoreError: It is not that package.
    """
    listing = StoreListing(store.physical(path))
    try:
        facts = parse_facts(listing.read(FACTS_NAME))
    except OSError as error:
        why = f"it has no readable `{FACTS_NAME}`: {error.strerror}"
        raise _not_a_package(name, version, path, why) from error
    if facts.name != name:
        # A hint that its user trusts may still pair this wheel with another one's tree.
        raise _not_a_package(name, version, path, f"it is a package `{facts.name}`")
    return Package(name, version, path, listing, facts)


def interpreter_package(store: Store, found: Valid, libraries: Sequence[str]) -> InterpreterPackage:
    """An interpreter that is a store object of its own.

    Raises:
        InterpreterError: This machine lacks one of the `libraries` that it needs from the system.
    """
    check_libraries(found.leaf.version, libraries)
    listing = StoreListing(store.physical(found.path))
    return InterpreterPackage(found.leaf.version, found.path, listing)


def _not_a_package(name: str, version: str, path: StorePath, why: str) -> StoreError:
    return StoreError(
        f"the store object of `{name}` {version} is not that package",
        details=(f"`{path}`: {why}",),
        package=name,
    )
