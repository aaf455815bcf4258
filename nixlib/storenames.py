"""The names of store objects; part of their store paths, so never to be changed within a layout (pure)."""

from __future__ import annotations

from nixlib.storepath import sanitise_name


def wheel_store_name(name: str, version: str) -> str:
    """`pandas-1.5.0`, whatever the wheel's file is called."""
    return sanitise_name(f"{name}-{version}")


def interpreter_store_name(version: str, source: str) -> str:
    """`python-3.11.7`, or `python-3.11.7-host` for a copy of a Python of some machine."""
    return f"python-{version}" if source == "standalone" else f"python-{version}-{source}"
