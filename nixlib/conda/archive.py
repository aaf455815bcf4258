"""A conda archive as a store object's tree: its files, its `info/`, and our facts (`nixenv.json`).

What `info/` says is compared with what is there before any of it is called a tree: every file by its size
and hash, every link by where it leads, the package by its name. What comes out is a pure function of
the archive's bytes; the prefix that it becomes part of is `nixlib.conda.prefix`'s.
"""

from __future__ import annotations

import hashlib
import posixpath
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from nixlib.binaries.elf import MAGIC, is_program, read_elf
from nixlib.conda.facts import (
    CONDA_LAYOUT,
    CondaFacts,
    EntryPoint,
    Placeholder,
    final_path,
    own_path,
)
from nixlib.conda.info import (
    Claim,
    Identity,
    InfoError,
    path_fault,
    read_claims,
    read_entry_points,
    read_identity,
    target_fault,
)
from nixlib.conda.linkscripts import left_undone, link_script_of
from nixlib.conda.reach import PREFIX, inside, joined, looked_for, real_folders
from nixlib.conda.unpacking import Unpacked, archive_error, unpack
from nixlib.errors import CondaArchiveError
from nixlib.lock import LockedCondaPackage
from nixlib.tree import Directory, Node, Symlink, tree_of
from nixlib.wheels.ziparchive import Data

__all__ = ["CondaArchive", "check_identity", "read_archive"]

SUFFIXES = (".conda", ".tar.bz2")

# `noarch: python` goes to a folder whose name depends on the Python but whose depth does not.
_ANY_SITE = "lib/python3.0/site-packages"
_MAX_INFO = 256 << 20
_MAX_TOLD = 64 << 20
_TOLD = tuple(
    f"info/{name}" for name in ("index.json", "paths.json", "link.json", "files", "has_prefix")
)
_SHEBANG = 127
_SHOWN = 5
_MACH_O = frozenset(
    bytes.fromhex(text)
    for text in ("cafebabe", "bebafeca", "feedface", "cefaedfe", "feedfacf", "cffaedfe")
)


@dataclass(frozen=True)
class CondaArchive:
    """A checked archive.

    Attributes:
        tree: The store object. Its files are read from the scratch folder, whose file without a name
            lives as long as this does.
        facts: What laying out needs to know; also in the tree.
        warnings: What is wrong with it and did not stop it, naming archive and file.
    """

    tree: Directory
    facts: CondaFacts
    warnings: tuple[str, ...] = ()


def read_archive(data: Data, filename: str, *, scratch: Path) -> CondaArchive:
    """Check an archive and make a tree of it; costs its unpacked size on disk, and little memory.

    Args:
        data: The whole archive, `.conda` or `.tar.bz2`.
        filename: Its file name, which must agree with what it says of itself.
        scratch: A folder to unpack into; nothing stays there.

    Raises:
        CondaArchiveError: It is damaged or disagrees with itself, or something leads out of it: fields
            `archive` and `member` say which and where.
    """
    suffix = next((suffix for suffix in SUFFIXES if filename.endswith(suffix)), "")
    if not suffix or "/" in filename:
        raise archive_error(filename, "its file name is not that of a conda archive")
    files, info = _sorted(unpack(data, filename, scratch), filename)
    told = {path: bytes(info[path].view()) for path in _TOLD if path in info}
    if sum(map(len, told.values())) > _MAX_TOLD:
        raise archive_error(filename, "its `info/` is too large", "info")
    try:
        return _Reader(filename, suffix, files, info, told).read()
    except InfoError as error:
        raise archive_error(
            filename, f"its `{error.member}` is malformed", error.member, (error.why,)
        ) from error


def check_identity(facts: CondaFacts, locked: LockedCondaPackage) -> None:
    """Make sure that an archive is the package that a lock names.

    Raises:
        CondaArchiveError: It is another one.
    """
    wanted = (locked.name, locked.version, locked.build, locked.noarch)
    found = (facts.name, facts.version, facts.build, facts.noarch)
    if found != wanted:
        raise CondaArchiveError(
            f"the conda archive that the lock names for `{locked.name}` is another package",
            details=(
                f"the lock says `{' '.join(filter(None, wanted))}`",
                f"`{locked.artifact.filename}` is `{' '.join(filter(None, found))}`",
            ),
            hint="`%nixenv lock` makes a new lock",
            archive=locked.artifact.filename,
            member="info/index.json",
        )


def _sorted(
    members: Iterable[Unpacked], filename: str
) -> tuple[dict[str, Unpacked], dict[str, Unpacked]]:
    """The members below `info/`, and all others, by path; the former must fit into memory."""
    files: dict[str, Unpacked] = {}
    info: dict[str, Unpacked] = {}
    for member in members:
        is_info = member.path == "info" or member.path.startswith("info/")
        if member.half == "info" and not is_info:
            raise archive_error(
                filename, f"`{member.path}` is among its `info/` files", member.path
            )
        if member.half == "pkg" and is_info and filename.endswith(".conda"):
            raise archive_error(filename, f"`{member.path}` is not with its `info/`", member.path)
        group = info if is_info else files
        if member.path in group and member.kind != "folder":
            raise archive_error(filename, f"it has two files `{member.path}`", member.path)
        group.setdefault(member.path, member)
    if sum(member.size for member in info.values()) > _MAX_INFO:
        raise archive_error(filename, "its `info/` is too large", "info")
    return files, info


@dataclass
class _Reader:
    """One archive being checked; what is found on the way becomes its facts."""

    filename: str
    suffix: str
    files: Mapping[str, Unpacked]
    info: Mapping[str, Unpacked]
    told: Mapping[str, bytes]
    patched: dict[str, Placeholder] = field(default_factory=dict)
    copied: list[str] = field(default_factory=list)
    links: dict[str, str] = field(default_factory=dict)
    real: dict[str, set[str]] = field(default_factory=dict)
    link_scripts: dict[str, str] = field(default_factory=dict)
    noarch: str = ""

    def read(self) -> CondaArchive:
        identity = self._identity()
        self.noarch = identity.noarch
        claims = read_claims(self.told)
        nodes = {path: node for claim in claims.values() for path, node in self._claimed(claim)}
        facts = self._facts(identity)
        nodes |= {path: member.regular() for path, member in self._info_files()}
        nodes["nixenv.json"] = facts.to_bytes()
        try:
            tree = tree_of(nodes)
        except ValueError as error:
            raise archive_error(self.filename, str(error)) from error
        return CondaArchive(tree, facts, tuple(self._untold(claims)))

    def _identity(self) -> Identity:
        if "info/index.json" not in self.told:
            raise archive_error(self.filename, "`info/index.json` is missing", "info/index.json")
        identity = read_identity(self.told["info/index.json"])
        if identity.stem != self.filename.removesuffix(self.suffix):
            raise archive_error(
                self.filename, f"it says that it is `{identity.stem}`", "info/index.json"
            )
        return identity

    def _claimed(self, claim: Claim) -> Iterator[tuple[str, Node | bytes]]:
        """The node that `info/` tells of, once it is known to be as told."""
        member = self.files.get(claim.path)
        if claim.kind == "directory" or (claim.kind is None and self._is(member, "folder")):
            is_filled = any(path.startswith(f"{claim.path}/") for path in self.files)
            if member is not None and member.kind != "folder":
                raise self._disagrees(claim.path, "it is no folder")
            if not is_filled:
                yield claim.path, Directory({})
            return
        if member is None:
            raise self._disagrees(claim.path, "it is missing")
        if claim.kind is not None and (claim.kind == "softlink") != (member.kind == "link"):
            raise self._disagrees(claim.path, f"it is a {member.kind}, and not a {claim.kind}")
        if member.kind == "link":
            self._link(claim.path, member.target)
            yield claim.path, Symlink(member.target)
        elif member.kind == "folder":
            raise self._disagrees(claim.path, "it is a folder")
        else:
            self._file(claim, member)
            yield claim.path, member.regular()

    @staticmethod
    def _is(member: Unpacked | None, kind: str) -> bool:
        return member is not None and member.kind == kind

    def _disagrees(self, path: str, why: str) -> CondaArchiveError:
        return archive_error(self.filename, f"`{path}` is not what its `info/` says", path, (why,))

    def _link(self, path: str, target: str) -> None:
        final = final_path(path, self.noarch, _ANY_SITE)
        goal = None if target_fault(target) else joined(posixpath.dirname(final), target)
        if goal is None:
            raise archive_error(
                self.filename,
                f"the link `{path}` leads out of the prefix",
                path,
                (f"to {target[:200]!r}",),
            )
        self.links[path] = target
        self._reaches(path, (goal,))

    def _file(self, claim: Claim, member: Unpacked) -> None:
        view = member.view()
        if claim.size not in (-1, member.size):
            raise self._disagrees(claim.path, f"{member.size} bytes, and not {claim.size}")
        if claim.sha256:
            found = hashlib.sha256(view).hexdigest()
            if found != claim.sha256:
                raise self._disagrees(claim.path, f"sha256 {found}, and not {claim.sha256}")
        path = claim.path
        head = bytes(view[:4])
        if claim.placeholder and _changes(member, claim.placeholder):
            self.patched[path] = claim.placeholder
            self._reaches(path, (PREFIX,))
        elif head == MAGIC and is_program(view):
            self.copied.append(path)
            self._reaches(path, (PREFIX,))
        elif head in _MACH_O:
            self._reaches(path, (PREFIX,))  # dyld's `@loader_path` is not looked into
        elif head == MAGIC:
            elf = read_elf(view)
            final = final_path(path, self.noarch, _ANY_SITE)
            self._reaches(path, tuple(looked_for(final, elf.run_path)) if elf else ())
        package = link_script_of(final_path(path, self.noarch, _ANY_SITE))
        if package:
            self.link_scripts[path] = left_undone(bytes(view).decode("utf-8", "replace"))

    def _reaches(self, path: str, goals: tuple[str, ...]) -> None:
        """Something at `path` looks for `goals` of the prefix: which folders have to be real."""
        if not goals:
            return
        found = set(real_folders(final_path(path, self.noarch, _ANY_SITE), goals))
        folder = posixpath.dirname(path)
        while folder:
            final = final_path(folder, self.noarch, _ANY_SITE)
            if final in found:
                outside = {g for g in goals if g == PREFIX or not inside(g, final)}
                own = {own_path(goal, self.noarch, _ANY_SITE) for goal in outside}
                self.real.setdefault(folder, set()).update(own)
            folder = posixpath.dirname(folder)

    def _facts(self, identity: Identity) -> CondaFacts:
        entry_points: tuple[EntryPoint, ...] = ()
        if self.noarch == "python" and "info/link.json" in self.told:
            entry_points = read_entry_points(self.told["info/link.json"])
        return CondaFacts(
            layout=CONDA_LAYOUT,
            name=identity.name,
            version=identity.version,
            build=identity.build,
            build_number=identity.build_number,
            subdir=identity.subdir,
            noarch=identity.noarch,
            depends=identity.depends,
            constrains=identity.constrains,
            patched=self.patched,
            copied=tuple(sorted(self.copied)),
            links=self.links,
            real={folder: tuple(sorted(goals)) for folder, goals in self.real.items()},
            entry_points=entry_points,
            link_scripts=self.link_scripts,
        )

    def _info_files(self) -> Iterator[tuple[str, Unpacked]]:
        """The files of `info/`, for whoever looks into the store; links in it are of no use."""
        for path, member in self.info.items():
            if member.kind == "file":
                fault = path_fault(path.removeprefix("info/"))
                if fault and path != "info/info":
                    raise archive_error(self.filename, f"{path[:200]!r}: {fault}", path)
                yield path, member

    def _untold(self, claims: Mapping[str, Claim]) -> Iterator[str]:
        """Files that nobody would install, as conda goes by what `info/` tells."""
        untold = sorted(
            path
            for path, member in self.files.items()
            if member.kind != "folder" and path not in claims
        )
        for path in untold[:_SHOWN]:
            yield f"`{self.filename}`: `{path!r}` is left out: its `info/` does not tell of it"
        if len(untold) > _SHOWN:
            yield f"`{self.filename}`: so are {len(untold) - _SHOWN} more files"


def _changes(member: Unpacked, placeholder: Placeholder) -> bool:
    """Whether replacing a placeholder can change a file at all."""
    if member.find(placeholder.text.encode()) >= 0:
        return True
    # A first line that the kernel would cut is mended on this occasion.
    is_script = placeholder.mode == "text" and bytes(member.view()[:2]) == b"#!"
    return is_script and not 0 <= member.find(b"\n") <= _SHEBANG
