"""Two versions of a small library: the notebook's, and a private group's with a dependency of its own."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

LIB = {
    "lib/__init__.py": """
        from lib import shape
        from .late import later, by_name, home, version, data, entry, absent, stranger
        import base, shared
        NUMBER = base.NUMBER
        class Thing:
            def __init__(self, value=0): self.value = value
            def __eq__(self, other): return type(other) is Thing and other.value == self.value
            def late(self):
                from lib.shape import Shape
                return Shape
        def call(function): return function()
        async def wait():
            import asyncio
            await asyncio.sleep(0)
            import lib.deep.down
            return lib.deep.down
    """,
    "lib/shape.py": "class Shape: pass\n",
    "lib/deep/__init__.py": "",
    "lib/deep/down.py": "from ..shape import Shape\n",
    "lib/data.txt": "{number}",
    "lib/late.py": """
        import importlib, pkgutil, sys
        def later():
            import base
            return base
        def by_name():
            return importlib.import_module("lib.shape"), importlib.import_module(".shape", "lib")
        def home():
            return sys.modules["lib"], sys.modules[__name__], __name__.split(".")[0]
        def version(name):
            from importlib.metadata import version
            return version(name)
        def data():
            return pkgutil.get_data("lib", "data.txt").decode()
        def entry():
            from importlib import metadata
            found = metadata.entry_points()
            found = found.select(group="things") if hasattr(found, "select") else found["things"]
            return [point.load() for point in found]
        def absent():
            import lib.nothing
        def stranger():
            import stranger
    """,
}


@dataclass(frozen=True)
class Notebook:
    """An environment with `lib` 2, and what declares a group `old` with `lib` 1 in it."""

    world: object
    prefix: Path
    old: Path
    base: Path

    def run(self, code: str, **variables: str) -> dict[str, object]:
        preamble = f"""
            from nixenv.groups import RefusedError, admit, declare, names, registry, withdraw
            from nixenv.groups.importing.domain import Domain
            from nixenv.groups.group import Group
            old = Group("old", ({str(self.old)!r}, {str(self.base)!r}), frozenset({{"lib", "base"}}),
                {{"lib": "1.0", "base": "1.0", "shared": "5.0"}}, frozenset({{"shared"}}))
            declare(Domain(old))
            site = {str(self.world.site_packages(self.prefix))!r}
        """
        whole = textwrap.dedent(preamble) + textwrap.dedent(code)
        return self.world.run(self.prefix, whole, **variables)


@pytest.fixture
def notebook(any_world, monkeypatch) -> Notebook:
    """On the oldest and on the newest Python."""
    monkeypatch.chdir(any_world.root)  # not the checkout, in which there is a `nixenv`
    return make(any_world)


@pytest.fixture
def own_notebook(world, monkeypatch) -> Notebook:
    """On the Python that runs the tests, which has IPython."""
    monkeypatch.chdir(world.root)
    return make(world)


def make(world) -> Notebook:
    def lib(version, number):
        files = {path: textwrap.dedent(text) for path, text in LIB.items()}
        files["lib/data.txt"] = str(number)
        files[f"lib-{version}.dist-info/entry_points.txt"] = "[things]\nthing = lib:Thing\n"
        return world.package("lib", version, files)

    def base(version, number):
        return world.package("base", version, {"base.py": f"NUMBER = {number}\n"})

    shared = world.package("shared", "5.0", {"shared.py": "class Common: pass\n"})
    stranger = world.package("stranger", "1.0", {"stranger.py": ""})
    prefix = world.environment("env", lib("2.0", 2), base("2.0", 2), shared, stranger)
    return Notebook(world, prefix, lib("1.0", 1), base("1.0", 1))
