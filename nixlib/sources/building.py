"""From an opened source to an unpacked wheel: one enclosed build, and what it says where it fails."""

from __future__ import annotations

import email.parser
import json
import re
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from io import BytesIO
from pathlib import Path
from typing import Any, Final, Literal

from nixlib.binaries.elf import MAGIC
from nixlib.derivation import Derivation
from nixlib.errors import BuildError, SourceBuildError, SourceError, WheelError
from nixlib.lock import LockedPackage
from nixlib.progress import Note, Phase
from nixlib.sources.diagnosis import HOST_CC, diagnose
from nixlib.sources.editable import pointing_at, stand_in
from nixlib.sources.inputs import build_variables
from nixlib.sources.site import BuildSite
from nixlib.sources.source import BuiltWheel, OpenedSource
from nixlib.sri import sri
from nixlib.storenames import wheel_store_name
from nixlib.storepath import StorePath
from nixlib.tree import Regular, walk
from nixlib.wheels.distinfo import same_version
from nixlib.wheels.wheel import Wheel, read_wheel

__all__ = [
    "Built",
    "build_source",
    "output_file",
    "requirements_of_backend",
    "source_derivation",
]

Hook = Literal[
    "build_wheel",
    "build_editable",
    "get_requires_for_build_wheel",
    "get_requires_for_build_editable",
]

PLACE: Final = "/build/source"
EPOCH: Final = 315532800
"""1980, the first year that a zip can hold."""

_SETTINGS: Final = {"mesonpy": {"build-dir": "/build/meson"}}
"""What backends are asked for that would otherwise build in a folder with a random name."""

_SHOWN: Final = 12
_WIDEST: Final = 240  # a compiler's command line may have thousands
_LARGEST_WHEEL: Final = 4 << 30
_LARGEST_ANSWER: Final = 1 << 20
_MAX_REQUIRES: Final = 100


@dataclass(frozen=True)
class Built:
    """A wheel that was built here, unpacked into the store.

    Attributes:
        wheel: The file.
        path: What it unpacks to, valid.
        nar: SRI NAR hash of that.
        references: Build inputs that its files name: libraries that it is linked with.
        warnings: What is wrong with it and did not stop it.
    """

    wheel: BuiltWheel
    path: StorePath
    nar: str
    references: tuple[StorePath, ...] = ()
    warnings: tuple[str, ...] = ()


def build_source(
    site: BuildSite,
    opened: OpenedSource,
    packages: tuple[LockedPackage, ...],
    *,
    attempt: int = 0,
) -> Built:
    """Build the wheel of `opened`, and unpack it into the store; the build once for each `attempt`.

    Args:
        site: Where.
        opened: What.
        packages: What it is built with, and what that is built with in turn.
        attempt: Another number is another build of the same: a reproducible one gives the same.

    Raises:
        SourceBuildError: It cannot be built; the hint has what it missed.
        SandboxError: Nothing here keeps a build from the rest of the machine.
        WheelError: What was built is no wheel of that package.
        RealisationCancelledError: Somebody stopped it.
    """
    is_editable = opened.source.kind == "editable"
    hook: Hook = "build_editable" if is_editable else "build_wheel"
    site.on_event(Phase("build"))
    site.on_event(Note("info", f"building {_label(opened)} from its source", opened.name))
    log: list[str] = []
    folder, result = _run(site, opened, packages, hook, log, attempt=attempt)
    if "missing" in result:
        raise _no_hook(opened, result["missing"])
    if result.get("left"):
        raise _compiled(opened, result["left"])
    file = folder / _wheel_name(opened, result)
    data = output_file(opened, file, _LARGEST_WHEEL)
    if is_editable:
        data = pointing_at(data, file.name, stand_in(opened.place), opened.place)
    wheel = read_wheel(data, file.name)
    _check(opened, wheel)
    references = _references(wheel, site.inputs.paths)
    name = wheel_store_name(wheel.facts.name, wheel.facts.version)
    info = site.store.add_tree(name, wheel.tree, references)
    site.store.add_temp_root((info.path,))
    return Built(
        wheel=BuiltWheel(
            filename=file.name,
            data=file,
            requires_dist=_requires_dist(data),
            name=wheel.facts.name,
            version=wheel.facts.version,
            # An editable one has this machine's folder in it: nothing to tell others.
            nar=None if is_editable else sri(info.nar_sha256),
        ),
        path=info.path,
        nar=sri(info.nar_sha256),
        references=references,
        warnings=(*opened.warnings, *wheel.warnings, *_done_without(site, opened, log)),
    )


def _done_without(site: BuildSite, opened: OpenedSource, log: Sequence[str]) -> tuple[str, ...]:
    """What a build missed that went on without it: compiled parts of many packages are optional."""
    found = diagnose(log, (), site.build_inputs)
    if HOST_CC not in found.inputs:
        return ()
    wanted = json.dumps([*site.build_inputs, HOST_CC])
    said = (
        f"{_label(opened)} was built without its compiled part, for want of a compiler:"
        f' `"build-inputs": {wanted}` gives it one'
    )
    return (said,)


def requirements_of_backend(
    site: BuildSite, opened: OpenedSource, packages: tuple[LockedPackage, ...]
) -> tuple[str, ...]:
    """What the backend itself wants to be built with, beyond what the project says (PEP 517).

    Raises:
        SourceBuildError: The backend fails.
        SandboxError: Nothing here keeps a build from the rest of the machine.
        RealisationCancelledError: Somebody stopped it.
    """
    is_editable = opened.source.kind == "editable"
    hook: Hook = "get_requires_for_build_wheel"
    if is_editable:
        hook = "get_requires_for_build_editable"
    _, result = _run(site, opened, packages, hook, [])
    requires = result.get("requires")
    if (
        not isinstance(requires, list)
        or len(requires) > _MAX_REQUIRES
        or not all(isinstance(line, str) for line in requires)
    ):
        raise SourceError(
            f"the build backend of {_label(opened)} does not say what it needs",
            details=(f"`{hook}` answered {repr(requires)[:100]}",),
            source=opened.name,
            member="",
        )
    return tuple(requires)


def source_derivation(
    site: BuildSite,
    opened: OpenedSource,
    environment: StorePath,
    hook: Hook,
    *,
    attempt: int = 0,
) -> Derivation:
    """The build of a source, as what Nix is told."""
    inputs, store_dir = site.inputs, site.store.store_dir
    path, variables = build_variables(inputs, store_dir, site.store.physical)
    arguments: dict[str, Any] = {
        "environment": environment.in_dir(store_dir),
        "source": opened.tree.in_dir(store_dir),
        "subdirectory": opened.source.subdirectory,
        "place": stand_in(opened.place) if opened.place else PLACE,
        "hook": hook,
        "backend": opened.backend,
        "backend_path": list(opened.backend_path),
        "settings": _SETTINGS.get(opened.backend, {}),
        "path": list(path),
        "variables": {**variables, **_version_variables(opened)},
        "epoch": EPOCH,
    }
    if attempt:
        arguments["attempt"] = attempt
    kind = "requires" if hook.startswith("get_requires") else "wheel"
    name = "-".join(filter(None, (opened.name or "source", opened.version, kind)))
    return site.workshop.derivation(
        name,
        "build_wheel",
        arguments,
        (environment, opened.tree, *inputs.paths),
        enclosed=True,
        layers=inputs.layers,
    )


def _version_variables(opened: OpenedSource) -> dict[str, str]:
    """What tools are told that would ask git for a version: the tree has no history any more.

    The variables are those that setuptools-scm (hatch-vcs too), pbr, pdm-backend, versioningit and
    poetry-dynamic-versioning document for this case.
    """
    if not opened.tagged:
        return {}
    names = ("SETUPTOOLS_SCM_PRETEND_VERSION", "PBR_VERSION", "PDM_BUILD_SCM_VERSION")
    return {
        **dict.fromkeys(names, opened.tagged),
        "POETRY_DYNAMIC_VERSIONING_BYPASS": opened.tagged,
    }


def _run(
    site: BuildSite,
    opened: OpenedSource,
    packages: tuple[LockedPackage, ...],
    hook: Hook,
    log: list[str],
    *,
    attempt: int = 0,
) -> tuple[Path, dict[str, Any]]:
    """Run one hook; the output's folder, and what `result.json` in it says."""
    own = set(opened.source.build)
    direct = tuple(p for p in packages if not own or f"{p.name} {p.version}" in own)
    environment = site.environment(direct, packages)
    derivation = source_derivation(site, opened, environment, hook, attempt=attempt)
    try:
        output = site.workshop.build(derivation, cancel=site.cancel, on_log=log.append)
    except BuildError as error:
        raise _explained(error, opened, site.build_inputs, log) from error
    folder = site.store.physical(output)
    try:
        result = json.loads(output_file(opened, folder / "result.json", _LARGEST_ANSWER))
    except ValueError as error:
        raise _strange(opened, "it left no answer") from error
    if not isinstance(result, dict):
        raise _strange(opened, "its answer is not what was asked for")
    return folder, result


def _explained(
    error: BuildError, opened: OpenedSource, given: Sequence[str], log: Sequence[str]
) -> SourceBuildError:
    """The failure of a build in words of the package, with what the log says was missing."""
    tail = tuple(error.fields.get("log_tail") or log)
    found = diagnose(tail, opened.external, given)
    shown = [line for line in tail if line.strip()][-_SHOWN:]
    details = [f"`{opened.name or 'it'}`: {sentence}" for sentence in found.found]
    if error.fields.get("reason", "failed") != "failed":
        details.append(error.summary)
    details += ["the last lines of its log:", *(f"  {line[:_WIDEST]}" for line in shown)]
    if error.fields.get("log_file"):
        details.append(f"the whole log: `{error.fields['log_file']}`")
    inputs = (*given, *found.inputs)
    hint = ""
    if found.inputs:
        hint = f'`"build-inputs": {json.dumps(list(inputs))}`, beside `requirements` in the notebook\'s metadata'
    elif found.imports:
        hint = "ask for a version that has a wheel, or one that says what it is built with"
    fields = {"reason": "failed", "status": None, "drv_path": "", "log_file": ""}
    return SourceBuildError(
        f"{_label(opened)} cannot be built from its source",
        details=tuple(details),
        hint=hint,
        **{**fields, **error.fields, "log_tail": tail},
        package=opened.name,
        missing=found.inputs,
    )


def _no_hook(opened: OpenedSource, hook: str) -> SourceBuildError:
    return _refused(
        opened,
        f"its build backend `{opened.backend}` has no `{hook}` (PEP 660)",
        f"`./{opened.source.location.removeprefix('./')}` instead of `-e`, and `%nixenv lock` after each change",
    )


def _compiled(opened: OpenedSource, left: Sequence[str]) -> SourceBuildError:
    return _refused(
        opened,
        f"it compiles {', '.join(f'`{name}`' for name in left[:3])}, which would not follow its source",
        f"`./{opened.source.location.removeprefix('./')}` instead of `-e`, and `%nixenv lock` after each change",
    )


def _strange(opened: OpenedSource, why: str) -> SourceBuildError:
    return _refused(opened, why, "")


def _refused(opened: OpenedSource, why: str, hint: str) -> SourceBuildError:
    return SourceBuildError(
        f"{_label(opened)} cannot be built from its source",
        details=(why,),
        hint=hint,
        reason="failed",
        status=0,
        drv_path="",
        log_tail=(),
        log_file="",
        package=opened.name,
        missing=(),
    )


def output_file(opened: OpenedSource, file: Path, largest: int) -> bytes:
    """A file that a build left in its output, of `largest` bytes at most.

    Raises:
        SourceBuildError: There is none, it is larger, or it is a link: what a build could not see it could name.
    """
    if file.parent.is_symlink() or file.is_symlink() or not file.is_file():
        raise _strange(opened, f"it left no file `{file.name}`")
    if file.stat().st_size > largest:
        raise _strange(opened, f"the file `{file.name}` that it left has more than {largest} bytes")
    return file.read_bytes()


def _wheel_name(opened: OpenedSource, result: dict[str, Any]) -> str:
    name = result.get("wheel")
    if not isinstance(name, str) or not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._+!-]*\.whl", name):
        raise _strange(opened, "what it built is not called like a wheel")
    return name


def _check(opened: OpenedSource, wheel: Wheel) -> None:
    facts = wheel.facts
    if opened.name in ("", facts.name) and (
        not opened.version or same_version(opened.version, facts.version)
    ):
        return
    raise WheelError(
        f"the source of {_label(opened)} gives the wheel of another",
        details=(f"it is `{facts.name}` {facts.version}",),
        wheel=wheel.filename,
        member="",
    )


def _label(opened: OpenedSource) -> str:
    name = opened.name or opened.source.location or "a source"
    return f"`{name}`{f' {opened.version}' if opened.version else ''}"


def _requires_dist(data: bytes) -> tuple[str, ...]:
    with zipfile.ZipFile(BytesIO(data)) as archive:
        names = [n for n in archive.namelist() if n.endswith(".dist-info/METADATA")]
        headers = email.parser.BytesParser().parsebytes(archive.read(names[0]), headersonly=True)
    lines = headers.get_all("Requires-Dist") or []
    return tuple(" ".join(str(line).split()) for line in lines)


def _references(wheel: Wheel, inputs: Sequence[StorePath]) -> tuple[StorePath, ...]:
    """Those of `inputs` that a compiled file of the wheel names: the collector must keep them with it."""
    found: set[StorePath] = set()
    for _, node in walk(wheel.tree):
        if not isinstance(node, Regular) or len(found) == len(inputs):
            continue
        data = b"".join(node.read())
        if data.startswith(MAGIC):
            found.update(path for path in inputs if path.digest.encode() in data)
    return tuple(sorted(found))
