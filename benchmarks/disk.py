"""Ten notebooks with overlapping 100-package environments; beside the union of their unpacked wheels."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

from benchmarks.measure import Row
from benchmarks.workplace import HUNDRED, UV, Workplace

TEN = (
    "six",
    "humanize",
    "tabulate",
    "toolz",
    "pluggy",
    "xxhash",
    "parse",
    "termcolor",
    "polars",
    "sympy",
)


def measure(place: Workplace) -> list[Row]:
    """Bytes on disk (`du`), interpreter left out on both sides."""
    place.empty("store", "state")
    place.nixenv("build", str(place.notebook("python.ipynb")))
    before = _bytes(place.root / "store" / "nix" / "store")
    pins: dict[str, str] = {}
    for extra in TEN:
        notebook = place.notebook(f"disk-{extra}.ipynb", *HUNDRED, extra)
        place.nixenv("build", str(notebook))
        pins |= {line.split("=")[0]: line for line in place.pins(notebook).read_text().splitlines()}
    ours = _bytes(place.root / "store" / "nix" / "store") - before
    kernel = json.loads((place.root / "python.ipynb").read_text())["metadata"]["nixenv"]["lock"]
    counted = {package["name"] for package in kernel["packages"]}
    union = place.root / "union.txt"
    union.write_text("\n".join(line for name, line in pins.items() if name not in counted) + "\n")
    place.empty("union")
    place.run(*UV, "pip", "install", "--quiet", "--no-deps", "--link-mode", "copy", "--target", str(place.root / "union"), "-r", str(union))  # fmt: skip
    theirs = _bytes(place.root / "union")
    return [
        Row(
            "disk: ten notebooks",
            "the union of their unpacked wheels",
            ours / 1e6,
            theirs / 1e6,
            1.03,
            "MB",
        )
    ]


def _bytes(folder: Path) -> float:
    done = subprocess.run(
        ["du", "-s", "--block-size=1", str(folder)], check=True, capture_output=True, text=True
    )
    return float(done.stdout.split()[0])
