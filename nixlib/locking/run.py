"""The steps of a resolution, in their order."""

from __future__ import annotations

from nixlib.lock import Lock
from nixlib.locking.asked import Asked
from nixlib.locking.attributes import lock_attributes
from nixlib.locking.conda import lock_conda, of_systems
from nixlib.locking.lines import choose_lines
from nixlib.locking.wheels import Elsewhere, lock_wheels


def make_lock(asked: Asked) -> Lock:
    """The lock of a spec.

    Raises:
        RequirementError: A line cannot be read.
        ResolutionError: Nothing fits.
        InterpreterError: The Python that is asked for cannot be had.
        EvaluationError: An attribute of nixpkgs is none.
        SourceBuildError: A package has no wheel, and its source cannot be built.
        NetworkError: A registry did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    chosen = choose_lines(asked)
    conda = lock_conda(asked, chosen)
    asked.cancel.check()
    nixpkgs = lock_attributes(asked, chosen, conda)
    asked.cancel.check()
    found, interpreter = lock_wheels(asked, chosen, Elsewhere(conda, nixpkgs))
    dated = (f"resolved as of {asked.as_of}",) if asked.as_of else ()
    lock = Lock(
        spec=asked.spec.digest,
        interpreter=interpreter,
        packages=tuple(sorted(found.packages)),
        systems=found.systems,
        build_packages=tuple(sorted(found.build_packages)),
        conda=of_systems(conda.conda, found.systems),
        attributes=nixpkgs.outputs_of(found.systems),
        choices={**found.choices, **chosen.choices},
        substitutions=asked.substituted,
        notes=tuple(dict.fromkeys((*dated, *conda.notes, *nixpkgs.notes, *found.notes))),
    )
    before = asked.previous
    lock = lock.with_hints(before.hints if before else {})
    return lock.with_built({**(before.built if before else {}), **found.built})
