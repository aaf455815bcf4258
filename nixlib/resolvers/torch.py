"""PyTorch's wheels for a choice of CUDA: they are on an index of their own, of which nothing else is wanted (pure).

`uv lock` knows no torch backend. An index that is asked for direct dependencies only, and for nothing that is not
said to be of it, does the same; so what turns up in a resolution is made a direct dependency, and it is resolved again.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

from packaging.utils import canonicalize_name

from nixlib.resolvers.graph import Graph
from nixlib.resolvers.uv import Problem
from nixlib.variants import TORCH_PACKAGES

__all__ = ["placed_torch", "public_version"]


def placed_torch(
    problem: Problem, graph: Graph, index: str, elsewhere: Collection[str]
) -> Problem | None:
    """The problem with PyTorch's packages taken from their index; None when they all are.

    Args:
        problem: What was asked.
        graph: What was answered.
        index: The URL of the backend's index; empty for none.
        elsewhere: Names that come from no index.
    """
    if not index or not problem.system.endswith("-linux"):
        return None
    nodes = graph.nodes.items()
    torch = {name for name, node in nodes if name in TORCH_PACKAGES and node.index}
    names = sorted(torch - problem.placed.keys() - set(map(canonicalize_name, elsewhere)))
    if not names:
        return None
    return replace(
        problem,
        requirements=(*problem.requirements, *names),
        placed={**problem.placed, **dict.fromkeys(names, index)},
        # PyTorch's index gives no upload times.
        exempt=problem.exempt | set(names),
    )


def public_version(version: str) -> str:
    """A version as every index knows it.

    Examples:
        >>> public_version("2.5.1+cu124")
        '2.5.1'
    """
    return version.partition("+")[0]
