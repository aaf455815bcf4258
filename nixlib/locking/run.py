"""The steps of a resolution, in their order."""

from __future__ import annotations

from dataclasses import replace

from nixlib.lock import Lock
from nixlib.locking.asked import Asked
from nixlib.locking.attributes import lock_attributes
from nixlib.locking.conda import lock_conda
from nixlib.locking.groups.kept import is_grown_by_groups, own_part
from nixlib.locking.groups.lines import left_to_groups
from nixlib.locking.groups.run import lock_groups
from nixlib.locking.lines import choose_lines
from nixlib.locking.narrowing import conda_of
from nixlib.locking.wheels import Elsewhere, lock_wheels


def make_lock(asked: Asked) -> Lock:
    """The lock of a spec.

    Raises:
        RequirementError: A line cannot be read.
        ResolutionError: Nothing fits.
        PrivateGroupError: A group of private dependencies cannot be what it asks for.
        InterpreterError: The Python that is asked for cannot be had.
        EvaluationError: An attribute of nixpkgs is none.
        SourceBuildError: A package has no wheel, and its source cannot be built.
        NetworkError: A registry did not answer.
        RealisationCancelledError: Somebody stopped it.
    """
    before = asked.previous
    if before and is_grown_by_groups(asked):
        own = replace(own_part(before), spec=asked.spec.digest)
    else:
        own = _own(asked)
    lock = lock_groups(asked, own, make_lock).with_hints(before.hints if before else {})
    return lock.with_built({**(before.built if before else {}), **lock.built})


def _own(asked: Asked) -> Lock:
    """The notebook's own part of the lock."""
    chosen = left_to_groups(asked, choose_lines(asked))
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
        conda=conda_of(conda.conda, found.systems),
        attributes=nixpkgs.outputs_of(found.systems),
        choices={**found.choices, **chosen.choices},
        substitutions=asked.substituted,
        notes=tuple(dict.fromkeys((*dated, *conda.notes, *nixpkgs.notes, *found.notes))),
    )
    return replace(lock, built=found.built)
