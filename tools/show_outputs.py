"""Print the text outputs of a notebook, cell by cell: `show_outputs.py NOTEBOOK`."""

import json
import sys
from pathlib import Path


def main(path: str) -> None:
    """Print what each code cell showed."""
    for cell in json.loads(Path(path).read_text(encoding="utf-8"))["cells"]:
        for output in cell.get("outputs", []):
            text = output.get("text") or output.get("data", {}).get("text/plain", "")
            print("".join(text).rstrip())


if __name__ == "__main__":
    main(sys.argv[1])
