# ruff: noqa: PTH101, PTH116, PTH118, PTH120, PTH123, PTH208 - pathlib is not worth its import
"""Look for holes in the walls around a build, and write down which there are.

Run enclosed (Python 3.8 and later, no packages); the argument is a JSON file with `paths` that exist on
the machine, and a `port` of it where somebody listens. `$out/holes.json` is a list of sentences. Whoever
started the probe made those things for it, so that what is not seen is not seen because of the walls.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

_SECONDS = 2
_PROCESSES = 8  # ours, and those of Nix's sandbox


def visible(paths: list[str]) -> Iterator[str]:
    """Files of the machine."""
    for path in paths:
        if os.path.lexists(path):
            yield f"the machine's `{path}` can be seen"


def reachable(port: int) -> Iterator[str]:
    """The machine's network."""
    with contextlib.suppress(OSError):
        socket.create_connection(("127.0.0.1", port), _SECONDS).close()
        yield "the machine's network can be reached"


def processes() -> Iterator[str]:
    """Processes of others."""
    found = [name for name in os.listdir("/proc") if name.isdigit()]
    if len(found) > _PROCESSES:
        yield f"{len(found)} processes can be seen"


def privileges() -> Iterator[str]:
    """Rights that a build needs none of."""
    if os.getuid() == 0:
        yield "the builder is root"
    with open("/proc/self/status") as file:
        status = dict(line.split(":", 1) for line in file)
    if int(status["CapEff"], 16):
        yield "the builder has capabilities"
    if status.get("NoNewPrivs", "").strip() != "1":
        yield "the builder may gain privileges by a program that is setuid"


def writable(paths: list[str]) -> Iterator[str]:
    """Files that are not the build's own."""
    for path in paths:
        with contextlib.suppress(OSError):
            os.chmod(path, os.stat(path).st_mode & 0o7777)
            yield f"`{path}` can be changed"


def settings() -> Iterator[str]:
    """Settings of the kernel, which belong to root: in a user namespace, too, if it is root's."""
    path = "/proc/sys/kernel/core_pattern"
    if os.access(path, os.W_OK):
        yield f"`{path}` can be changed"


def main() -> None:
    """Try everything."""
    with open(sys.argv[1], encoding="utf-8") as file:
        orders = json.load(file)
    inputs = [os.path.realpath(path) for path in sys.argv[:2]]
    holes = [
        *visible(orders["paths"]),
        *reachable(orders["port"]),
        *processes(),
        *privileges(),
        *writable([*inputs, os.path.dirname(inputs[0]), "/", "/dev/null"]),
        *settings(),
    ]
    with open(os.path.join(os.environ["out"], "holes.json"), "w") as file:  # noqa: SIM112
        json.dump(holes, file)


if __name__ == "__main__":
    main()
