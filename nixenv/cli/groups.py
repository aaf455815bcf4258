"""Editing groups of private dependencies: what was typed, against what the spec has (pure)."""

from __future__ import annotations

import difflib
from collections.abc import Sequence
from dataclasses import replace

from packaging.utils import canonicalize_name

from nixenv.cli.requirements import names_of, with_added, with_removed
from nixenv.errors import UsageError
from nixlib.requirements.refusal import public_line
from nixlib.spec import PrivateGroup, Spec, parse_spec
from nixlib.spec.private import IMPORT, PROCESS, group_name, is_group_name

_KEY = "--private"


def with_group(
    spec: Spec,
    name: str,
    typed: Sequence[str],
    *,
    is_process: bool = False,
    package: str = "",
    singleton: Sequence[str] = (),
    python: str | None = None,
) -> Spec:
    """`spec` with the group `name`: made, or with what was typed beside what it has.

    Args:
        spec: What the notebook asks for.
        name: Of the group.
        typed: Requirement lines; one of a name that the group has takes the other's place.
        is_process: Whether it gets a process of its own; False changes nothing.
        package: The package that the notebook imports by its plain name; empty changes nothing.
        singleton: Packages of which it uses the notebook's, beside those that it names already.
        python: The Python of its process; None changes nothing.

    Raises:
        UsageError: The group cannot be called so, or is not told what it is to be.
        RequirementError: A line cannot be read.
        SpecError: What was typed does not go together, such as `for` with a process.
    """
    _check_name(name)
    before = _group(spec, name) or PrivateGroup(name)
    own = canonicalize_name(package or before.package)
    new = [line for line in typed if not (own and _is_public(spec, own, line))]
    group = replace(
        before,
        requirements=with_added(before.requirements, new),
        mode=PROCESS if is_process or before.is_process else IMPORT,
        package=package or before.package,
        singleton=tuple(dict.fromkeys((*before.singleton, *map(canonicalize_name, singleton)))),
        python=python or before.python,
    )
    if not (group.requirements or group.package):
        raise UsageError(
            f"the private group `{name}` is not told what to have",
            hint=f'`%nixenv add --private {name} "pandas==2.0.3"`',
            key=_KEY,
        )
    if group.python and not group.is_process:
        raise UsageError(
            f"the private group `{name}` shares the notebook's process, and with it its Python",
            hint=f"a process of its own can have another one: add `--process` to `--python {group.python}`",
            key="--python",
        )
    # The reader of specs says what does not go together, and spells names as everything else has them.
    groups = {one.name: one.to_json() for one in spec.with_group(group).private}
    return replace(spec, private=parse_spec({"version": 1, "private": groups}).private)


def without_group(spec: Spec, name: str, names: Sequence[str] = ()) -> Spec:
    """`spec` without the requirements `names` of the group `name`; without any, without the group.

    A group that is left with nothing to have goes as well.

    Raises:
        UsageError: There is no such group; those that there are are named.
        RequirementError: A name is not required in it; the nearest one is named.
    """
    before = _group(spec, name)
    if before is None:
        raise _unknown(name, [group.name for group in spec.private])
    required = names_of(before.requirements)
    own = [one for one in names if canonicalize_name(one) != before.package or one in required]
    if not own:
        return spec.without_group(name)
    group = replace(before, requirements=with_removed(before.requirements, own))
    is_over = len(own) < len(names) or not (group.requirements or group.package)
    return spec.without_group(name) if is_over else spec.with_group(group)


def check_public(spec: Spec, names: Sequence[str]) -> None:
    """Make sure that none of `names` is required by private groups only.

    Raises:
        UsageError: One is; which group it is of is said.
        RequirementError: A line of the spec cannot be read.
    """
    public = names_of(spec.requirements)
    for group in spec.private:
        own = {*names_of(group.requirements), group.package} - public
        for name in names:
            if canonicalize_name(name) in own:
                raise UsageError(
                    f"`{name}` is not among the notebook's own requirements: it is of the private group"
                    f" `{group.name}`",
                    hint=f"`%nixenv remove --private {group.name} {name}`",
                    key=_KEY,
                )


def _is_public(spec: Spec, package: str, line: str) -> bool:
    """Whether the notebook has this line about the package of a group: the group gets it anyway."""
    return public_line(line.strip()) in spec.requirements and package in names_of([line])


def _check_name(name: str) -> None:
    if not is_group_name(name):
        raise UsageError(
            f"`{name}` cannot be the name of a private group: it is a module's, in small letters",
            hint=f"`--private {group_name(name)}`",
            key=_KEY,
        )


def _group(spec: Spec, name: str) -> PrivateGroup | None:
    return next((group for group in spec.private if group.name == name), None)


def _unknown(name: str, known: Sequence[str]) -> UsageError:
    near = difflib.get_close_matches(name, known, n=1)
    listed = ", ".join(f"`{one}`" for one in known)
    return UsageError(
        f"there is no private group `{name}`",
        details=(f"there are {listed}" if known else "the notebook has none",),
        hint=f"did you mean `{near[0]}`?" if near else "",
        key=_KEY,
    )
