"""What this process cannot hold, said before anything of the group runs: the reason, and the way out.

What follows from names and versions is decided when a group is locked. Here is what only the process can
know: which libraries are loaded or lie beside the group's, and whether compiled code can be led to it.
"""

from __future__ import annotations

import filecmp
import os
import re
import sys

from .compiled import libraries

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Iterator, Sequence

    from .compiled.libraries import Library
    from .group import Group

# auditwheel and delvewheel put a hash of its content into a library's name: equal names are equal files.
HASHED = re.compile(r"-[0-9a-f]{8,}[.-]")
PUBLIC = ("site-packages", "dist-packages")
PATH = 5  # number of the column in `/proc/self/maps`


class RefusedError(ImportError):
    """A group cannot be used in this process; its packages or the notebook's requirements must change.

    Attributes:
        group: The group's name.
        reasons: One for each thing that stands in the way.
        hint: What to do.
    """

    def __init__(self, group: str, reasons: Sequence[str], hint: str) -> None:
        super().__init__(group, tuple(reasons), hint)
        self.group, self.reasons, self.hint = group, tuple(reasons), hint

    def __str__(self) -> str:
        lines = [f"private group `{self.group}` cannot be used in this process"]
        lines += [f"  {reason}" for reason in self.reasons]
        return "\n".join(lines) + (f"\n\nhint: {self.hint}" if self.hint else "")

    def _render_traceback_(self) -> list[str]:
        # IPython's hook: nothing of the user's code is at fault.
        return f"RefusedError: {self}".splitlines()


def check(group: Group, others: Sequence[Group]) -> None:
    """Refuse a group that this process cannot hold.

    Args:
        group: About to be used; nothing of it is loaded.
        others: Groups that are in use.

    Raises:
        RefusedError: With every reason that was found.
    """
    absent = [folder for folder in group.folders if not os.path.isdir(folder)]
    if absent:
        reasons = [f"its folder `{folder}` is not there" for folder in absent]
        raise RefusedError(group.name, reasons, "restart the kernel")
    own = libraries.of_group(group.folders)
    modules = [library for library in own if library.is_module]
    reasons = [
        *_unroutable(modules),
        *_twice(modules, others),
        *_same_sonames(own, others),
    ]
    if reasons:
        way = f'`"mode": "process"` in `private.{group.name}` gives it a process of its own'
        raise RefusedError(group.name, reasons, way)


def _unroutable(modules: Sequence[Library]) -> Iterator[str]:
    if modules:
        from .compiled import router  # noqa: PLC0415 - ctypes, for groups that have such

        why = router.obstacle()
        if why:
            yield f"`{os.path.basename(modules[0].path)}` is compiled, and {why}"


def _twice(modules: Sequence[Library], others: Sequence[Group]) -> Iterator[str]:
    """Modules of which the notebook or another group has the very file: a process loads it once."""
    once = "and a process loads a compiled module of one file once"
    for other in others:
        held = {library.file for library in libraries.of_group(other.folders)}
        found = next((module for module in modules if module.file in held), None)
        if found is not None:
            yield f"`{found.place}` is also in group `{other.name}`, {once}"
    for folder in _public_folders():
        for module in modules:
            if _is_link_to(os.path.join(folder, module.place), module.file):
                yield f"`{module.place}` is also the notebook's, {once}"
                break


def _same_sonames(files: Sequence[Library], others: Sequence[Group]) -> Iterator[str]:
    """Libraries in whose place the dynamic linker would take another that is loaded or could be."""
    from .compiled import elf  # noqa: PLC0415

    named = [(elf.soname(one.file), one.file) for one in files if not one.is_module]
    own = {name: file for name, file in named if name and not HASHED.search(name)}
    if not own:
        return
    taken: dict[str, str] = {}
    for file in _loaded_files():
        name = elf.soname(file)
        if name:
            taken.setdefault(name, file)
    for file in _installed(others):
        name = os.path.basename(file)
        if name in own:
            taken.setdefault(name, file)
    for name, file in sorted(own.items()):
        other = taken.get(name)
        if other and not _is_same_file(other, file):
            yield (
                f"library `{name}` is another file than `{other}`, and the dynamic linker knows libraries"
                " by that name"
            )


def _is_link_to(path: str, file: str) -> bool:
    try:
        return os.path.samefile(path, file)
    except OSError:  # the notebook has no such module
        return False


def _is_same_file(one: str, other: str) -> bool:
    try:
        return os.path.samefile(one, other) or filecmp.cmp(one, other, shallow=False)
    except OSError:  # deleted since it was loaded
        return False


def _public_folders() -> list[str]:
    return [entry for entry in sys.path if os.path.basename(entry) in PUBLIC]


def _installed(others: Sequence[Group]) -> Iterator[str]:
    """The libraries of the notebook's packages, of its environment and of the other groups."""
    yield from libraries.below(_public_folders())
    for other in others:
        for library in libraries.of_group(other.folders):
            yield library.file
    folder = os.path.join(sys.prefix, "lib")
    if os.path.isdir(folder):
        yield from (os.path.join(folder, name) for name in os.listdir(folder))


def _loaded_files() -> set[str]:
    try:
        with open("/proc/self/maps", encoding="utf-8", errors="surrogateescape") as maps:
            lines = [line.rstrip("\n").split(None, PATH) for line in maps]
    except OSError:
        return set()
    return {parts[PATH] for parts in lines if len(parts) > PATH and ".so" in parts[PATH]}
