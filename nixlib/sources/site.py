"""Where sources are built: one store, one workshop, one interpreter, and the inputs that the notebook allows.

Everything costly is had at its first use: who asks for a site and builds nothing has paid nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from nixlib.cancel import Cancel
from nixlib.canonical import digest
from nixlib.errors import SpecError
from nixlib.lock import Lock, LockedConda, LockedPackage
from nixlib.lock.packages import LockedSource
from nixlib.plan import Plan, plan
from nixlib.platforms import host_glibc
from nixlib.progress import EventSink, Note, ignore
from nixlib.realise import realise
from nixlib.requirements import NixpkgsRequirement, parse_line
from nixlib.sources.diagnosis import HOST_CC
from nixlib.sources.inputs import BuildInputs
from nixlib.sources.opening import Opener
from nixlib.spec import Spec
from nixlib.storepath import StorePath
from nixlib.toolchain.host_cc import host_cc
from nixlib.toolchain.libraries import library_layer
from nixlib.workshop.probing import check_enclosure
from nixlib.workshop.workshop import Workshop, open_workshop

if TYPE_CHECKING:
    from nixlib.ledger import Ledger
    from nixlib.network.httpclient import Auth
    from nixlib.settings import Settings
    from nixlib.store import Store

__all__ = ["BuildSite", "nixpkgs_inputs"]

_RECIPE: Final = 1
"""Changes whenever the same source would be built otherwise."""


def nixpkgs_inputs(lines: tuple[str, ...]) -> tuple[NixpkgsRequirement, ...]:
    """The attributes among the lines of `build-inputs`; the only other line is `host#cc`.

    Raises:
        SpecError: A line is neither.
    """
    found = []
    for number, line in enumerate(lines):
        if line.strip() == HOST_CC:
            continue
        requirement = parse_line(line)
        if not isinstance(requirement, NixpkgsRequirement):
            raise SpecError(
                f"`nixenv.build-inputs[{number}]` must be `{HOST_CC}` or an attribute such as `nixpkgs#openssl`, not `{line[:80]}`",
                key=f"nixenv.build-inputs[{number}]",
                found=line,
            )
        found.append(requirement)
    return tuple(found)


@dataclass(frozen=True)
class BuildSite:
    """See the module.

    Attributes:
        store: Where everything becomes valid; its temporary roots keep it.
        ledger: Told what was made out of what.
        settings: Where things are.
        base: A lock with the interpreter, conda packages and attributes of nixpkgs; its packages do not count.
        build_inputs: The spec's.
        folder: The notebook's, which folders of projects are relative to.
        system: This machine's.
        on_event: Told what takes long.
        cancel: Stops it.
        auth: Credentials of downloads; None reads the user's own settings.
    """

    store: Store
    ledger: Ledger
    settings: Settings
    base: Lock
    build_inputs: tuple[str, ...]
    folder: Path
    system: str
    on_event: EventSink = ignore
    cancel: Cancel = field(default_factory=Cancel)
    auth: Auth | None = None

    @cached_property
    def workshop(self) -> Workshop:
        """What runs our scripts, behind walls that were proved.

        Raises:
            SandboxError: Nothing here keeps a build from the rest of the machine.
        """
        workshop = open_workshop(self.store, self.settings, system=self.system, cancel=self.cancel)
        check_enclosure(workshop, self.cancel)
        return workshop

    @cached_property
    def opener(self) -> Opener:
        """What opens sources."""
        return Opener(
            self.store,
            self.ledger,
            self.settings,
            folder=self.folder,
            find_again=self._find_again,
            cancel=self.cancel,
        )

    @cached_property
    def inputs(self) -> BuildInputs:
        """What builds may use beside Python packages, valid."""
        from nixlib.nixpkgs.realising import realise_attributes  # noqa: PLC0415 - seldom needed

        nixpkgs_inputs(self.build_inputs)
        has_compiler = HOST_CC in (line.strip() for line in self.build_inputs)
        layers = [host_cc(self.store, self.settings, self.cancel)] if has_compiler else []
        attributes = [a for a in self.base.attributes if a.role == "build"]
        realised = realise_attributes(
            attributes,
            self.store,
            settings=self.settings,
            system=self.system,
            on_event=self.on_event,
            cancel=self.cancel,
        )
        libraries = library_layer(self.store, self.base.interpreter.libraries)
        return BuildInputs(
            layers=(*layers, *((libraries,) if libraries else ())),
            paths=tuple(path for found in realised for path in found.paths),
            has_compiler=has_compiler,
        )

    def environment(
        self, packages: tuple[LockedPackage, ...], others: tuple[LockedPackage, ...]
    ) -> StorePath:
        """The build environment: `packages` and the interpreter, composed like any other.

        Args:
            packages: What is in it.
            others: What those of them are built with in turn that come as source.

        Raises:
            NixError: What realising an environment raises.
        """
        wanted = self.plan(packages, others)
        realised = realise(
            wanted,
            self.store,
            ledger=self.ledger,
            settings=self.settings,
            on_event=self._pass_on,
            cancel=self.cancel,
            auth=self.auth,
        )
        return realised.path

    def plan(self, packages: tuple[LockedPackage, ...], others: tuple[LockedPackage, ...]) -> Plan:
        """What a build environment consists of on this machine.

        Raises:
            PlanError: A package of it has nothing for this machine.
        """
        lock = self._lock(packages, others)
        return plan(
            lock,
            Spec(),
            system=self.system,
            glibc=host_glibc(),
            trusted=self.ledger.known(lock, strict=False),
            store_dir=self.store.store_dir,
        )

    def key(
        self,
        source: LockedSource,
        packages: tuple[LockedPackage, ...],
        others: tuple[LockedPackage, ...],
        tree: str,
    ) -> str:
        """A digest of all that decides which wheel `source` gives here; nothing is fetched for it."""
        wanted = self.plan(packages, others)
        python = self.base.interpreter
        roles = ("build", "interpreter")
        known = [a for a in self.base.attributes if a.role in roles]
        outputs = {a.attribute: a.outputs.get(self.system) for a in known}
        return digest(
            {
                "recipe": _RECIPE,
                "system": self.system,
                "source": replace(source, build=()).to_json(),
                "tree": tree,
                "place": str(self.folder) if source.kind == "editable" else "",
                "wheels": [leaf.artifact.sha256 for leaf in wanted.leaves if leaf.artifact],
                "sources": [_identity(package, others) for package in wanted.sources],
                "archives": [leaf.artifact.sha256 for leaf in wanted.archives if leaf.artifact],
                "python": [python.version, python.source, python.trees.get(self.system, "")],
                "release": str(python.artifacts.get(self.system, "")),
                "inputs": sorted(self.build_inputs),
                "attributes": {name: list(paths or ()) for name, paths in outputs.items()},
            }
        )

    def _lock(self, packages: tuple[LockedPackage, ...], others: tuple[LockedPackage, ...]) -> Lock:
        return replace(
            self.base,
            packages=packages,
            build_packages=others,
            systems=(self.system,),
            conda=_only_python(self.base.conda, {package.name for package in packages}),
            attributes=tuple(a for a in self.base.attributes if a.role != "requirement"),
            private=(),
            built={},
        )

    def _find_again(self, name: str, url: str) -> str:
        from nixlib.resolvers.pypi import find_again  # noqa: PLC0415 - seldom needed

        index = next((p.index for p in self.base.indexed if p.name == name and p.index), "")
        asked = (index,) if index else ()
        return find_again(name, url, settings=self.settings, asked=asked, cancel=self.cancel)

    def _pass_on(self, event: object) -> None:
        # The phases of a build environment are no phases of the notebook's.
        if isinstance(event, Note):
            self.on_event(event)


def _identity(package: LockedPackage, others: tuple[LockedPackage, ...]) -> Any:
    """A build requirement that is itself built, and what with."""
    source = package.source
    built_with = set(source.build) if source else set()
    inner = [p.to_json() for p in others if f"{p.name} {p.version}" in built_with]
    return [package.to_json(), inner]


def _only_python(conda: LockedConda, others: set[str]) -> LockedConda:
    """Conda's Python with what that needs; a package that comes as a wheel comes so here, too."""
    by_name = {package.name: package for package in conda.packages}
    wanted: set[str] = set()
    waiting = ["python"]
    while waiting:
        name = waiting.pop()
        package = by_name.get(name)
        if package is not None and name not in wanted and package.pypi not in others:
            wanted.add(name)
            waiting += package.depends
    return replace(conda, packages=tuple(p for p in conda.packages if p.name in wanted))
