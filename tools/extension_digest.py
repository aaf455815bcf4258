"""Whether `extension/prebuilt` is the bundle of the sources beside it: `prebuilt.json` has a digest of both.

`make extension` records it (`--write`), and a test compares, so that nobody needs Node to notice.
"""

from __future__ import annotations

import hashlib
import json
import sys
from collections.abc import Iterable
from pathlib import Path

FOLDER = Path(__file__).parent.parent / "extension"
RECORD = FOLDER / "prebuilt.json"
SOURCES = ("src/*.ts", "build.mjs", "package.json", "package-lock.json", "tsconfig.json")


def digests() -> dict[str, str]:
    """What is there now."""
    sources = [path for pattern in SOURCES for path in FOLDER.glob(pattern)]
    bundle = [path for path in FOLDER.glob("prebuilt/**/*") if path.is_file()]
    return {"sources": _digest(sources), "bundle": _digest(bundle)}


def recorded() -> dict[str, str]:
    """What was there when the bundle was made."""
    value: dict[str, str] = json.loads(RECORD.read_text(encoding="utf-8"))
    return value


def _digest(paths: Iterable[Path]) -> str:
    total = hashlib.sha256()
    for path in sorted(paths):
        name = path.relative_to(FOLDER).as_posix()
        total.update(f"{name} {hashlib.sha256(path.read_bytes()).hexdigest()}\n".encode())
    return total.hexdigest()


if __name__ == "__main__":
    if sys.argv[1:] == ["--write"]:
        RECORD.write_text(json.dumps(digests(), indent=1) + "\n", encoding="utf-8")
    elif digests() != recorded():
        sys.exit("extension/prebuilt is not the bundle of extension/src: make extension")
