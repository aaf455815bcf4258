"""`python -m benchmarks [NAME…]`: measure, and print the README's table."""

from __future__ import annotations

import importlib
import sys
import tempfile
from pathlib import Path

from benchmarks.workplace import Workplace

NAMES = (
    "start",
    "cold",
    "warm",
    "add",
    "disk",
    "hundred",
    "status",
    "lab",
    "bootstrap",
    "conda",
    "private_process",
    "private",
)


def main(names: list[str]) -> None:
    """Measure each row in a folder of its own, and print them all at the end."""
    rows = []
    for name in names or NAMES:
        print(f"{name}:", flush=True)
        with tempfile.TemporaryDirectory(
            prefix="nixenv-bench-", ignore_cleanup_errors=True
        ) as folder:
            place = Workplace(Path(folder))
            rows += importlib.import_module(f"benchmarks.{name}").measure(place)
            place.empty("store")
    print("\n| what | against | nixenv | other | ratio | to reach |\n|---|---|---|---|---|---|")
    print("\n".join(row.markdown() for row in rows))


if __name__ == "__main__":
    main(sys.argv[1:])
