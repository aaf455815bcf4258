"""What the kernelspec's command does: become the kernel where that is possible at once, else take its place.

Each way imports what it needs when it is taken: the fastest needs next to nothing.
"""

from __future__ import annotations

import os
import sys

from nixenv.bootstrap.again import recall
from nixenv.bootstrap.arguments import Arguments, parse_arguments

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import NoReturn

    from nixenv.bootstrap.connection import Connection
    from nixenv.bootstrap.desk import Takeover
    from nixenv.bootstrap.front import Front


def main() -> None:
    """Become the kernel, or stand in for it until it is there."""
    environ = dict(os.environ)
    try:
        arguments = parse_arguments(sys.argv[1:])
    except ValueError as error:
        sys.exit(f"nixenv: {error}")
    if (known := recall(environ)) is not None:
        argv = [*known.argv, arguments.connection_file, *arguments.extra]
        os.execve(argv[0], argv, known.process_env)  # noqa: S606 - the hold is inheritable
    become_kernel(arguments, environ)
    stand_in(arguments, environ)


def become_kernel(arguments: Arguments, environ: Mapping[str, str]) -> None:
    """Become the kernel, if it can be known and started at once."""
    from nixenv.bootstrap.start import find_launch  # noqa: PLC0415

    try:
        launch = find_launch(arguments, environ)
    except Exception:  # noqa: BLE001 - it happens again where somebody is told
        return
    if launch is not None:
        os.execve(launch.argv[0], list(launch.argv), launch.process_env)  # noqa: S606 - as above


def stand_in(arguments: Arguments, environ: Mapping[str, str]) -> NoReturn:
    """Be the kernel's place until it is there, then its way to its clients; ends as it ends."""
    import signal  # noqa: PLC0415
    from pathlib import Path  # noqa: PLC0415

    from nixenv.bootstrap.child import end_as  # noqa: PLC0415
    from nixenv.bootstrap.connection import private_connection, read_connection  # noqa: PLC0415
    from nixenv.bootstrap.front import Front  # noqa: PLC0415
    from nixlib.errors import NixError  # noqa: PLC0415

    # An interrupt means nothing yet, and must not end what has hardly begun.
    signal.signal(signal.SIGINT, signal.SIG_IGN)

    try:
        connection = read_connection(Path(arguments.connection_file))
        front = Front(connection)
    except NixError as error:
        sys.exit(f"nixenv: {error.render()}")
    with private_connection(connection) as private:
        status = _serve(front, private, arguments, environ)
    end_as(status)


def _serve(
    front: Front, private: Connection, arguments: Arguments, environ: Mapping[str, str]
) -> int:
    import asyncio  # noqa: PLC0415

    from nixenv.bootstrap.choosing import Chooser, forget  # noqa: PLC0415
    from nixenv.bootstrap.desk import Desk  # noqa: PLC0415
    from nixenv.bootstrap.relay import relay  # noqa: PLC0415

    async def receive() -> Takeover | int:
        desk = Desk(front, private)
        return await desk.run(
            Chooser(arguments, private.file, environ, desk.note_event, desk.note_wish)
        )

    outcome = asyncio.run(receive())
    if isinstance(outcome, int):
        front.close()
        return outcome
    status = relay(front, outcome.backend, outcome.child)
    forget(outcome.choice)
    return status
