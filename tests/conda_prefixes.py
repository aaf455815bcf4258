"""Conda prefixes twice: laid out by us and installed by rattler, to be compared file by file."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rattler import PackageRecord, RepoDataRecord, install
from rattler.package import BuildString

from nixlib.builders import build_prefix
from nixlib.composition.package import StoreListing
from nixlib.conda.archive import check_identity, read_archive
from nixlib.conda.prefix import CondaPackage, PrefixPlan, plan_prefix
from nixlib.lock import Artifact, LockedCondaPackage
from nixlib.store import Store
from nixlib.storenames import conda_store_name
from nixlib.testing.conda_archives import CondaArchive

# What rattler writes about a prefix, rather than into it.
ABOUT = {"conda-meta", "CACHEDIR.TAG"}

Seen = dict[str, tuple[Any, ...]]


def archive_of(path: Path) -> CondaArchive:
    """An archive of a channel on disk, with what its channel says of it."""
    repodata = json.loads((path.parent / "repodata.json").read_text())
    record = {**repodata["packages"], **repodata["packages.conda"]}[path.name]
    return CondaArchive(path.name, path.parent.name, path.read_bytes(), record)


def locked(archive: CondaArchive) -> LockedCondaPackage:
    """What a lock says of an archive."""
    index = archive.index
    return LockedCondaPackage(
        name=index["name"],
        version=index["version"],
        build=index["build"],
        subdir=archive.subdir,
        channel="https://example.org/channel",
        artifact=Artifact(
            f"https://example.org/channel/{archive.subdir}/{archive.filename}",
            archive.sha256,
            len(archive.data),
        ),
        depends=tuple(sorted({spec.split()[0] for spec in index["depends"]})),
        noarch=index.get("noarch") or "",
        site=index.get("python_site_packages_path") or "",
    )


def imported(archive: CondaArchive, store: Store, scratch: Path) -> CondaPackage:
    """An archive as a package in `store`."""
    package = locked(archive)
    read = read_archive(archive.data, archive.filename, scratch=scratch)
    check_identity(read.facts, package)
    name = conda_store_name(package.name, package.version, package.build)
    path = store.add_tree(name, read.tree).path
    return CondaPackage(package, path, StoreListing(store.physical(path)), read.facts)


def plan_of(archives: Sequence[CondaArchive], store: Store, scratch: Path) -> PrefixPlan:
    """The prefix of some archives."""
    return plan_prefix([imported(archive, store, scratch) for archive in archives])


def laid_out(plan: PrefixPlan, store: Store, out: Path) -> Path:
    """The prefix of a plan, made at `out` by the builder, as Nix would run it."""
    place = store.physical(plan.inputs[0]).parent
    orders = {**plan.to_json(), "store": str(place), "place": str(out.parent)}
    told = out.parent / f"{out.name}.json"
    told.write_text(json.dumps(orders))
    command = [sys.executable, "-I", "-S", "-B", str(Path(build_prefix.__file__)), str(told)]
    subprocess.run(command, env={"out": str(out)}, check=True)
    return out


def installed(archives: Sequence[CondaArchive], target: Path, prefix: Path) -> Path:
    """The same archives, installed by rattler at `target` for use at `prefix`."""
    channel = target.parent / f"{target.name}-channel"
    for archive in archives:
        place = channel / archive.subdir
        place.mkdir(parents=True, exist_ok=True)
        (place / archive.filename).write_bytes(archive.data)

    def run() -> None:
        records = [_record(archive, channel) for archive in archives]
        asyncio.run(
            install(
                records,
                target,
                cache_dir=target.parent / f"{target.name}-cache",
                show_progress=False,
                alternative_target_prefix=prefix,
            )
        )

    with ThreadPoolExecutor(1) as pool:
        pool.submit(run).result()
    return target


def _record(archive: CondaArchive, channel: Path) -> RepoDataRecord:
    index = archive.index
    noarch = index.get("noarch") or None
    record = PackageRecord(
        name=index["name"],
        version=index["version"],
        build=BuildString(index["build"]),
        build_number=index["build_number"],
        subdir=archive.subdir,
        noarch=noarch,
        depends=list(index["depends"]),
        sha256=bytes.fromhex(archive.sha256),
        size=len(archive.data),
        python_site_packages_path=index.get("python_site_packages_path"),
    )
    url = (channel / archive.subdir / archive.filename).as_uri()
    return RepoDataRecord(record, archive.filename, url, channel.as_uri())


def seen(root: Path) -> Seen:
    """Every file, folder and link of a prefix as its user sees it, by path.

    A link into another store object is what it leads to. Folders of what lost its path do not count:
    rattler leaves empty ones behind, more or fewer, as its threads happen to come.
    """
    return {
        path: what
        for path, what in _seen(root, "", root)
        if what != ("folder",) or not path.startswith("__clobbers__")
    }


def _seen(folder: Path, path: str, root: Path) -> Iterator[tuple[str, tuple[Any, ...]]]:
    for name in sorted(entry.name for entry in folder.iterdir()):
        if not path and name in ABOUT:
            continue
        full, inside = folder / name, f"{path}/{name}" if path else name
        if full.is_symlink() and not _leads_out(full, inside, root):
            yield inside, ("link", str(full.readlink()))
        elif full.is_dir():
            yield inside, ("folder",)
            yield from _seen(full, inside, root)
        else:
            yield inside, ("file", bool(full.stat().st_mode & 0o100), full.read_bytes())


def _leads_out(link: Path, path: str, root: Path) -> bool:
    is_own = link.parent.resolve().is_relative_to(root.resolve())
    return is_own and str(link.readlink()).startswith("../" * (path.count("/") + 1))
