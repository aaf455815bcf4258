"""A conda channel with a hundred real packages, made of an environment of wheels and of this machine's Python.

The public channels may be out of reach; what they would send is made here: pure packages are `noarch:
python` with their entry points, the others have their scripts with the prefix in the first line.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from importlib.metadata import Distribution, distributions
from pathlib import Path, PurePosixPath

from nixlib.testing.conda_archives import PLACEHOLDER, CondaArchive, make_conda
from nixlib.testing.conda_channel import local_channel, write_channel
from nixlib.tree import Node, Regular


def bulk_channel(folder: Path, venv: Path) -> list[str]:
    """Write the channel to `folder`; returns the names of its packages.

    Args:
        folder: Where it goes.
        venv: The environment whose packages it has.
    """
    small = local_channel()
    minor = ".".join(small.python.split(".")[:2])
    archives = [_python(small.archives()[name]) for name in small.archives() if "python" in name]
    (site,) = venv.glob("lib/python3*/site-packages")
    archives += [
        _package(one, minor, venv, small.subdir) for one in distributions(path=[str(site)])
    ]
    write_channel(folder, archives)
    return [archive.index["name"] for archive in archives]


def _python(path: Path) -> CondaArchive:
    """`python` and `python_abi` of the tests' channel, as they are."""
    name, version, build = path.name.removesuffix(".conda").rsplit("-", 2)
    index = {"name": name, "version": version, "build": build}
    return CondaArchive(path.name, path.parent.name, path.read_bytes(), index)


def _package(found: Distribution, minor: str, venv: Path, subdir: str) -> CondaArchive:
    pure = "Root-Is-Purelib: true" in (found.read_text("WHEEL") or "")
    scripts = [
        f"{one.name} = {one.value}" for one in found.entry_points if one.group == "console_scripts"
    ]
    own = {script.partition(" = ")[0] for script in scripts}
    files = dict(_files(found, minor, venv, own if pure else set(), pure=pure))
    purl = {"purls": [f"pkg:pypi/{found.name.lower().replace('_', '-')}"]}
    return make_conda(
        found.name.lower(),
        found.version,
        "pyh0_0" if pure else f"py{minor.replace('.', '')}_0",
        files,
        depends=["python"],
        noarch="python" if pure else "",
        subdir="noarch" if pure else subdir,
        entry_points=scripts if pure else (),
        index=purl,
    )


def _files(
    found: Distribution, minor: str, venv: Path, left_out: set[str], *, pure: bool
) -> Iterator[tuple[str, Node]]:
    """Where each file of a package goes in an archive."""
    site = "site-packages" if pure else f"lib/python{minor}/site-packages"
    shebang = f"#!{venv}/bin/python".encode()
    for path in found.files or ():
        source = Path(str(path.locate()))
        if path.suffix == ".pyc" or path.name == "RECORD" or not source.is_file():
            continue
        inside = PurePosixPath(path)
        data, executable = source.read_bytes(), bool(source.stat().st_mode & 0o100)
        if inside.parts[0] != "..":
            yield f"{site}/{inside}", Regular.of(data, executable=executable)
        elif inside.parts[:4] == ("..", "..", "..", "bin"):
            if inside.name not in left_out:
                text = data.replace(shebang, f"#!{PLACEHOLDER}/bin/python".encode(), 1)
                folder = "python-scripts" if pure else "bin"
                yield f"{folder}/{inside.name}", Regular.of(text, executable=executable)
        else:
            yield str(PurePosixPath(*inside.parts[3:])), Regular.of(data, executable=executable)


def requirements(names: list[str]) -> list[str]:
    """The packages as lines of a notebook."""
    return [f"{name} *" for name in names if name != "python"]


def write_rattler_script(path: Path) -> Path:
    """What the other side runs: install exactly the records of a lock file, in a process of its own."""
    path.write_text(
        "import asyncio, os, sys\n"
        "import rattler\n"
        "lock, prefix, cache = sys.argv[1:]\n"
        "environment = rattler.LockFile.from_path(lock).default_environment()\n"
        "records = environment.conda_repodata_records_for_platform(environment.platforms()[0])\n"
        "asyncio.run(rattler.install(records, prefix, cache_dir=cache, show_progress=False))\n"
        "os._exit(0)\n"  # its threads outlive the interpreter, and then Python aborts
    )
    return path


def write_rattler_lock(path: Path, notebook: Path, channel: str) -> Path:
    """The conda packages of a notebook's lock, solved again by `rattler` to the same builds."""
    import asyncio  # noqa: PLC0415

    import rattler  # noqa: PLC0415

    lock = json.loads(notebook.read_text())["metadata"]["nixenv"]["lock"]
    specs = [
        f"{one['name']} =={one['version']} {one['build']}" for one in lock["conda"]["packages"]
    ]
    platform = rattler.Subdir.current()
    source = rattler.Channel(channel)
    records = asyncio.run(
        rattler.solve([source], specs, platforms=[platform, rattler.Subdir("noarch")])
    )
    locked_for = rattler.LockPlatform(str(platform))
    file = rattler.LockFile([locked_for])
    file.set_channels("default", [rattler.LockChannel(channel)])
    for record in records:
        file.add_conda_package("default", locked_for, record)
    file.to_path(path)
    return path
