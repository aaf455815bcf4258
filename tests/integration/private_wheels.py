"""Wheels of the registry, laid out as an environment with private groups is: links to unpacked packages."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

KERNEL_SIDE = Path(__file__).parents[2] / "nixenv" / "kernel"
NOT_MODULES = (".dist-info", ".libs", ".pth", ".data")

PREAMBLE = f"""
import importlib.util, json, os, sys, threading, pickle
spec = importlib.util.spec_from_file_location("launcher", {str(KERNEL_SIDE / "launcher.py")!r})
launcher = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launcher)
sys.meta_path.insert(0, launcher.KernelSideFinder)
from nixenv.groups import RefusedError, declare
from nixenv.groups.importing.domain import Domain
from nixenv.groups.group import Group
for one in json.loads(os.environ["THE_GROUPS"]): declare(Domain(Group.from_json(one)))
def in_thread(function, *arguments):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function(*arguments)))
    thread.start(); thread.join()
    return answers[0]
def there_and_back(value):
    back = [pickle.loads(pickle.dumps(value, protocol)) for protocol in range(2, 6)]
    assert all(type(one) is type(value) for one in back), (type(value), [type(one) for one in back])
    return back[-1]
def nothing_leaked(*tops):
    "A module of these is of the group's files under the group's names, and of the notebook's under plain ones."
    folder = json.loads(os.environ["THE_GROUPS"])[0]["folders"][0] + os.sep
    for name, module in list(sys.modules.items()):
        file = getattr(module, "__file__", None)
        plain = name[len("nixenv.private.old."):] if name.startswith("nixenv.private.old.") else name
        if file and plain.split(".")[0] in tops: assert file.startswith(folder) == (plain != name), (name, file)
"""


@dataclass(frozen=True)
class Wheels:
    """An environment of the notebook's packages, beside which groups are made.

    Attributes:
        root: Everything is below it.
        python: Runs in the environment.
        base: The interpreter that it is made from.
    """

    root: Path
    python: Path
    base: Path

    def unpacked(self, requirement: str) -> Path:
        """One wheel's own `site-packages`."""
        home = self.root / "unpacked" / requirement
        if not home.exists():
            subprocess.run(
                [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--no-deps", "--only-binary", ":all:", "--python",
                 self.base, "--target", home, requirement],
                check=True, stdin=subprocess.DEVNULL, timeout=280,
            )  # fmt: skip
        return home

    def folder(self, name: str, requirements: list[str]) -> Path:
        """Links to all that these wheels have at the top level."""
        home = self.root / name
        home.mkdir(parents=True, exist_ok=True)
        for requirement in requirements:
            for entry in self.unpacked(requirement).iterdir():
                link = home / entry.name
                if entry.name != "bin" and not link.exists():
                    link.symlink_to(entry)
        return home

    def tops(self, requirements: list[str]) -> list[str]:
        entries = [entry for one in requirements for entry in self.unpacked(one).iterdir()]
        return sorted(
            {
                entry.name.partition(".")[0]
                for entry in entries
                if entry.suffix not in NOT_MODULES and entry.name[0] != "." and entry.name != "bin"
            }
        )

    def group(
        self, name: str, own: list[str], shared: list[str], **more: object
    ) -> dict[str, object]:
        whole = dict(requirement.split("==") for requirement in (*own, *shared))
        folder = "-".join([name, *own]).replace("==", "-")
        return {
            "name": name,
            "folders": [str(self.folder(f"groups/{folder}", own))],
            "owned": self.tops(own),
            "distributions": whole,
            "public": self.tops(shared),
            **more,
        }

    def run(self, own: list[str], shared: list[str], code: str, *others: dict[str, object]) -> str:
        """Run code in a process that has a group `old` of these, and the others."""
        groups = [self.group("old", own, shared), *others]
        done = subprocess.run(
            [str(self.python), "-X", "faulthandler", "-c", PREAMBLE + textwrap.dedent(code)],
            capture_output=True, text=True, check=False, timeout=240, cwd=self.root,
            env={**os.environ, "THE_GROUPS": json.dumps(groups), "MPLBACKEND": "agg"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-6000:]
        return done.stdout


def make_wheels(root: Path, base: Path, version: str, public: list[str]) -> Wheels:
    """The environment with these public packages."""
    subprocess.run([base, "-m", "venv", "--without-pip", root / "env"], check=True)
    made = Wheels(root, root / "env" / "bin" / "python", base)
    made.folder(f"env/lib/python{version}/site-packages", public)
    return made
