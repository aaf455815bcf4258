"""Parts of packages that run in the page: those that an environment brings and the Jupyter server lacks.

A widget library is two programs. Its Python half is in the notebook's environment; the half that draws is a
prebuilt JupyterLab extension (`share/jupyter/labextensions/NAME/package.json`), and JupyterLab looks for
those beside the server only.
"""

from __future__ import annotations

import importlib.util
import shlex
import sys
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from nixlib.composition.package import FACTS_NAME, parse_facts
from nixlib.errors import StoreError

EXTENSIONS = Path("share/jupyter/labextensions")


@dataclass(frozen=True, slots=True)
class Part:
    """The page part of one package: what JupyterLab calls it, and where it is from."""

    extension: str
    package: str
    version: str


@dataclass(frozen=True, slots=True)
class FrontEnd:
    """Page parts that the server lacks, and the one command that brings them."""

    parts: tuple[Part, ...]
    command: str

    @property
    def message(self) -> str:
        """One sentence for a cell or a terminal."""
        names = ", ".join(dict.fromkeys(f"`{part.package}`" for part in self.parts))
        subject = f"{names} has a part" if len(self.parts) == 1 else f"{names} have parts"
        return (
            f"{subject} for the page, which this Jupyter server lacks: `{self.command}`,"
            " then reload the page"
        )

    def to_json(self) -> dict[str, Any]:
        """As it is in an answer."""
        return {**asdict(self), "message": self.message}


def lacking_front_end(environment: Path, names: Collection[str] | None = None) -> FrontEnd | None:
    """The page parts of an environment that the server of this installation has not; a few `stat`.

    Args:
        environment: Its folder on this machine.
        names: Only of these packages (normalised); None for all.
    """
    brought = find_extensions([environment / EXTENSIONS])
    if not brought:
        return None
    from jupyter_core.paths import jupyter_path  # noqa: PLC0415 - few packages have such a part

    present = find_extensions(map(Path, jupyter_path("labextensions")))
    found = (_part(name, brought[name]) for name in sorted(brought.keys() - present.keys()))
    parts = tuple(part for part in found if part and (names is None or part.package in names))
    wanted = dict.fromkeys(f"{part.package}=={part.version}" for part in parts)
    return FrontEnd(parts, install_command(wanted)) if parts else None


def find_extensions(folders: Iterable[Path]) -> dict[str, Path]:
    """Every prebuilt extension in `folders`, by name, with its `package.json`; the first folder wins."""
    found: dict[str, Path] = {}
    for folder in folders:
        for pattern in ("*/package.json", "@*/*/package.json"):
            for file in folder.glob(pattern):
                found.setdefault(file.parent.relative_to(folder).as_posix(), file)
    return found


def install_command(requirements: Iterable[str]) -> str:
    """What installs packages beside the server, which this process shares its Python with."""
    # An installation that uv made has no pip; uv itself is a dependency of ours.
    has_pip = importlib.util.find_spec("pip") is not None
    installer = (
        ("pip", "install") if has_pip else ("uv", "pip", "install", "--python", sys.executable)
    )
    return shlex.join([sys.executable, "-m", *installer, *requirements])


def _part(extension: str, file: Path) -> Part | None:
    """Whose extension it is: the store object that the file really lies in says so."""
    folders = file.resolve().parents
    facts_file = next((one / FACTS_NAME for one in folders if (one / FACTS_NAME).is_file()), None)
    if facts_file is None:
        return None
    try:
        facts = parse_facts(facts_file.read_bytes())
    except (OSError, StoreError):
        return None
    return Part(extension, facts.name, facts.version)
