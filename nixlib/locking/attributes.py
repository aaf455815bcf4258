"""What of a lock is from nixpkgs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from nixlib.errors import ResolutionError
from nixlib.lock import LockedAttribute, LockedInterpreter
from nixlib.locking.asked import Asked
from nixlib.locking.conda import CONDA, FromConda
from nixlib.locking.lines import ChosenLines
from nixlib.platforms import is_nixos

_NIXPKGS = "nixpkgs"


@dataclass(frozen=True)
class FromNixpkgs:
    """What nixpkgs brings.

    Attributes:
        systems: Those that it can serve.
        attributes: For the lock.
        interpreter: The Python, where it is of nixpkgs.
        provided: Version of each Python package, by normalised name.
        notes: What the author should know.
    """

    systems: tuple[str, ...]
    attributes: tuple[LockedAttribute, ...] = ()
    interpreter: LockedInterpreter | None = None
    provided: Mapping[str, str] = field(default_factory=dict)
    notes: tuple[str, ...] = ()

    def outputs_of(self, systems: tuple[str, ...]) -> tuple[LockedAttribute, ...]:
        """The attributes, with the outputs of `systems` only."""
        return tuple(
            replace(
                one,
                outputs={
                    system: one.outputs[system] for system in systems if system in one.outputs
                },
            )
            for one in sorted(self.attributes)
        )


def lock_attributes(asked: Asked, chosen: ChosenLines, conda: FromConda) -> FromNixpkgs:
    """What nixpkgs brings; nothing is loaded where nobody asks for any of it.

    Raises:
        EvaluationError: An attribute is none.
        InterpreterError: Its Python is not the one that the notebook asks for.
        ResolutionError: conda brings another Python.
        NetworkError: A revision could not be had.
        RealisationCancelledError: Somebody stopped it.
    """
    own, spec = chosen.lines.nixpkgs, asked.spec
    interpreter = spec.interpreter or (CONDA if conda.python else None)
    is_own = interpreter == _NIXPKGS or (interpreter is None and is_nixos())
    if not own and not spec.build_inputs and not is_own:
        return FromNixpkgs(conda.systems)
    from nixlib.resolvers.nixpkgs import AttributeRequest, resolve_attributes  # noqa: PLC0415 - as said
    from nixlib.sources.site import nixpkgs_inputs  # noqa: PLC0415

    inputs = nixpkgs_inputs(spec.build_inputs)
    if not own and not inputs and not is_own:
        return FromNixpkgs(conda.systems)
    found = resolve_attributes(
        AttributeRequest(
            requirements=tuple(line.read for line in own),
            build=inputs,
            python=spec.python,
            interpreter=interpreter,
            systems=conda.systems,
            previous=asked.previous.attributes if asked.previous else (),
            upgrade=asked.upgrade,
            notebook=asked.notebook,
        ),
        settings=asked.settings,
        on_event=asked.on_event,
        cancel=asked.cancel,
    )
    if found.interpreter and conda.python:
        raise ResolutionError(
            f"conda brings Python {conda.python}, and nixpkgs Python {found.interpreter.version}",
            details=found.notes,
            hint="take the Python packages of the notebook from one of them",
            requirement="interpreter",
            notebook=asked.notebook,
        )
    return FromNixpkgs(
        found.systems, found.attributes, found.interpreter, found.provided, found.notes
    )
