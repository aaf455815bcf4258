"""The leaves of a plan: found where somebody has them, else downloaded and imported."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING

from nixlib.plan import Leaf
from nixlib.progress import Phase
from nixlib.realise.background import Background
from nixlib.realise.context import Context, Valid
from nixlib.sri import sri
from nixlib.storepath import StorePath

if TYPE_CHECKING:
    from nixlib.network.httpclient import HttpClient


def realise_leaves(run: Context) -> dict[Leaf, Valid]:
    """Make every leaf of the plan valid.

    Raises:
        NetworkError: An artifact could not be had.
        HashMismatchError: It is another file, or a hint of the lock is false.
        WheelError: A wheel cannot be installed.
        CondaArchiveError: An archive of conda cannot be installed.
        InterpreterError: This machine cannot have the lock's Python.
    """
    python = run.plan.interpreter
    leaves = (*((python,) if python else ()), *run.plan.archives, *run.plan.leaves)
    valid = _find_known(run, leaves)
    missing = [leaf for leaf in leaves if leaf not in valid]
    made = _make(run, missing) if missing else []
    return valid | {found.leaf: found for found in made}


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
        leaf: Valid(leaf, path, leaf.nar or "") for path, leaf in known.items() if path in valid
    }


def _find_in_caches(run: Context, wanted: Mapping[StorePath, str]) -> frozenset[StorePath]:
    if not wanted or not run.settings.caches:
        return frozenset()
    from nixlib.caches.substituter import fetch_from_caches  # noqa: PLC0415 - seldom needed

    run.cancel.check()
    return fetch_from_caches(run.store, wanted, run.settings.caches, run.cancel, run.on_event)


def _make(run: Context, missing: Collection[Leaf]) -> list[Valid]:
    """Download and import what is missing, the interpreter beside the packages."""
    # Not at the top: an environment out of what the store has must not load a network library.
    from nixlib.importing.importer import Importer  # noqa: PLC0415
    from nixlib.importing.origins import Origins  # noqa: PLC0415
    from nixlib.importing.recipes import recipes  # noqa: PLC0415
    from nixlib.network.httpclient import HttpClient  # noqa: PLC0415

    python = run.plan.interpreter
    packages = [leaf for leaf in missing if leaf != python]
    made: list[Valid] = []
    origins = Origins(run.settings, run.folder, run.cancel, run.auth)
    auth = origins.credentials(with_channels=any(leaf.kind == "conda" for leaf in packages))
    with HttpClient(timeout=run.settings.timeout, auth=auth) as client:
        background = None
        if python in missing:
            background = Background(lambda: _make_interpreter(run, client), run.cancel)
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
        if background:
            made.append(background.result())
    return made


def _make_interpreter(run: Context, client: HttpClient) -> Valid:
    from nixlib.filelock import file_lock  # noqa: PLC0415
    from nixlib.interpreters.interpreter import realise_interpreter  # noqa: PLC0415
    from nixlib.ledger import STANDALONE_RECIPE  # noqa: PLC0415
    from nixlib.network.fetch import fetch  # noqa: PLC0415

    leaf = run.plan.interpreter
    assert leaf is not None  # noqa: S101 - it is among the missing ones
    # A copy of a big tree, and seconds of compiling: once for all processes of this user.
    with file_lock(run.settings.state_dir / "locks" / leaf.store_name, run.cancel):
        info = realise_interpreter(
            run.plan.python,
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
