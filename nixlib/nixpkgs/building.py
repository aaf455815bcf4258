"""Building what no cache has: an attribute's derivations, by Nix, behind walls that were tried first.

A revision is a stranger's program, and so is every builder in it. Those builders are Nix's to start, so only
Nix's own sandbox can hold them; Debian's has it off, and a daemon ignores a client that asks for it. So a
build of ours that looks for the machine goes first, the same way, and if it finds the machine nothing is built.
"""

from __future__ import annotations

import json
import socket
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from nixlib.errors import BuildError, StoreError
from nixlib.nixpkgs.program import Answer, Limits, run_program
from nixlib.storepath import StorePath

if TYPE_CHECKING:
    from nixlib.cancel import Cancel
    from nixlib.settings import Settings
    from nixlib.store import Store

_EXPRESSION = Path(__file__).parent.parent / "expr" / "enclosed.nix"
_LIMITS = Limits(seconds=6 * 3600, silence=3600, grace=5)
_OPTIONS = ("--option", "sandbox", "true", "--option", "sandbox-fallback", "false")
_TAIL = 20


def check_sandbox(store: Store, settings: Settings, cancel: Cancel) -> None:
    """Prove by a build that Nix isolates what it builds here; half a second.

    Raises:
        SandboxError: It does not.
        StoreError: Nix cannot build at all.
    """
    from nixlib.workshop.enclosure import sandbox_error  # noqa: PLC0415 - seldom needed
    from nixlib.workshop.workshop import open_workshop  # noqa: PLC0415

    workshop = open_workshop(store, settings, cancel=cancel)
    settings.cache_dir.mkdir(parents=True, exist_ok=True)
    with socket.create_server(("127.0.0.1", 0)) as listener, tempfile.NamedTemporaryFile() as file:
        # A name of this moment: an answer of before says nothing about how Nix is set up now.
        orders = {"path": file.name, "port": listener.getsockname()[1]}
        derivation = workshop.derivation("look-out", "look_out", orders, ())
        given = {
            "name": derivation.name,
            "system": derivation.system,
            "builder": derivation.builder,
            "args": list(derivation.args),
            "env": dict(derivation.env),
            "sources": [path.in_dir(store.store_dir) for path in sorted(derivation.sources)],
        }
        made = run_program(
            "nix-instantiate",
            [str(_EXPRESSION), "--argstr", "json", json.dumps(given)],
            settings=settings,
            cancel=cancel,
        )
        if made.status:
            raise StoreError("Nix cannot prepare a build", details=made.log[-_TAIL:])
        built = build_derivations(made.output.decode().split(), settings, cancel)
    path = StorePath.parse(built[0], store.store_dir)
    seen = json.loads(store.physical(path).read_bytes())
    if seen:
        raise sandbox_error([str(sentence) for sentence in seen])


def build_derivations(
    derivations: Sequence[str],
    settings: Settings,
    cancel: Cancel,
    on_line: Callable[[str], None] = lambda _: None,
) -> tuple[str, ...]:
    """Build, or substitute as much as can be; the outputs' paths. The log of a failure is kept on disk.

    Args:
        derivations: Each `…drv` or `…drv!output`, valid.
        settings: Which store.
        cancel: Stops it, with every builder.
        on_line: Called with each line of the log, on another thread.

    Raises:
        BuildError: A builder failed; fields `reason`, `status`, `drv_path`, `log_tail`, `log_file`.
        RealisationCancelledError: Somebody stopped it.
    """
    from nixlib.workshop.buildlog import BuildLog  # noqa: PLC0415 - seldom needed

    with BuildLog(settings.state_dir / "logs", _name(derivations[0])) as log:

        def take(line: str) -> None:
            log.add(line)
            on_line(line)

        try:
            answer = run_program(
                "nix-store",
                ["--realise", *_OPTIONS, *derivations],
                settings=settings,
                cancel=cancel,
                limits=_LIMITS,
                on_line=take,
            )
        except StoreError as error:
            if "reason" not in error.fields:
                raise
            failure = _failed(derivations, error.fields["reason"], None, error.details)
            raise log.explain(failure) from error
        if answer.status:
            raise log.explain(_failed(derivations, "failed", answer.status, _said(answer)))
        return tuple(answer.output.decode().split())


def _name(derivation: str) -> str:
    """What is built by `/nix/store/…-graphviz-9.9.9.drv!lib`."""
    return derivation.rpartition("/")[2].partition(".drv")[0].partition("-")[2]


def _said(answer: Answer) -> tuple[str, ...]:
    """The log without what nobody asked about."""
    return tuple(line for line in answer.log if line and "you did not specify" not in line)[-_TAIL:]


def _failed(
    derivations: Sequence[str], reason: str, status: int | None, tail: Sequence[str]
) -> BuildError:
    return BuildError(
        f"`{_name(derivations[0])}` of nixpkgs could not be built",
        details=tuple(tail),
        reason=reason,
        status=status,
        drv_path=derivations[0],
        log_tail=tuple(tail),
        log_file="",
    )
