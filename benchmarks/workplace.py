"""A folder of our own to measure in: a store, caches and homes that nobody else has touched."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HUNDRED = ("jupyterlab", "pandas", "matplotlib", "scikit-learn", "seaborn")
PYTHON = "{}.{}".format(*sys.version_info[:2])
NIXENV = (sys.executable, "-m", "nixenv")
UV = (str(Path(sysconfig.get_path("scripts")) / "uv"),)


@dataclass(frozen=True)
class Workplace:
    """A root folder, and the process environment that keeps both tools inside it."""

    root: Path

    @property
    def env(self) -> dict[str, str]:
        """Our side: a chroot store, and XDG folders below the root."""
        kept = {
            k: v
            for k, v in os.environ.items()
            if not k.startswith(("NIXENV_", "PYTHON", "VIRTUAL_ENV"))
        }
        return kept | {
            "NIX_REMOTE": str(self.root / "store"),
            "XDG_STATE_HOME": str(self.root / "state"),
            "XDG_CACHE_HOME": str(self.root / "cache"),
            "XDG_CONFIG_HOME": str(self.root / "config"),
            "UV_CACHE_DIR": str(self.root / "uv-cache"),
            "UV_PYTHON_DOWNLOADS": "never",
        }

    def nixenv(self, *arguments: str) -> dict[str, Any]:
        """Run a verb, and give its JSON result."""
        done = self.run(*NIXENV, *arguments, "--json")
        result: dict[str, Any] = json.loads(done.stdout)
        return result

    def run(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run a command to its end; its failure ends the benchmark and shows why."""
        done = subprocess.run(
            command, env=self.env, check=False, text=True, cwd=self.root, capture_output=True
        )
        if done.returncode:
            sys.exit(f"{' '.join(command)}\n{done.stdout}\n{done.stderr}")
        return done

    def notebook(self, name: str, *requirements: str) -> Path:
        """A locked notebook."""
        path = self.root / name
        self.nixenv("init", str(path), *requirements, "--python", PYTHON)
        return path

    def pins(self, notebook: Path) -> Path:
        """The same packages for `uv pip sync`: one pin with its hashes a line."""
        lock = json.loads(notebook.read_text())["metadata"]["nixenv"]["lock"]
        path = notebook.with_suffix(".txt")
        path.write_text("".join(_pin(package) for package in lock["packages"] if _here(package)))
        return path

    def venv(self, name: str, pins: Path) -> Path:
        """What the other side does: `uv venv`, then `uv pip sync`."""
        path = self.root / name
        self.run(*UV, "venv", "--quiet", "--python", sys.base_prefix + "/bin/python3", str(path))
        self.run(*UV, "pip", "sync", "--quiet", "--python", str(path / "bin" / "python"), str(pins))
        return path

    def empty(self, *names: str) -> None:
        """Put aside what was made under these names.

        Not deleted before the end: a file system that has just freed many inodes is slow at making new
        ones, and that would be measured.
        """
        for name in names:
            path = self.root / name
            if path.exists():
                path.rename(self.root / f"aside-{time.monotonic_ns()}")
        os.sync()


def _here(package: dict[str, Any]) -> bool:
    return "x86_64-linux" in package.get("systems", "x86_64-linux")


def _pin(package: dict[str, Any]) -> str:
    hashes = "".join(f" --hash=sha256:{wheel.split()[0]}" for wheel in package["wheels"])
    return f"{package['name']}=={package['version']}{hashes}\n"
