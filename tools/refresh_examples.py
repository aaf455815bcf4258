"""Lock and run every notebook under `examples/`, and keep what it showed: `refresh_examples.py [NB …]`.

The stored outputs are what a test compares a run with, so nothing of this machine or this minute stays in
them: no times, no paths. Those below `sources` run with what stands in for the public channels and for
nixpkgs, and are kept without the lock that this gave.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from nixlib.testing.stand_ins import stand_ins

EXAMPLES = Path(__file__).parent.parent / "examples"


def main(paths: list[str]) -> None:
    """Refresh the notebooks at `paths`; all of them when none is named."""
    for notebook in map(Path, paths) if paths else sorted(EXAMPLES.rglob("*.ipynb")):
        if notebook.parent.name == "sources":
            with stand_ins() as variables:
                value = settled(_ran(notebook, {**os.environ, **variables}))
            del value["metadata"]["nixenv"]["lock"]
        else:
            value = settled(_ran(notebook, dict(os.environ)))
        notebook.write_text(
            json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
        )


def _ran(notebook: Path, process_env: dict[str, str]) -> dict[str, Any]:
    """What the notebook is after it was locked and run."""
    with tempfile.TemporaryDirectory() as folder:
        output = Path(folder) / notebook.name
        for arguments in (("lock", notebook), ("run", notebook, "--output", output)):
            argv = [sys.executable, "-m", "nixenv", *map(str, arguments)]
            subprocess.run(argv, check=True, env=process_env)
        found: dict[str, Any] = json.loads(output.read_text(encoding="utf-8"))
        return found


def settled(notebook: dict[str, Any]) -> dict[str, Any]:
    """`notebook` without what differs from run to run (pure)."""
    cells = [
        {**cell, "metadata": _without(cell["metadata"], "execution")} for cell in notebook["cells"]
    ]
    # The kernel says its Python's third number there; Jupyter writes it again at each opening.
    metadata = _without(notebook["metadata"], "language_info")
    return {**notebook, "cells": cells, "metadata": metadata}


def _without(value: dict[str, Any], key: str) -> dict[str, Any]:
    return {name: item for name, item in value.items() if name != key}


if __name__ == "__main__":
    main(sys.argv[1:])
