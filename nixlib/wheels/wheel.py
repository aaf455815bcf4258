"""A wheel as a store object's tree (binary distribution format, PEP 427), never unpacked to disk.

Everything about a wheel is checked before any of it is called a tree: names, metadata, sizes, CRCs,
and every hash of its RECORD. What comes out is a pure function of the wheel's bytes.
"""

from __future__ import annotations

import re
import stat
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

from nixlib.composition.package import FACTS_NAME, LAYOUT, Facts
from nixlib.errors import WheelError
from nixlib.tree import Directory, Node, Symlink, tree_of
from nixlib.wheels.distinfo import (
    Scripts,
    is_name,
    is_version,
    normalised,
    parse_headers,
    parse_scripts,
    same_version,
)
from nixlib.wheels.origin import real_directories
from nixlib.wheels.record import (
    RecordSyntaxError,
    Row,
    digest_of,
    disagreements,
    parse_record,
    write_record,
)
from nixlib.wheels.wheelfiles import HELD, File, Placed, examine, place
from nixlib.wheels.ziparchive import Archive, Data, Member, open_archive

_INSTALLER = b"nixenv\n"
_MAX_NAME, _MAX_DEPTH = 255, 100
_SHOWN, _SHOWN_STRICT = 5, 20

_FILENAME = re.compile(
    r"([A-Za-z0-9._]+)-([A-Za-z0-9._!+]+)(-\d[A-Za-z0-9._]*)?-[^-]+-[^-]+-[^-]+\.whl"
)
_BAD_NAME = re.compile(r"(?:^|/)\.{0,2}(?:/|$)|[\\\x00-\x1f\x7f]")
_SIGNATURES = ("RECORD.jws", "RECORD.p7s")


@dataclass(frozen=True)
class Wheel:
    """A checked wheel.

    Attributes:
        filename: The wheel's.
        facts: What composing needs to know; also in the tree.
        tree: The store object (layout 1). Large members are inflated each time they are read, so
            the wheel's bytes must outlive it.
        warnings: What is wrong with it and did not stop it, naming wheel and file.
        has_true_record: Whether its RECORD agrees with its files.
    """

    filename: str
    facts: Facts
    tree: Directory
    warnings: tuple[str, ...] = ()
    has_true_record: bool = True


def read_wheel(data: Data, filename: str, *, strict: bool = False) -> Wheel:
    """Check a wheel and lay it out.

    Args:
        data: The whole wheel.
        filename: Its file name, which must agree with its metadata.
        strict: Refuse a wheel that disagrees with its own RECORD.

    Raises:
        WheelError: It breaks the specification: fields `wheel` and `member` say which and where.
    """
    found = _FILENAME.fullmatch(filename)
    if found is None:
        raise _error(filename, "its file name is not that of a wheel")
    archive = open_archive(data, filename)
    members = _members(archive)
    info, own_data = _special_directories(filename, members, found[1], found[2])
    warnings = list(_check_version(archive, members, info))
    name, version = _project(archive, members, info, found[1], found[2])
    claimed = _claimed(archive, members, info)
    files = examine(archive, members, claimed)
    wrong = disagreements(claimed, _accountable(files, claimed, info))
    if wrong and strict:
        raise _error(
            filename,
            f"it disagrees with its own RECORD about `{wrong[0][0]}`",
            wrong[0][0],
            [f"`{path}`: {why}" for path, why in wrong[:_SHOWN_STRICT]],
        )
    warnings += _disagreement_warnings(filename, wrong)
    scripts = _scripts(archive, members, info)
    warnings += [f"`{info}/entry_points.txt` of `{filename}`: {why}" for why in scripts.refused]
    placed = place(filename, _kept(files, info, own_data, scripts), own_data, name)
    facts = Facts(
        layout=LAYOUT,
        name=normalised(name),
        version=version,
        console_scripts=scripts.console,
        gui_scripts=scripts.gui,
        python_scripts=_python_scripts(placed),
        origin=_origin(placed),
    )
    tree = _tree(filename, placed, info, facts)
    return Wheel(filename, facts, tree, tuple(warnings), has_true_record=not wrong)


def _error(filename: str, what: str, member: str = "", details: Iterable[str] = ()) -> WheelError:
    return WheelError(
        f"cannot use the wheel `{filename}`: {what}",
        details=tuple(details),
        wheel=filename,
        member=member,
    )


def _members(archive: Archive) -> Mapping[str, Member]:
    members: dict[str, Member] = {}
    for member in archive.members:
        name = member.name
        if _BAD_NAME.search(name):
            raise _error(archive.filename, f"`{name!r}` is not a path inside it", name)
        if len(name) > _MAX_NAME and (
            name.count("/") > _MAX_DEPTH
            or any(len(part.encode()) > _MAX_NAME for part in name.split("/"))
        ):
            raise _error(archive.filename, f"the file name `{name[:80]}…` is too long", name)
        if name in members:
            raise _error(archive.filename, f"it has two files `{name}`", name)
        if stat.S_IFMT(member.mode) not in (0, stat.S_IFREG, stat.S_IFLNK):
            raise _error(archive.filename, f"`{name}` is neither a file nor a link", name)
        members[name] = member
    return members


def _special_directories(
    filename: str, members: Mapping[str, Member], name: str, version: str
) -> tuple[str, str]:
    """The names of the `.dist-info` and the `.data` directory; the latter may be absent: empty."""
    tops = {path.partition("/")[0] for path in members if "/" in path}
    found: dict[str, str] = {}
    for suffix in (".dist-info", ".data"):
        # Any spelling counts, so that a second one cannot hide behind upper case.
        alike = sorted(top for top in tops if top.lower().endswith(suffix))
        if len(alike) > 1:
            raise _error(filename, f"it has {len(alike)} `{suffix}` directories", alike[1], alike)
        for top in alike:
            stem, dash, of = top[: -len(suffix)].rpartition("-")
            if not top.endswith(suffix) or not dash or normalised(stem) != normalised(name):
                raise _error(filename, f"`{top}` is of another project", top)
            if not same_version(of, version):
                raise _error(filename, f"`{top}` is of another version", top)
            found[suffix] = top
    if ".dist-info" not in found:
        raise _error(filename, "it has no `.dist-info` directory")
    return found[".dist-info"], found.get(".data", "")


def _read(archive: Archive, members: Mapping[str, Member], path: str) -> bytes:
    if path not in members:
        raise _error(archive.filename, f"`{path}` is missing", path)
    if members[path].size > HELD:
        raise _error(archive.filename, f"`{path}` is too large", path)
    return archive.read(members[path])


def _check_version(archive: Archive, members: Mapping[str, Member], info: str) -> Iterator[str]:
    path = f"{info}/WHEEL"
    version = parse_headers(_read(archive, members, path)).get("wheel-version", "")
    if not re.fullmatch(r"\d{1,6}\.\d{1,6}", version):
        raise _error(archive.filename, f"`{path}` names no version of the wheel format", path)
    if not version.startswith("1."):
        raise _error(
            archive.filename, f"it is of version {version} of the format, 1 is known", path
        )
    if version != "1.0":
        yield f"`{archive.filename}` is of version {version} of the wheel format, newer than 1.0"


def _project(
    archive: Archive, members: Mapping[str, Member], info: str, name: str, version: str
) -> tuple[str, str]:
    path = f"{info}/METADATA"
    headers = parse_headers(_read(archive, members, path))
    for header, wanted, valid, same in (
        ("name", name, is_name, lambda one, other: normalised(one) == normalised(other)),
        ("version", version, is_version, same_version),
    ):
        value = headers.get(header, "")
        if not valid(value) or not same(value, wanted):
            raise _error(
                archive.filename, f"`{path}` is of {header} `{value[:80]}`, not `{wanted}`", path
            )
    return headers["name"], headers["version"]


def _claimed(archive: Archive, members: Mapping[str, Member], info: str) -> Mapping[str, Row]:
    path = f"{info}/RECORD"
    try:
        rows = list(parse_record(_read(archive, members, path)))
    except RecordSyntaxError as error:
        raise _error(archive.filename, f"`{path}` cannot be read", path, (str(error),)) from error
    # Some tools wrote `./` and backslashes; the file that is meant is clear.
    return {clean: row for row in rows if not _is_record(clean := _clean(row.path), info)}


def _clean(path: str) -> str:
    return path.replace("\\", "/").removeprefix("./")


def _is_record(path: str, info: str) -> bool:
    folder, _, name = path.rpartition("/")
    return folder == info and name in ("RECORD", *_SIGNATURES)


def _accountable(
    files: Mapping[str, File], claimed: Mapping[str, Row], info: str
) -> Mapping[str, Row]:
    """The rows that RECORD must have. What tools write for a link differs, so any row will do."""
    return {
        path: claimed.get(path, file.row) if isinstance(file.node, Symlink) else file.row
        for path, file in files.items()
        if not _is_record(path, info)
    }


def _disagreement_warnings(filename: str, wrong: list[tuple[str, str]]) -> Iterator[str]:
    for path, why in wrong[:_SHOWN]:
        yield f"`{filename}` disagrees with its own RECORD about `{path}`: {why}"
    if len(wrong) > _SHOWN:
        yield f"`{filename}` disagrees with its own RECORD about {len(wrong) - _SHOWN} more files"


def _scripts(archive: Archive, members: Mapping[str, Member], info: str) -> Scripts:
    path = f"{info}/entry_points.txt"
    return parse_scripts(_read(archive, members, path)) if path in members else Scripts()


def _kept(
    files: Mapping[str, File], info: str, own_data: str, scripts: Scripts
) -> Mapping[str, File]:
    """Without what installing replaces.

    That is RECORD, INSTALLER, signatures (of a RECORD that is no more), REQUESTED (it is the user's to
    say), and the wrappers that old tools made of entry points.
    """
    replaced = {f"{info}/{name}" for name in ("RECORD", *_SIGNATURES, "INSTALLER", "REQUESTED")}
    replaced |= {f"{own_data}/scripts/{name}" for name in (*scripts.console, *scripts.gui)}
    return {path: file for path, file in files.items() if path not in replaced}


def _is_python_script(placed: Placed) -> bool:
    return placed.path.startswith("bin/") and placed.file.head.startswith(b"#!python")


def _python_scripts(placed: Iterable[Placed]) -> tuple[str, ...]:
    return tuple(sorted(found.path[4:] for found in placed if _is_python_script(found)))


def _origin(placed: Iterable[Placed]) -> tuple[str, ...]:
    directories: set[str] = {""}
    run_paths: dict[str, set[str]] = {}
    for found in placed:
        parent = found.path.rpartition("/")[0]
        if found.file.elf and found.file.elf.run_path:
            run_paths.setdefault(parent, set()).update(found.file.elf.run_path)
        while parent not in directories:
            directories.add(parent)
            parent = parent.rpartition("/")[0]
    return real_directories(run_paths, directories)


def _tree(filename: str, placed: list[Placed], info: str, facts: Facts) -> Directory:
    files: dict[str, bytes | str | Node] = {found.path: found.file.node for found in placed}
    files[f"site-packages/{info}/INSTALLER"] = _INSTALLER
    files[f"site-packages/{info}/RECORD"] = _installed_record(placed, info, facts)
    files[FACTS_NAME] = facts.to_bytes()
    try:
        return tree_of(files)
    except ValueError as error:
        raise _error(filename, str(error)) from error


def _installed_record(placed: list[Placed], info: str, facts: Facts) -> bytes:
    rows = [
        # The environment writes its own first line into these, so their hash is not known here.
        Row(found.record) if _is_python_script(found) else _row(found)
        for found in placed
    ]
    rows += [Row(f"../../../bin/{name}") for name in {*facts.console_scripts, *facts.gui_scripts}]
    rows.append(Row(f"{info}/INSTALLER", digest_of((_INSTALLER,)), str(len(_INSTALLER))))
    rows.append(Row(f"{info}/RECORD"))
    return write_record(rows)


def _row(found: Placed) -> Row:
    return Row(found.record, found.file.row.digest, found.file.row.size)
