"""`nixenv import`: an `environment.yml` into a notebook, with its lock."""

from __future__ import annotations

import argparse
import os
from dataclasses import replace
from pathlib import Path

from nixenv.cli.command import Context
from nixenv.cli.init import make
from nixenv.cli.report import Report
from nixenv.errors import MetadataError
from nixlib.condafile import ImportedFile, parse_condafile
from nixlib.errors import NixError
from nixlib.platforms import current_system
from nixlib.requirements import PypiRequirement, parse_line
from nixlib.spec import Spec


def run(arguments: argparse.Namespace, context: Context) -> Report:
    """Read `arguments.file`, and give `arguments.notebook` the spec that it says."""
    file = Path(arguments.file)
    imported = parse_condafile(_read(file), filename=file.name, system=current_system())
    path = Path(arguments.notebook) if arguments.notebook else _beside(file, imported)
    spec = _moved(imported.spec, file.parent, path.parent)
    try:
        report = make(path, spec, context, is_forced=arguments.force)
    except NixError as error:
        # What was read otherwise than it stands there may be why.
        error.details = (*error.details, *imported.notes)
        raise
    notes = [f"note: {note}" for note in imported.notes]
    return replace(
        report,
        result={**report.result, "notes": list(imported.notes)},
        text="\n".join([*notes, report.text]),
    )


def _read(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is no UTF-8 text"
        raise MetadataError(
            f"`{file}` cannot be read", details=(str(reason),), notebook=str(file), key=""
        ) from error


def _beside(file: Path, imported: ImportedFile) -> Path:
    """A notebook beside the file, called as the environment is."""
    plain = imported.name.isprintable() and not set(imported.name) & {"/", "\\", "\0"}
    stem = imported.name if plain and imported.name.strip(". ") else file.stem
    return file.with_name(f"{stem}.ipynb")


def _moved(spec: Spec, before: Path, after: Path) -> Spec:
    """The spec with folders of channels and projects as they are seen from where the notebook is."""
    channels = tuple(
        _relative(before / channel, after) if channel.startswith(("./", "../")) else channel
        for channel in spec.channels
    )
    requirements = tuple(_moved_line(line, before, after) for line in spec.requirements)
    return replace(spec, channels=channels, requirements=requirements)


def _moved_line(line: str, before: Path, after: Path) -> str:
    read = parse_line(line)
    if not isinstance(read, PypiRequirement) or read.direct is None or not read.direct.folder:
        return line
    folder = _relative(before / read.direct.folder, after)
    return str(replace(read, direct=replace(read.direct, folder=folder)))


def _relative(place: Path, start: Path) -> str:
    path = os.path.relpath(place, start)
    return path if path == "." or path.startswith("..") else f"./{path}"
