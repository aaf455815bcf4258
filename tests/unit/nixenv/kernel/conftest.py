"""Environments of the shape that nixenv composes, made of folders and links: no Nix, no network."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from nixlib.interpreters.host_python import find_hosts

KERNEL_SIDE = Path(__file__).parents[4] / "nixenv" / "kernel"

PREAMBLE = f"""
import importlib.util, json, sys
spec = importlib.util.spec_from_file_location("launcher", {str(KERNEL_SIDE / "launcher.py")!r})
launcher = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launcher)
sys.meta_path.insert(0, launcher.KernelSideFinder)
"""


class World:
    """A store of unpacked packages, and environments that link to them."""

    def __init__(self, root: Path, python: str = sys.executable) -> None:
        self.root = root
        self.python = python
        self.version = subprocess.run(
            [python, "-c", "import sys; print('%d.%d' % sys.version_info[:2])"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip

    def package(self, name: str, version: str, files: dict[str, str], build: str = "a") -> Path:
        """An unpacked wheel: its files and its metadata, with a RECORD."""
        home = self.root / "store" / f"{build}-{name}-{version}" / "site-packages"
        metadata = f"{name}-{version}.dist-info"
        tree = {
            **files,
            f"{metadata}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        }
        tree[f"{metadata}/RECORD"] = "".join(f"{path},,\n" for path in tree)
        for path, text in tree.items():
            (home / path).parent.mkdir(parents=True, exist_ok=True)
            (home / path).write_text(text)
        return home

    def environment(self, name: str, *packages: Path, merged: tuple[str, ...] = ()) -> Path:
        """A `pyvenv.cfg` tree; what two packages share, or `merged` names, is a real folder."""
        prefix = self.root / name
        site = self.site_packages(prefix)
        site.mkdir(parents=True)
        (prefix / "bin").mkdir()
        base = subprocess.run(
            [self.python, "-c", "import sys; print(sys._base_executable)"],
            check=True, capture_output=True, text=True,
        ).stdout.strip()  # fmt: skip
        (prefix / "bin" / "python").symlink_to(base)
        (prefix / "pyvenv.cfg").write_text(
            f"home = {Path(base).parent}\ninclude-system-site-packages = false\n"
        )
        for package in packages:
            for entry in package.iterdir():
                if entry.name in merged:
                    (site / entry.name).mkdir(exist_ok=True)
                    for child in entry.iterdir():
                        if not (site / entry.name / child.name).exists():
                            (site / entry.name / child.name).symlink_to(child)
                else:
                    (site / entry.name).symlink_to(entry)
        return prefix

    def site_packages(self, prefix: Path) -> Path:
        return prefix / "lib" / f"python{self.version}" / "site-packages"

    def run(self, prefix: Path, code: str, **variables: str) -> dict[str, object]:
        """Run code in an environment; its last line must print a JSON object."""
        done = subprocess.run(
            [str(prefix / "bin" / "python"), "-c", PREAMBLE + textwrap.dedent(code)],
            capture_output=True,
            text=True,
            check=False,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1", **variables},
            timeout=60,
        )
        assert done.returncode == 0, done.stderr
        answer: dict[str, object] = json.loads(done.stdout.splitlines()[-1])
        return answer


def _oldest_and_newest() -> list[str]:
    """Interpreters to run the kernel side on: the oldest and newest of this machine that are supported."""
    hosts = [str(host.executable) for host in find_hosts()]
    return sorted({hosts[0], hosts[-1]}) if hosts else [sys.executable]


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


@pytest.fixture(params=_oldest_and_newest())
def any_world(request: pytest.FixtureRequest, tmp_path: Path) -> World:
    """A world on an old Python, and one on a new one."""
    return World(tmp_path, request.param)
