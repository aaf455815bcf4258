"""Attributes of nixpkgs that join: programs and Python packages, and the interpreter where it is one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixlib.composition.compose import InterpreterPackage
from nixlib.composition.package import Package
from nixlib.realise.context import Context

if TYPE_CHECKING:
    from nixlib.nixpkgs.realising import RealisedAttribute


@dataclass(frozen=True)
class Attributes:
    """What of nixpkgs is valid.

    Attributes:
        realised: All of it.
        packages: What joins the environment.
        interpreter: The Python; None where it is from elsewhere.
    """

    realised: Sequence[RealisedAttribute] = ()
    packages: tuple[Package, ...] = ()
    interpreter: InterpreterPackage | None = None


def realise_joining(run: Context) -> Attributes:
    """What the notebook asks nixpkgs for; nothing is evaluated where a store or a cache has it.

    Raises:
        EvaluationError: The lock has other store paths than nixpkgs.
        StoreError: They cannot run where this store lies, or the store did not do its part.
        NetworkError: Something must be built, and its revision could not be had.
        RealisationCancelledError: Somebody stopped it.
    """
    wanted = [a for a in run.plan.attributes if a.role in ("requirement", "interpreter")]
    if not wanted:
        return Attributes()
    from nixlib.nixpkgs.joining import nixpkgs_interpreter, packages_of  # noqa: PLC0415 - as for conda

    realised = realise_role(run, "requirement", "interpreter")
    version = run.plan.python.version
    return Attributes(
        realised=realised,
        packages=tuple(
            package
            for one in realised
            if one.locked.role == "requirement"
            for package in packages_of(one, run.store, python=version)
        ),
        interpreter=next(
            (
                nixpkgs_interpreter(one, version, run.store)
                for one in realised
                if one.locked.role == "interpreter"
            ),
            None,
        ),
    )


def realise_role(run: Context, *roles: str) -> Sequence[RealisedAttribute]:
    """Those of the plan's attributes that play one of `roles`, valid.

    Raises:
        NixError: As `realise_joining`.
    """
    from nixlib.nixpkgs.realising import realise_attributes  # noqa: PLC0415 - seldom needed

    return realise_attributes(
        [attribute for attribute in run.plan.attributes if attribute.role in roles],
        run.store,
        settings=run.settings,
        system=run.plan.system,
        on_event=run.on_event,
        cancel=run.cancel,
    )
