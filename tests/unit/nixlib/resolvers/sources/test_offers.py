"""What uv was told of a source, against what is known of it by now."""

from __future__ import annotations

import pytest

from nixlib.resolvers.base import Request
from nixlib.resolvers.graph import Graph, Node
from nixlib.resolvers.sources.offers import Sources, noted
from nixlib.resolvers.sources.stubs import BESIDE, Stub
from nixlib.resolvers.uv import Problem, Solution

NEEDS = ("lib>=1",)


class KnownByNow:
    """Facts about one version, which another thread has looked up after uv was asked."""

    direct: frozenset[str] = frozenset()

    def build(self, name, version, owner):
        """It says what is known already."""

    def stub(self, name, version, **_):
        return Stub(name, version, NEEDS)


def answer():
    nodes = {"app": Node("app", "1", index=BESIDE), "lib": Node("lib", "1", index="https://i")}
    return Solution(Graph(nodes, {"app": frozenset()}, frozenset({"app"}), {}), "")


@pytest.mark.parametrize(("told", "again"), [((), True), (NEEDS, False)])
def test_uv_is_asked_again_when_its_stub_said_less_than_is_known(told, again):
    """A lock without `app`'s dependencies came of comparing with what was known, not with what was told."""
    problem = Problem(("app",), "3.11.7", "x86_64-linux", offered=(Stub("app", "1", told),))
    graph = noted(answer(), problem).graph
    assert graph.nodes["app"].told == frozenset(told)
    sources = Sources(Request(("app",), "3.11.7", ()), lambda _: (), KnownByNow())
    assert sources.build_all(graph) is again
