"""From what uv chose to what a lock says: the wheel of each system, its size, and who gets it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace

from nixlib.errors import LockError, NetworkError
from nixlib.lock import Artifact, LockedPackage
from nixlib.platforms import current_system, python_minor
from nixlib.resolvers.graph import Graph, Node, WheelFile
from nixlib.resolvers.indexes import PYPI
from nixlib.resolvers.requirements import public_url
from nixlib.resolvers.session import Session
from nixlib.resolvers.wheels import best_wheel

__all__ = [
    "build_packages",
    "built_here",
    "choices",
    "locked_index",
    "locked_packages",
    "merged",
    "without_wheel",
]


def without_wheel(graph: Graph, system: str, python: str) -> Node | None:
    """A package that has no wheel at all for a system, though uv thought so (musl only, say)."""
    minor = python_minor(python)
    nodes = (node for node in graph.nodes.values() if not node.is_stub)
    return next((node for node in nodes if _wheel_for(node, system, minor) is None), None)


def _wheel_for(node: Node, system: str, minor: str) -> WheelFile | None:
    if node.is_stub:
        return None
    return best_wheel(node.wheels, [wheel.filename for wheel in node.wheels], system, minor)


def locked_packages(
    session: Session, graphs: Mapping[str, Graph], held: Mapping[str, str]
) -> tuple[LockedPackage, ...]:
    """Every version of every system once, with the systems that get it."""
    minor = python_minor(session.request.python)
    found: dict[tuple[str, str], dict[str, Node]] = {}
    for system, graph in sorted(graphs.items()):
        for node in graph.nodes.values():
            found.setdefault((node.name, node.version), {})[system] = node
    chosen = {
        key: [wheel for system, node in nodes.items() if (wheel := _wheel_for(node, system, minor))]
        for key, nodes in found.items()
    }
    artifacts = _artifacts(session, {wheel for wheels in chosen.values() for wheel in wheels})
    packages = []
    for (name, version), nodes in sorted(found.items()):
        node = min(nodes.values(), key=lambda node: node.is_stub)
        built = next((node for node in nodes.values() if node.is_stub), None)
        packages.append(
            LockedPackage(
                name=name,
                version=version,
                wheels=tuple(sorted({artifacts[wheel] for wheel in chosen[name, version]})),
                source=session.sources.facts.locked(name, version).source if built else None,
                requires=tuple(
                    sorted({edge for system in nodes for edge in graphs[system].edges[name]})
                ),
                systems=() if len(nodes) == len(graphs) else tuple(sorted(nodes)),
                held=held.get(name, "") if _is_held(held, name, version) else "",
                index=locked_index(session, node),
                uploaded=min(node.uploaded for node in nodes.values())[:10],
            )
        )
    return tuple(packages)


def locked_index(session: Session, node: Node) -> str:
    """Where a package came from, as a lock says it: nothing where that is PyPI, as for everybody."""
    if node.is_stub:
        direct = session.sources.is_direct(node.name)
        index = "" if direct else session.pages.index_of(node.name)
    else:
        index = public_url(node.index).rstrip("/")
    return "" if index == session.indexes.default.public == PYPI else index


def build_packages(
    session: Session, packages: Iterable[LockedPackage]
) -> tuple[LockedPackage, ...]:
    """Everything that those of `packages` are built with that come as source, each version once."""
    facts = session.sources.facts
    return merged(
        one
        for package in packages
        if package.source
        for one in facts.locked(package.name, package.version).packages
    )


def merged(packages: Iterable[LockedPackage]) -> tuple[LockedPackage, ...]:
    """Each version of what builds want once, for all that want it; sorted."""
    found: dict[tuple[str, str], LockedPackage] = {}
    for one in packages:
        known = found.get((one.name, one.version))
        found[one.name, one.version] = _merged(known, one) if known else one
    return tuple(sorted(found.values()))


def _merged(one: LockedPackage, other: LockedPackage) -> LockedPackage:
    """A build package as two sources want it, which may be for other systems or with other extras."""
    everywhere = not (one.systems and other.systems)
    return replace(
        one,
        wheels=tuple(sorted({*one.wheels, *other.wheels})),
        source=one.source or other.source,
        requires=tuple(sorted({*one.requires, *other.requires})),
        systems=() if everywhere else tuple(sorted({*one.systems, *other.systems})),
    )


def built_here(
    session: Session, packages: Iterable[LockedPackage], systems: Collection[str]
) -> dict[str, str]:
    """What builds on the way gave on this machine, as `Lock.built` says it."""
    facts = session.sources.facts
    try:
        here = current_system()
    except LockError:
        return {}
    built = {
        f"{package.name} {here}": facts.nar(package.name, package.version)
        for package in packages
        if package.source and here in (package.systems or systems)
    }
    return {key: nar for key, nar in built.items() if nar}


def choices(session: Session, graphs: Mapping[str, Graph]) -> dict[str, str]:
    """Why what an index has as wheel and as source, or could have, is built."""
    where: dict[str, list[str]] = {}
    nodes: dict[str, Node] = {}
    for system, graph in sorted(graphs.items()):
        for name, node in graph.nodes.items():
            if node.is_stub:
                where.setdefault(name, []).append(system)
                nodes.setdefault(name, node)
    reasons = {
        name: session.sources.reason(node, where[name] if len(where[name]) < len(graphs) else ())
        for name, node in nodes.items()
    }
    return {name: reason for name, reason in sorted(reasons.items()) if reason}


def _is_held(held: Mapping[str, str], name: str, version: str) -> bool:
    return held.get(name, "").startswith(f"{name} {version},")


def _artifacts(session: Session, wheels: set[WheelFile]) -> dict[WheelFile, Artifact]:
    """Each wheel as the lock names it: no secret in its URL, its size and sha256 known.

    Raises:
        NetworkError: An index did not answer, or a file is not there.
    """
    ordered = sorted(wheels, key=lambda wheel: wheel.url)
    sizes = session.cache.sizes(wheel.sha256 for wheel in ordered if not wheel.size)
    whole = [wheel for wheel in ordered if not wheel.sha256]
    unknown = [
        wheel for wheel in ordered if wheel.sha256 and not (wheel.size or sizes.get(wheel.sha256))
    ]
    measured = session.web.each(lambda wheel: session.web.size(wheel.url), unknown)
    new = {wheel.sha256: size for wheel, size in zip(unknown, measured, strict=True)}
    session.cache.put_sizes(new)
    sizes |= new
    hashed = dict(
        zip(whole, session.web.each(lambda wheel: _measure(session, wheel), whole), strict=True)
    )
    return {
        wheel: hashed.get(wheel)
        or Artifact(public_url(wheel.url), wheel.sha256, wheel.size or sizes[wheel.sha256])
        for wheel in ordered
    }


def _measure(session: Session, wheel: WheelFile) -> Artifact:
    """Download a wheel whose index gives no sha256 (PEP 503 only asks for it)."""
    answer = session.web.get(wheel.url)
    if answer is None:
        url = public_url(wheel.url)
        raise NetworkError(f"`{url}` is not there any more", url=url)
    body = answer.content
    return Artifact(public_url(wheel.url), hashlib.sha256(body).hexdigest(), len(body))
