# ruff: noqa: PTH123, PTH110 - pathlib is not worth its import
"""Write down whether a build that Nix itself isolates sees the machine.

Run by Nix (Python 3.8 and later, no packages); the argument is a JSON file with a `path` that exists on the
machine and a `port` of it where somebody listens. `$out` is a JSON list of what was seen, empty behind walls.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys

_SECONDS = 2


def main() -> None:
    """Look for both."""
    with open(sys.argv[1], encoding="utf-8") as file:
        orders = json.load(file)
    seen = []
    if os.path.exists(orders["path"]):
        seen.append("the machine's files can be seen")
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", orders["port"]), _SECONDS).close()
        seen.append("the machine's network can be reached")
    with open(os.environ["out"], "w", encoding="utf-8") as file:  # noqa: SIM112 - Nix's name of it
        json.dump(seen, file)


if __name__ == "__main__":
    main()
