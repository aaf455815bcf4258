"""The names of store objects; part of their store paths, so never to be changed within a layout (pure)."""

from __future__ import annotations

import re

from nixlib.storepath import sanitise_name

_HOST_COPY = re.compile(r"python-3\.\d+\.\d+[a-z0-9]*-host")


def wheel_store_name(name: str, version: str) -> str:
    """`pandas-1.5.0`, whatever the wheel's file is called."""
    return _apart(sanitise_name(f"{name}-{version}"))


def conda_store_name(name: str, version: str, build: str) -> str:
    """`numpy-1.26.4-py311h64a7726_0`, whatever kind of archive it was."""
    return _apart(sanitise_name(f"{name}-{version}-{build}"))


def _apart(name: str) -> str:
    """`name`, or another for a package that is called like a copy of a machine's Python.

    A lock names such a copy by its hash alone, and it is started before any cell runs: what a stranger's
    archive unpacks to must never be taken for one.
    """
    return f"{name}-package" if _HOST_COPY.fullmatch(name) else name


def interpreter_store_name(version: str, source: str) -> str:
    """`python-3.11.7`, or `python-3.11.7-host` for a copy of a Python of some machine."""
    return f"python-{version}" if source == "standalone" else f"python-{version}-{source}"
