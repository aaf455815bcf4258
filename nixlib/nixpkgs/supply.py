"""Who supplies each native library that packages need: themselves, the system, nixpkgs, or nobody.

What nixpkgs has reaches the interpreter by being loaded by its path (`nixlib.composition.libraries`), after its
C library was held against the interpreter's. What nobody has is named before the kernel starts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from nixlib.binaries.loader import Loader
from nixlib.binaries.needed import Needs, elf_at, needs_of
from nixlib.binaries.policy import attribute_of, is_sure
from nixlib.composition.libraries import Library
from nixlib.errors import NativeLibraryError

if TYPE_CHECKING:
    from pathlib import Path

    from nixlib.composition.compose import InterpreterPackage
    from nixlib.composition.package import Package
    from nixlib.nixpkgs.realising import RealisedAttribute
    from nixlib.store import Store


@dataclass(frozen=True)
class Supply:
    """What came of it.

    Attributes:
        libraries: What the environment's Python must load, in order.
        warnings: What nobody supplies.
    """

    libraries: tuple[Library, ...] = ()
    warnings: tuple[str, ...] = ()


@dataclass
class _Supplying:
    store: Store
    loader: Loader
    chosen: dict[str, Library] = field(default_factory=dict)

    def take(self, attributes: Sequence[RealisedAttribute], wanted: Mapping[str, str]) -> None:
        """Take from `attributes` what of `wanted` (each with who needs it) is still missing."""
        for realised in attributes:
            for path in realised.paths:
                for soname, who in wanted.items():
                    inside = f"lib/{soname}"
                    if soname not in self.chosen and (self.store.physical(path) / inside).exists():
                        found = Library(soname, path, inside)
                        self._check_glibc(found, realised, who)
                        self.chosen[soname] = found

    def _check_glibc(self, library: Library, realised: RealisedAttribute, who: str) -> None:
        here = self.loader.glibc
        file = (self.store.physical(library.path) / library.inside).resolve()
        asked, culprit = self.loader.needed_glibc(file)
        if here is None or asked <= here:
            return
        name = f"{realised.locked.source}#{realised.locked.attribute}"
        because = f" ({culprit})" if culprit != file.name else ""
        raise NativeLibraryError(
            f"`{library.soname}` of `{name}` needs glibc 2.{asked}, and the notebook's Python has glibc 2.{here}",
            details=(
                f"`{library.path}`{because}",
                *((f"`{who}` needs it",) if who else ()),
                f"the interpreter is `{self.loader.program}`",
            ),
            hint='`"interpreter": "nixpkgs"` takes a Python with the same C library',
            library=library.soname,
            path=str(library.path),
            package=name,
        )


def supply(
    packages: Sequence[Package],
    interpreter: InterpreterPackage,
    attributes: Sequence[RealisedAttribute],
    *,
    store: Store,
    cache: Path,
    on_demand: Callable[[], Sequence[RealisedAttribute]] = tuple,
) -> Supply:
    """Find for each library that the packages need who has it.

    Args:
        packages: Unpacked wheels and other Python packages; not those of conda, which bring their own.
        interpreter: The Python that will load them.
        attributes: Of nixpkgs, what the notebook asks for.
        store: Where all of that is.
        cache: Folder for what was read of packages before.
        on_demand: Gives attributes that have what wheels may expect of a system; asked for only where a
            loader that knows no system would not find something.

    Raises:
        NativeLibraryError: A library needs a newer C library than the interpreter has.
    """
    loader = Loader(
        store.physical(interpreter.path) / "bin" / interpreter.folder,
        store.store_dir,
        store.physical(interpreter.path).parent,
    )
    if elf_at(loader.program) is None:
        return Supply()  # macOS: what wheels need there is in the wheel or in the system
    needs = [(each, needs_of(each.path, store.physical(each.path), cache)) for each in packages]
    brought = {soname for _, found in needs for soname in found.brought}
    wanted = {
        soname: who
        for soname, who in _wanted(needs)
        if soname not in brought and not loader.finds(soname)
    }
    supplying = _Supplying(store, loader)
    supplying.take(attributes, wanted)
    if loader.folder is not None and set(wanted) - supplying.chosen.keys():
        supplying.take(on_demand(), wanted)
    for realised in attributes:
        supplying.take([realised], dict.fromkeys(_libraries(realised, store), ""))
    missing = [
        _missing(package, soname, file)
        for package, found in needs
        for soname, file in found.imported.items()
        if soname in wanted and soname not in supplying.chosen
    ]
    return Supply(tuple(supplying.chosen.values()), tuple(sorted(missing)))


def _wanted(needs: Sequence[tuple[Package, Needs]]) -> Iterator[tuple[str, str]]:
    for package, found in needs:
        for soname in (*sorted(found.further), *found.imported):
            yield soname, f"{package.name} {package.version}"


def _libraries(realised: RealisedAttribute, store: Store) -> Iterator[str]:
    """The sonames of an attribute that is a library and nothing else: who asks for it wants it loaded."""
    if realised.locked.role != "requirement" or realised.locked.python:
        return
    roots = [store.physical(path) for path in realised.paths]
    if any((root / "bin").is_dir() for root in roots):
        return
    for root in roots:
        for file in sorted((root / "lib").glob("*.so*")):
            elf = elf_at(file)
            if elf is not None and elf.soname == file.name:
                yield elf.soname


def _missing(package: Package, soname: str, file: str) -> str:
    attribute = attribute_of(soname)
    where = f"`{file.rpartition('/')[2]}` of `{package.name}` {package.version}"
    if not attribute:
        return f"{where} needs `{soname}`, which nobody supplies"
    has = "has it" if is_sure(soname) else "may have it"
    return f"{where} needs `{soname}`, which nobody supplies: `nixpkgs#{attribute}` {has}"
