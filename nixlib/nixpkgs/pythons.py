"""Which Python of nixpkgs a notebook gets: the one that its packages are built for, else what it asks for (pure)."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from nixlib.errors import EvaluationError, InterpreterError
from nixlib.interpreters.python_request import by_preference, is_allowed
from nixlib.platforms import python_minor, python_version_key

if TYPE_CHECKING:
    from nixlib.nixpkgs.revisions import Revision

_USUAL = "python3"


@dataclass(frozen=True)
class BuiltFor:
    """A Python package of nixpkgs, and the version of the Python that it is built for."""

    revision: Revision
    branch: str
    attribute: str
    version: str

    def __str__(self) -> str:
        return f"{self.revision.repository.source}#{self.attribute}"


@dataclass(frozen=True)
class ChosenPython:
    """An attribute of a revision that is a Python."""

    revision: Revision
    branch: str
    attribute: str
    version: str


def check_same(
    packages: Sequence[BuiltFor], python: str | None, interpreter: str | None
) -> BuiltFor:
    """The first of `packages`, if all are built for one Python that the notebook takes.

    Args:
        packages: At least one.
        python: The key `python`.
        interpreter: The key `interpreter`.

    Raises:
        EvaluationError: They are built for different Pythons.
        InterpreterError: The notebook asks for another Python.
    """
    first = packages[0]
    for other in packages[1:]:
        if (other.revision, other.version) != (first.revision, first.version):
            raise EvaluationError(
                f"`{first}` and `{other}` are built for different Pythons",
                details=tuple(
                    f"`{each}` of {each.revision.commit[:12]}: Python {each.version}"
                    for each in (first, other)
                ),
                hint="take both from the same revision and the same `python3…Packages`",
                attribute=other.attribute,
                source=other.revision.repository.source,
                revision=other.revision.commit,
            )
    if interpreter not in (None, "nixpkgs"):
        wheel = first.attribute.rpartition(".")[2]
        raise InterpreterError(
            f"`{first}` needs the Python of nixpkgs, and the notebook asks for that of `{interpreter}`",
            details=(f"it is built for Python {first.version} and the C library of that one",),
            hint=f'`"interpreter": "nixpkgs"`, or `{wheel}` as a wheel',
            wanted=interpreter,
            found=(first.version,),
        )
    if not is_allowed(python, first.version):
        raise _not_allowed(python, [first.version], f"`{first}` is for")
    return first


def named_python(package: BuiltFor, offered: Mapping[str, str]) -> ChosenPython:
    """The Python that `package` is built for, among those that its revision offers."""
    attribute = _attribute_of(offered, package.version)
    return ChosenPython(package.revision, package.branch, attribute, package.version)


def choose_python(
    revision: Revision, branch: str, offered: Mapping[str, str], python: str | None
) -> ChosenPython:
    """The best Python of a revision that the notebook's key `python` allows.

    Args:
        revision: Whose.
        branch: Whose head it is; empty for none.
        offered: Version of each attribute.
        python: The key.

    Raises:
        InterpreterError: None is allowed.
    """
    versions = set(offered.values())
    usual = offered.get(_USUAL) or max(versions, key=python_version_key, default="3.0")
    ordered = by_preference(python, versions, python_minor(usual))
    if not ordered:
        raise _not_allowed(python, versions, f"`{revision.repository.source}` has")
    return ChosenPython(revision, branch, _attribute_of(offered, ordered[0]), ordered[0])


def _attribute_of(offered: Mapping[str, str], version: str) -> str:
    """The name of the Python of `version`: `python312` rather than `python3`, which moves."""
    names = [name for name, found in offered.items() if found == version]
    return max(names, key=lambda name: (len(name), name), default=_USUAL)


def _not_allowed(python: str | None, versions: Collection[str], who: str) -> InterpreterError:
    found = sorted(versions, key=python_version_key)
    return InterpreterError(
        f"the notebook's key `python` asks for `{python}`, and {who} {', '.join(found) or 'none'}",
        details=("`python3XXPackages` has the packages of another Python, where nixpkgs has that",),
        wanted=python,
        found=tuple(found),
    )
