"""What uv chose for one system, as a graph of packages: `uv.lock` read and walked (pure)."""

from __future__ import annotations

import sys
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from packaging.markers import Marker

from nixlib.resolvers.requirements import public_url
from nixlib.resolvers.sources.stubs import BESIDE, INSTEAD

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

__all__ = ["Edge", "Graph", "Node", "WheelFile", "parse_uv_lock", "reached"]


@dataclass(frozen=True, slots=True)
class WheelFile:
    """A wheel that uv saw; `url` may carry secrets, `size` is 0 where the index does not say."""

    url: str
    sha256: str
    size: int

    @property
    def filename(self) -> str:
        """The last part of the URL's path, as it stands there (escapes are left)."""
        return public_url(self.url).rsplit("/", 1)[-1]


@dataclass(frozen=True, slots=True)
class Edge:
    """A dependency on `name` with `extras`, where `marker` holds; `version` only where uv has several."""

    name: str
    extras: tuple[str, ...] = ()
    marker: str = ""
    version: str = ""


@dataclass(frozen=True)
class Node:
    """One version of one package.

    `index` is the URL of the index it came from, empty for a direct URL; `uploaded` is RFC 3339, empty
    where the index does not say; `told` is what the stub said that it needs, where that is what uv saw.
    """

    name: str
    version: str
    index: str = ""
    uploaded: str = ""
    wheels: tuple[WheelFile, ...] = ()
    requires: tuple[Edge, ...] = ()
    extras: Mapping[str, tuple[Edge, ...]] | None = None
    told: frozenset[str] = frozenset()

    @property
    def is_stub(self) -> bool:
        """Whether no index gave it: it is something else's, or has yet to be built."""
        return self.index in (BESIDE, INSTEAD)


@dataclass(frozen=True)
class Graph:
    """What is installed on one system: one version of each name, and who wants whom.

    `edges` has the names that a package depends on directly, with the extras that are active; `roots` is
    what the notebook and the kernel ask for themselves.
    """

    nodes: Mapping[str, Node]
    edges: Mapping[str, frozenset[str]]
    roots: frozenset[str]
    extras: Mapping[str, frozenset[str]]

    def without(self, names: Collection[str]) -> Graph:
        """The same graph without the nodes of `names`, which something else installs; edges to them stay."""
        nodes = {name: node for name, node in self.nodes.items() if name not in names}
        return replace(self, nodes=nodes)


def parse_uv_lock(
    text: str, root: str, environments: Mapping[str, Mapping[str, str]]
) -> dict[str, Graph]:
    """The part of a `uv.lock` that is installed in each of several environments, by their names.

    Args:
        text: The file; read once, which takes longer than each walk through it.
        root: The normalised name of the project that the file was made for.
        environments: Marker variables (PEP 508) of a system and its Python, by name.
    """
    nodes = [_node(item) for item in tomllib.loads(text).get("package", [])]
    by_name: dict[str, list[Node]] = {}
    for node in nodes:
        by_name.setdefault(node.name, []).append(node)
    return {
        name: _walk(by_name, by_name[root][0], environment)
        for name, environment in environments.items()
    }


def _node(item: Mapping[str, Any]) -> Node:
    source = item.get("source", {})
    files = [*item.get("wheels", []), *([item["sdist"]] if "sdist" in item else [])]
    return Node(
        name=item["name"],
        version=item.get("version", "0"),
        index=source.get("registry", ""),
        uploaded=min((file["upload-time"] for file in files if "upload-time" in file), default=""),
        wheels=tuple(_wheel(file, source) for file in item.get("wheels", [])),
        requires=tuple(_edge(edge) for edge in item.get("dependencies", [])),
        extras={
            extra: tuple(_edge(edge) for edge in edges)
            for extra, edges in item.get("optional-dependencies", {}).items()
        },
    )


def _wheel(file: Mapping[str, Any], source: Mapping[str, Any]) -> WheelFile:
    algorithm, _, digest = file.get("hash", "").partition(":")
    url = file.get("url") or source.get("url", "")
    return WheelFile(url, digest if algorithm == "sha256" else "", int(file.get("size", 0)))


def _edge(item: Mapping[str, Any]) -> Edge:
    return Edge(
        item["name"], tuple(item.get("extra", ())), item.get("marker", ""), item.get("version", "")
    )


def _walk(by_name: Mapping[str, list[Node]], root: Node, environment: Mapping[str, str]) -> Graph:
    """Follow every active edge from `root`; an extra that shows up later is followed when it does."""

    def active(edge: Edge) -> bool:
        return not edge.marker or Marker(edge.marker).evaluate({**environment, "extra": ""})

    nodes: dict[str, Node] = {}
    edges: dict[str, set[str]] = {}
    extras: dict[str, set[str]] = {}
    seen: set[tuple[str, str]] = set()
    waiting = [(root, "")]
    while waiting:
        node, extra = waiting.pop()
        if (node.name, extra) in seen:
            continue
        seen.add((node.name, extra))
        wanted = (node.extras or {}).get(extra, ()) if extra else node.requires
        for edge in filter(active, wanted):
            target = _target(by_name, edge)
            nodes[target.name] = target
            edges.setdefault(node.name, set()).add(target.name)
            extras.setdefault(target.name, set()).update(edge.extras)
            waiting += [(target, item) for item in ("", *edge.extras)]
    nodes.pop(root.name, None)
    return Graph(
        nodes=dict(sorted(nodes.items())),
        edges={name: frozenset(edges.get(name, ())) - {name} for name in sorted(nodes)},
        roots=frozenset(edges.get(root.name, ())),
        extras={name: frozenset(extras.get(name, ())) for name in sorted(nodes)},
    )


def _target(by_name: Mapping[str, list[Node]], edge: Edge) -> Node:
    candidates = by_name[edge.name]
    return next((node for node in candidates if node.version == edge.version), candidates[0])


def reached(graph: Graph, names: Iterable[str]) -> frozenset[str]:
    """`names` and everything that they need, directly or not; names not installed are left out."""

    def walk() -> Iterator[str]:
        seen: set[str] = set()
        waiting = [name for name in names if name in graph.nodes]
        while waiting:
            name = waiting.pop()
            if name not in seen:
                seen.add(name)
                yield name
                waiting.extend(graph.edges.get(name, ()))

    return frozenset(walk())
