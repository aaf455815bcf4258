"""The interpreter of a lock: which one, from where, and as a store object.

`lock_interpreter` answers the notebook's key `python`; `realise_interpreter` makes the answer valid in a
store. A `standalone` one is known by the sha256 of its release tarball, a `host` one by the NAR hash of
its copy: only a machine with the very same installation, or a cache, can give that again.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Collection
from functools import partial

from nixlib.binaries.libraries import check_libraries
from nixlib.cancel import Cancel
from nixlib.errors import HashMismatchError, InterpreterError, NetworkError, StoreError
from nixlib.interpreters.host_copies import KnownCopy, copies_of, known_hosts, tree_with_hash
from nixlib.interpreters.host_python import HostPython
from nixlib.interpreters.python_mirror import PythonMirror, standalone_artifacts
from nixlib.interpreters.python_request import by_preference, is_allowed, nearest
from nixlib.interpreters.standalone import choose, known_releases, standalone_tree
from nixlib.lock import Artifact, LockedInterpreter
from nixlib.network.fetch import fetch
from nixlib.network.httpclient import HttpClient
from nixlib.network.outages import Outages
from nixlib.platforms import current_system
from nixlib.progress import EventSink, Note, ignore
from nixlib.settings import STANDALONE_MIRROR, Settings
from nixlib.sri import sri, sri_digest
from nixlib.store import PathInfo, Store
from nixlib.storenames import interpreter_store_name
from nixlib.storepath import StorePath, fixed_output_path
from nixlib.tree import Directory

STANDALONE, HOST = "standalone", "host"
_RELEASE_FILE = re.compile(r"[A-Za-z0-9]+/[A-Za-z0-9](?:[A-Za-z0-9._+-]|%2B)*")
_OUTAGE_SECONDS = 3600.0
_SILENT_SECONDS = 8.0  # for a few kB; who has no standalone Python still has the host's


def lock_interpreter(
    request: str | None,
    source: str | None,
    systems: Collection[str],
    *,
    settings: Settings,
    previous: LockedInterpreter | None = None,
    on_event: EventSink = ignore,
    cancel: Cancel | None = None,
) -> LockedInterpreter:
    """Choose the interpreter of a notebook.

    The previous one stays while it is still what is asked for and can be had. Else a standalone
    one where the mirror answers, else one of this machine.

    Args:
        request: The key `python`: `3.11`, `3.11.7`, `>=3.10,<3.13` or None.
        source: The key `interpreter`: `standalone`, `host` or None.
        systems: What the lock is for.
        settings: Where the mirror is, and what it did lately.
        previous: The interpreter of the lock so far.
        on_event: Told when the choice is not the usual one.
        cancel: Stops it between its steps.

    Raises:
        InterpreterError: Nothing that is asked for can be had; fields `wanted`, `found`.
        NetworkError: `standalone` is asked for and the mirror does not answer.
    """
    cancel = cancel or Cancel()
    if previous is not None and _stays(previous, request, source, systems, settings):
        return previous
    reason = ""
    if source != HOST:
        found = _lock_standalone(request, systems, settings, is_wanted=source == STANDALONE)
        if isinstance(found, LockedInterpreter):
            return found
        reason = found
    cancel.check()
    locked = _lock_host(request, settings, previous, reason)
    if reason:
        on_event(Note("info", f"{reason}; using Python {locked.version} of this machine", "python"))
    return locked


def _stays(
    previous: LockedInterpreter,
    request: str | None,
    source: str | None,
    systems: Collection[str],
    settings: Settings,
) -> bool:
    if source not in (None, previous.source) or not is_allowed(request, previous.version):
        return False
    if previous.source == STANDALONE:
        return set(systems) <= set(previous.artifacts)
    wanted = previous.trees.get(current_system())
    return wanted is not None and _has_copy(previous.version, wanted, settings)


def _has_copy(version: str, nar: str, settings: Settings) -> bool:
    try:
        return any(copy.nar == nar for copy in copies_of(version, settings))
    except InterpreterError:
        return False


def _lock_standalone(
    request: str | None, systems: Collection[str], settings: Settings, *, is_wanted: bool
) -> LockedInterpreter | str:
    """The choice, or why there is none.

    Args:
        request: The key `python`.
        systems: What the lock is for.
        settings: Where the mirror is.
        is_wanted: Whether only a standalone one will do, so that a reason is an error.
    """
    mirror = PythonMirror.parse(settings.python_mirror)
    outages = Outages(settings.cache_dir / "outages.json", forget=_OUTAGE_SECONDS)
    if not is_wanted and outages.is_down(mirror.url):
        return f"the mirror of Pythons `{mirror.url}` did not answer lately"
    try:
        releases = known_releases()
    except InterpreterError as error:
        if is_wanted:
            raise
        return error.summary
    chosen = choose(request, releases, systems, _usual_minor())
    here = current_system()
    if not chosen or (here in systems and here not in chosen):
        offered = sorted({release.version for release in releases if release.system in systems})
        if is_wanted:
            raise _none_allowed(request, offered, "can be downloaded", ())
        return f"no standalone Python is `{request}`"
    try:
        timeout = min(settings.timeout, _SILENT_SECONDS)
        with HttpClient(timeout=timeout, auth=mirror.auth) as client:
            artifacts = standalone_artifacts(chosen, mirror, client)
    except NetworkError as error:
        if is_wanted:
            raise
        outages.note(mirror.url)
        return error.summary
    return LockedInterpreter(next(iter(chosen.values())).version, STANDALONE, artifacts=artifacts)


def _lock_host(
    request: str | None, settings: Settings, previous: LockedInterpreter | None, reason: str
) -> LockedInterpreter:
    hosts = known_hosts(settings)
    ordered = by_preference(request, (host.version for host in hosts), _usual_minor())
    if not ordered:
        evidence = tuple(f"Python {host.version}: `{host.executable}`" for host in hosts)
        raise _none_allowed(
            request,
            [h.version for h in hosts],
            "is here",
            (*evidence, *((reason,) if reason else ())),
        )
    copy = _best_copy(ordered, settings, hosts)
    version = copy.host.version
    trees = {current_system(): copy.nar}
    if previous is not None and (previous.source, previous.version) == (HOST, version):
        trees = {**previous.trees, **trees}
    return LockedInterpreter(version, HOST, trees=trees, libraries=copy.libraries)


def _best_copy(
    versions: Collection[str], settings: Settings, hosts: Collection[HostPython]
) -> KnownCopy:
    """A copy of the first of `versions` that can be copied: a broken one must not hide the next.

    Raises:
        InterpreterError: None can; why the last cannot.
    """
    *others, last = versions
    for version in others:
        try:
            return copies_of(version, settings, hosts)[0]
        except InterpreterError:  # noqa: PERF203 - at most a handful
            continue
    return copies_of(last, settings, hosts)[0]


def _none_allowed(
    request: str | None, versions: Collection[str], where: str, evidence: tuple[str, ...]
) -> InterpreterError:
    number = re.search(r"3\.\d+(\.\d+)?", request or "")
    near = nearest(number[0], versions) if number else None
    details = evidence or ((f"nearest: Python {near}",) if near else ())
    return InterpreterError(
        f"no Python that {where} is what the notebook's key `python` asks for: `{request or 'any'}`",
        details=details or ("none was found at all",),
        hint=f"`%nixenv lock --python {near}`" if near else "",
        wanted=request,
        found=tuple(versions),
    )


def _usual_minor() -> str:
    return f"{sys.version_info[0]}.{sys.version_info[1]}"


def realise_interpreter(
    locked: LockedInterpreter,
    store: Store,
    *,
    settings: Settings,
    system: str | None = None,
    nar: str | None = None,
    download: Callable[[Artifact], bytes | memoryview] | None = None,
) -> PathInfo:
    """Make the interpreter of a lock valid in `store`.

    Costs one query where it is valid already; else it is substituted, unpacked or copied.

    Args:
        locked: From the lock.
        store: Where it becomes valid; a temporary root keeps it while the store is open.
        settings: Where things are.
        system: The machine's own; None asks it.
        nar: For a standalone one: the SRI NAR hash of its tree, where that is known and trusted.
        download: Gets a release tarball and checks its sha256; None does it plainly.

    Raises:
        InterpreterError: This machine cannot have the same one, or lacks libraries that it needs.
        NetworkError: The tarball could not be had.
        HashMismatchError: It is not the one that the lock names.
        StoreError: The store did not take it.
    """
    system = system or current_system()
    check_libraries(locked.version, locked.libraries)
    name = interpreter_store_name(locked.version, locked.source)
    nar = locked.trees.get(system) if locked.source == HOST else nar
    path = None if nar is None else fixed_output_path(name, sri_digest(nar), (), store.store_dir)
    if path is not None:
        store.add_temp_root([path])
        if store.query_valid_paths([path]):
            return _info(store, path)
    is_host = locked.source == HOST
    tree = tree_with_hash(locked.version, nar, settings) if is_host and nar else None
    if tree is None and path is not None and path in store.substitute([path]):
        return _info(store, path)
    if tree is None and is_host:
        raise _not_the_same(locked, system, settings)
    if tree is None:
        mirror = PythonMirror.parse(settings.python_mirror)
        if download is None or mirror.user is not None:  # credentials that only we know of
            download = partial(_fetch, mirror)
        tree = standalone_interpreter_tree(locked, system, settings, download)
    info = store.add_tree(name, tree)
    store.add_temp_root([info.path])
    if nar is not None and info.nar_sha256 != sri_digest(nar):
        raise HashMismatchError(
            f"the tree of Python {locked.version} is not the one that its hash names",
            details=(f"expected {nar}", f"found    {sri(info.nar_sha256)}"),
            url="",
            expected=nar,
            actual=sri(info.nar_sha256),
        )
    return info


def _info(store: Store, path: StorePath) -> PathInfo:
    info = store.query_path_info(path)
    if info is None:  # only when somebody deletes it by force: it has a temporary root
        raise StoreError(f"`{path}` was valid and is not any more")
    return info


def _not_the_same(locked: LockedInterpreter, system: str, settings: Settings) -> InterpreterError:
    hosts = known_hosts(settings)
    near = nearest(locked.version, [host.version for host in hosts])
    made = f"locked: a copy of Python {locked.version}, made on {', '.join(sorted(locked.trees))}"
    here = [
        f"here: Python {host.version}, `{host.executable}`"
        + (", another build" if host.version == locked.version and system in locked.trees else "")
        for host in hosts
    ]
    return InterpreterError(
        f"this machine (`{system}`) cannot get the Python {locked.version} that the notebook was locked with",
        details=(made, *(here or ["here: no Python that can be copied"])),
        hint=f"`%nixenv lock --python {near}`" if near else "`%nixenv lock`",
        wanted=locked.version,
        found=tuple(host.version for host in hosts),
    )


def standalone_interpreter_tree(
    locked: LockedInterpreter,
    system: str,
    settings: Settings,
    download: Callable[[Artifact], bytes | memoryview],
) -> Directory:
    """The tree of the release tarball for `system`.

    Raises:
        InterpreterError: The lock has none for this system, or the archive is none of that version.
    """
    artifact = locked.artifacts.get(system)
    if artifact is None:
        raise InterpreterError(
            f"the lock has no Python {locked.version} for this machine (`{system}`)",
            details=(f"it has one for {', '.join(sorted(locked.artifacts))}",),
            hint="`%nixenv lock`",
            wanted=system,
            found=tuple(sorted(locked.artifacts)),
        )
    _check_origin(artifact, locked, settings)
    return standalone_tree(download(artifact), locked.version, scratch=settings.cache_dir)


def _check_origin(artifact: Artifact, locked: LockedInterpreter, settings: Settings) -> None:
    """Refuse a stranger's program: a Python compiles its library here, before any cell is run."""
    mirrors = (PythonMirror.parse(settings.python_mirror).url, STANDALONE_MIRROR)
    for mirror in mirrors:
        rest = artifact.url.removeprefix(f"{mirror}/")
        if rest != artifact.url and _RELEASE_FILE.fullmatch(rest):
            return
    raise InterpreterError(
        f"the lock takes its Python {locked.version} from where this machine takes none",
        details=(
            f"it is `{PythonMirror.parse(artifact.url).url}`",
            *(f"known: `{mirror}`" for mirror in dict.fromkeys(mirrors)),
        ),
        hint="`%nixenv lock`, or the setting `python_mirror` if that place is yours",
        wanted=artifact.url,
        found=mirrors,
    )


def _fetch(mirror: PythonMirror, artifact: Artifact) -> memoryview:
    with HttpClient(auth=mirror.auth) as client:
        return memoryview(fetch(artifact, client))
