"""Lock and run every notebook under `examples/`, and keep what it showed: `refresh_examples.py [NB …]`.

The stored outputs are what a test compares a run with, so nothing of this machine or this minute stays in
them: no times, no paths.
"""

import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

EXAMPLES = Path(__file__).parent.parent / "examples"


def main(paths: list[str]) -> None:
    """Refresh the notebooks at `paths`; all of them when none is named."""
    for notebook in map(Path, paths) if paths else sorted(EXAMPLES.rglob("*.ipynb")):
        with tempfile.TemporaryDirectory() as folder:
            output = Path(folder) / notebook.name
            _nixenv("lock", notebook)
            _nixenv("run", notebook, "--output", output)
            text = output.read_text(encoding="utf-8")
        value = settled(json.loads(text))
        notebook.write_text(
            json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", encoding="utf-8"
        )


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


def _nixenv(*arguments: object) -> None:
    subprocess.run([sys.executable, "-m", "nixenv", *map(str, arguments)], check=True)


if __name__ == "__main__":
    main(sys.argv[1:])
