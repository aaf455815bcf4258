"""How a worker process of the kernel learns of the groups, so that pickles of their objects load there.

Workers of `multiprocessing` and joblib are Pythons of the same environment, started with the kernel's
variables and `sys.path`. Both lead to a folder in which there is only `nixenv`; a variable leads to a
file in which the groups are written. The worker reads it when the first private module is asked for, and
again when a group is new to it. Workers that are forked have everything already, but for later groups.

A package that a group is for is asked for by its plain name, which nothing there would lead to the group. A
second folder has a small module of each such name, which the worker replaces by the group's.
"""

from __future__ import annotations

import atexit
import os
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Sequence

    from .group import Group

VARIABLE = "NIXENV_PRIVATE_GROUPS"
FOLDER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "for_workers")

PLAIN = "plain"
_STANDS = "from nixenv.groups import registry\n\nregistry.stand_for(__name__, __file__)\n"

_own: dict[int, str] = {}  # by process: a fork that declares groups has a file of its own


def publish(groups: Sequence[Group]) -> None:
    """Write the groups down for processes that this one starts or started.

    Without groups nothing is written, unless there were some before. A reader sees all of the groups or
    the former ones.
    """
    file = _own.get(os.getpid())
    if is_child() or (not groups and file is None):
        return
    import json  # noqa: PLC0415 - kernels without groups do not need it

    file = file or _prepare()
    told = {"python": _python(), "groups": [group.to_json() for group in groups]}
    with open(file + ".new", "w", encoding="utf-8") as stream:
        json.dump(told, stream)
    os.replace(file + ".new", file)
    _stand_for(file, {name for group in groups for name in group.exposed if name.isidentifier()})


def _stand_for(file: str, names: set[str]) -> None:
    """Have a module for each name that the notebook imports from a group, and for no other."""
    folder = os.path.join(os.path.dirname(file), PLAIN)
    there = {name[:-3] for name in os.listdir(folder)} if os.path.isdir(folder) else set()
    if names and not there:
        os.makedirs(folder, exist_ok=True)
        _lead_to(folder)
    for name in names - there:
        with open(os.path.join(folder, f"{name}.py"), "x", encoding="utf-8") as stream:
            stream.write(_STANDS)
    for name in there - names:
        os.unlink(os.path.join(folder, f"{name}.py"))


def _python() -> list[str]:
    return [sys.prefix, sys.version]


def _prepare() -> str:
    import tempfile  # noqa: PLC0415

    folder = tempfile.mkdtemp(prefix="nixenv-private-")
    file = _own[os.getpid()] = os.path.join(folder, "groups.json")
    atexit.register(_delete, folder, os.getpid())
    os.environ[VARIABLE] = file
    _lead_to(FOLDER)
    return file


def _lead_to(folder: str) -> None:
    """Have processes that this one starts look into a folder, last of all."""
    if folder not in sys.path:
        sys.path.append(folder)
        # In this process there is nothing to find in it, and nobody should look.
        sys.path_importer_cache.setdefault(folder, None)
    path = os.environ.get("PYTHONPATH", "")
    if folder not in path.split(os.pathsep):
        os.environ["PYTHONPATH"] = os.pathsep.join(filter(None, [path, folder]))


def _delete(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # not a fork's
        import shutil  # noqa: PLC0415

        shutil.rmtree(folder, ignore_errors=True)


def published() -> list[Group]:
    """The groups of the process that started this one; none if it is gone, or another Python's.

    Raises:
        ValueError: The file holds no groups.
    """
    if not is_child():
        return []
    import json  # noqa: PLC0415

    from .group import Group  # noqa: PLC0415

    try:
        with open(os.environ[VARIABLE], encoding="utf-8") as stream:
            told = json.load(stream)
    except OSError:
        return []
    if told.get("python") != _python():
        return []
    return [Group.from_json(value) for value in told["groups"]]


def is_child() -> bool:
    """Whether this process was started or forked by one that wrote its groups down."""
    return VARIABLE in os.environ and os.getpid() not in _own
