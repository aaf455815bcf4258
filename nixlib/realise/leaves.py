"""The leaves of a plan: found where somebody has them, else downloaded and imported."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from nixlib.plan import Leaf, Plan
from nixlib.progress import Phase
from nixlib.realise.background import Background
from nixlib.realise.context import Context, Valid
from nixlib.sri import sri
from nixlib.storepath import StorePath

if TYPE_CHECKING:
    from nixlib.lock import LockedInterpreter
    from nixlib.network.httpclient import HttpClient


def realise_leaves(run: Context) -> dict[Leaf, Valid]:
    """Make every leaf of the plan valid, those of its groups and their processes among them, in one go.

    Raises:
        NetworkError: An artifact could not be had.
        HashMismatchError: It is another file, or a hint of the lock is false.
        WheelError: A wheel cannot be installed.
        CondaArchiveError: An archive of conda cannot be installed.
        InterpreterError: This machine cannot have the lock's Python.
    """
    leaves = _leaves_of(run.plan)
    valid = _find_known(run, leaves)
    # What several have, by one index or another, is made once.
    missing = {_identity(leaf): leaf for leaf in reversed(leaves) if leaf not in valid}
    made = {_identity(found.leaf): found for found in _make(run, [*missing.values()])}
    for leaf in leaves:
        if leaf not in valid:
            valid[leaf] = _same(made[_identity(leaf)], leaf)
    return valid


def _leaves_of(plan: Plan) -> tuple[Leaf, ...]:
    """Every leaf of the notebook's environment, its groups and their processes' environments."""
    python = (plan.interpreter,) if plan.interpreter else ()
    of_groups = (leaf for group in plan.groups for leaf in group.leaves)
    of_processes = (leaf for process in plan.processes for leaf in _leaves_of(process))
    own = (*python, *plan.archives, *plan.leaves)
    return tuple(dict.fromkeys((*own, *of_groups, *of_processes)))


def _identity(leaf: Leaf) -> tuple[str, str, str]:
    """What two leaves have in common that are one store object."""
    made_of = leaf.artifact.sha256 if leaf.artifact else leaf.nar or ""
    return leaf.kind, leaf.store_name, made_of


def _same(found: Valid, leaf: Leaf) -> Valid:
    leaf.check_hint(found.nar)
    return replace(found, leaf=leaf, warnings=found.warnings if found.leaf == leaf else ())


def _find_known(run: Context, leaves: Sequence[Leaf]) -> dict[Leaf, Valid]:
    """The leaves whose paths are known and valid: in the store, its substituters, our caches."""
    known = {leaf.path: leaf for leaf in leaves if leaf.path is not None}
    run.store.add_temp_root(known)
    valid = run.store.query_valid_paths(known)
    # A host Python is copied here if it can be, and looked for elsewhere only if not.
    missing = {path for path, leaf in known.items() if leaf.kind != "host"} - valid
    if missing:
        run.on_event(Phase("substitute"))
        valid |= run.store.substitute(missing)
        valid |= _find_in_caches(run, {path: known[path].nar or "" for path in missing - valid})
        run.cancel.check()
    return {
        leaf: Valid(leaf, leaf.path, leaf.nar or "")
        for leaf in leaves
        if leaf.path is not None and leaf.path in valid
    }


def _find_in_caches(run: Context, wanted: Mapping[StorePath, str]) -> frozenset[StorePath]:
    if not wanted or not run.settings.caches:
        return frozenset()
    from nixlib.caches.substituter import fetch_from_caches  # noqa: PLC0415 - seldom needed

    run.cancel.check()
    return fetch_from_caches(run.store, wanted, run.settings.caches, run.cancel, run.on_event)


def _make(run: Context, missing: Collection[Leaf]) -> list[Valid]:
    """Download and import what is missing, interpreters beside the packages."""
    if not missing:
        return []
    # Not at the top: an environment out of what the store has must not load a network library.
    from nixlib.importing.importer import Importer  # noqa: PLC0415
    from nixlib.importing.origins import Origins  # noqa: PLC0415
    from nixlib.importing.recipes import recipes  # noqa: PLC0415
    from nixlib.network.httpclient import HttpClient  # noqa: PLC0415

    pythons = {leaf: python for leaf, python in _pythons_of(run.plan) if leaf in missing}
    packages = [leaf for leaf in missing if leaf not in pythons]
    made: list[Valid] = []
    origins = Origins(run.settings, run.folder, run.cancel, run.auth)
    auth = origins.credentials(with_channels=any(leaf.kind == "conda" for leaf in packages))
    with HttpClient(timeout=run.settings.timeout, auth=auth) as client:
        backgrounds = [
            Background(partial(_make_interpreter, run, client, leaf, python), run.cancel)
            for leaf, python in pythons.items()
        ]
        if packages:
            importer = Importer(
                run.store,
                run.ledger,
                run.settings,
                client,
                origins=origins,
                recipes=recipes(run.plan, run.settings),
            )
            made += [
                Valid(found.leaf, found.path, found.nar, found.warnings)
                for found in importer.run(packages, run.cancel, run.on_event)
            ]
        made += [background.result() for background in backgrounds]
    return made


def _pythons_of(plan: Plan) -> Iterator[tuple[Leaf, LockedInterpreter]]:
    for one in (plan, *plan.processes):
        if one.interpreter:
            yield one.interpreter, one.python


def _make_interpreter(
    run: Context, client: HttpClient, leaf: Leaf, python: LockedInterpreter
) -> Valid:
    from nixlib.filelock import file_lock  # noqa: PLC0415
    from nixlib.interpreters.interpreter import realise_interpreter  # noqa: PLC0415
    from nixlib.ledger import STANDALONE_RECIPE  # noqa: PLC0415
    from nixlib.network.fetch import fetch  # noqa: PLC0415

    # A copy of a big tree, and seconds of compiling: once for all processes of this user.
    with file_lock(run.settings.state_dir / "locks" / leaf.store_name, run.cancel):
        info = realise_interpreter(
            python,
            run.store,
            settings=run.settings,
            system=run.plan.system,
            nar=leaf.nar,
            download=lambda artifact: memoryview(fetch(artifact, client, cancel=run.cancel)),
        )
    nar = sri(info.nar_sha256)
    leaf.check_hint(nar)
    if leaf.artifact:
        run.ledger.put(leaf.artifact.sha256, STANDALONE_RECIPE, nar)
    return Valid(leaf, info.path, nar)
