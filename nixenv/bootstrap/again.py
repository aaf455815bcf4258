"""The same start once more: what a notebook's kernel was started with, for as long as nothing has changed.

Finding an environment means to read the notebook, to check its lock and to compute two digests. That is
little, but Python spends 60 ms on importing what it takes, a quarter of a kernel's start. So a start that
went well is written down with all the facts that it followed from, and the next one compares the facts: the
notebook's file as the system has it stamped, the variables and files that hold settings, this machine, this
installation. Then it takes the same hold and looks through the same link as ever.

Everything that is imported here counts; that is why this module reads like one of another decade.
"""

from __future__ import annotations

import fcntl
import os
import sys
import time
import zlib

from nixenv.server.scrubbing import OVERRIDE, scrubbed

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

FORMAT = "nixenv start 1"
SESSION = "JPY_SESSION_NAME"
FOLLOW = "NIXENV_FOLLOW"
"""Descriptor of a server that builds the environment; see `nixenv.bootstrap.follow`."""

_SAID = ("NIXENV_", "NIX_", "XDG_")
_CODE = ("hit.py", "launch.py", "scrubbing.py")
_SETTLED = 2.0
"""Seconds after which a file's stamp stands for its content: within one tick of the clock two writes look alike."""


class Remembered:
    """A start that can be repeated.

    Attributes:
        argv: The kernel's command line, up to the connection file.
        process_env: Its variables.
    """

    def __init__(self, argv: list[str], process_env: dict[str, str]) -> None:
        self.argv = argv
        self.process_env = process_env


def recall(environ: Mapping[str, str]) -> Remembered | None:
    """The start of this notebook as it was, when nothing has changed since; None otherwise.

    It holds the environment, by a descriptor that the kernel inherits.
    """
    try:
        notebook = named_notebook(environ)
        if not notebook:
            return None
        facts, places, argv, variables = _read(_file(environ, notebook))
        if facts != current_facts(environ, notebook):
            return None
        hold, link, environment, use, cached = places
        for file in filter(None, (use, cached)):
            os.utime(file)
        if not _take(hold, link, environment):
            return None
    except (OSError, ValueError):
        return None
    kept = scrubbed(environ, environment)
    kept.update(zip(variables[::2], variables[1::2]))  # noqa: B905 - always in pairs
    return Remembered(argv, kept)


def remember(
    environ: Mapping[str, str],
    notebook: str,
    places: Sequence[str],
    argv: Sequence[str],
    variables: Mapping[str, str],
) -> None:
    """Write a start down; without a place for it, or with a notebook that has just changed, nothing happens.

    Args:
        environ: The variables that it followed from.
        notebook: What `named_notebook` says of them.
        places: The file to lock, the link and the environment that it must lead to, what records the use,
            and what records the use of the bytecode, or nothing.
        argv: The kernel's command line up to the connection file.
        variables: What is set for the kernel.
    """
    try:
        if time.time() - os.stat(notebook).st_mtime < _SETTLED:
            return
        pairs = [word for pair in variables.items() for word in pair]
        lists = [current_facts(environ, notebook), list(places), list(argv), pairs]
        file = _file(environ, notebook)
        os.makedirs(os.path.dirname(file), mode=0o700, exist_ok=True)
        staging = f"{file}.{os.getpid()}"
        with open(staging, "wb", opener=_private) as output:
            output.write(_packed(lists))
        os.replace(staging, file)
    except (OSError, ValueError):
        return


def named_notebook(environ: Mapping[str, str]) -> str:
    """The notebook that these variables name outright; empty when more has to be asked."""
    if environ.get(FOLLOW):
        return ""
    named = environ.get(OVERRIDE) or environ.get(SESSION) or ""
    return named if os.path.isabs(named) and named.endswith(".ipynb") else ""


def current_facts(environ: Mapping[str, str], notebook: str) -> list[str]:
    """Everything that the choice of an environment follows from.

    Raises:
        OSError: The notebook or the installation is not there.
    """
    config = environ.get("XDG_CONFIG_HOME") or os.path.join(environ.get("HOME", ""), ".config")
    ours = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "server")
    settings = ("/etc/nixenv/config.json", os.path.join(config, "nixenv", "config.json"))
    return [
        FORMAT,
        sys.executable,
        notebook,
        _stamp(notebook),
        *(_stamp(os.path.join(ours, name)) for name in _CODE),
        *(_stamp_or_none(file) for file in settings),
        *os.uname(),
        os.confstr("CS_GNU_LIBC_VERSION") or ""
        if "CS_GNU_LIBC_VERSION" in os.confstr_names
        else "",
        *sorted(f"{name}={value}" for name, value in environ.items() if _is_said(name)),
    ]


def _is_said(name: str) -> bool:
    return (name.startswith(_SAID) or name == "HOME") and name != OVERRIDE


def _stamp(file: str) -> str:
    facts = os.stat(file)
    times = (facts.st_mtime_ns, facts.st_ctime_ns)
    return " ".join(map(str, (*times, facts.st_size, facts.st_ino, facts.st_dev)))


def _stamp_or_none(file: str) -> str:
    try:
        return _stamp(file)
    except OSError:
        return ""


def _file(environ: Mapping[str, str], notebook: str) -> str:
    """Where a notebook's start is written down; two with the same number overwrite each other."""
    caches = environ.get("XDG_CACHE_HOME", "")
    if not os.path.isabs(caches):
        caches = os.path.join(environ.get("HOME") or os.path.expanduser("~"), ".cache")
    number = zlib.crc32(os.fsencode(notebook))
    return os.path.join(caches, "nixenv", "starts", f"{number:08x}")


def _take(hold: str, link: str, environment: str) -> bool:
    """Hold the environment, then look whether it is there; as `environments.hold` and `find_environment`."""
    descriptor = os.open(hold, os.O_RDWR)
    fcntl.flock(descriptor, fcntl.LOCK_SH)
    os.stat(os.path.join(link, "bin", "python"))
    is_there = os.readlink(link) == environment
    if not is_there or not os.path.samestat(os.fstat(descriptor), os.stat(hold)):
        os.close(descriptor)
        return False
    os.set_inheritable(descriptor, True)  # noqa: FBT003 - positional-only
    return True


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)


def _packed(lists: Iterable[Sequence[str]]) -> bytes:
    """Lists of strings as bytes; what is in a path or a variable has no NUL."""
    words = [word for items in lists for word in (str(len(items)), *items)]
    return b"\0".join(map(os.fsencode, words))


def _read(file: str) -> list[list[str]]:
    """The inverse of `_packed`, of a file that only this user can have written.

    Raises:
        ValueError: It is something else.
        OSError: It cannot be read.
    """
    with open(file, "rb") as source:
        owner = os.fstat(source.fileno())
        if owner.st_uid != os.getuid() or owner.st_mode & 0o022:
            raise ValueError(file)
        words = [os.fsdecode(word) for word in source.read().split(b"\0")]
    lists: list[list[str]] = []
    place = 0
    while place < len(words):
        count = int(words[place])
        lists.append(words[place + 1 : place + 1 + count])
        place += 1 + count
    if len(lists) != 4 or place != len(words):  # noqa: PLR2004 - facts, places, argv, variables
        raise ValueError(file)
    return lists
