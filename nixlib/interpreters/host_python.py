"""The Pythons of this machine: on PATH, or where uv, pyenv, conda or the distribution put them.

Each is asked once what it is. Virtual environments and shims lead to the installation behind them.
"""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from nixlib.binaries.runpath import is_elf
from nixlib.interpreters.host_memory import HostMemory
from nixlib.platforms import python_version_key

_OLDEST: Final = (3, 8)
_SECONDS: Final = 20
_ELF_HEAD: Final = 6

# Runs in Pythons as old as 2.7, which then say that they are too old.
_QUESTION: Final = """
import json, os, platform, sys
facts = {"implementation": platform.python_implementation(), "version": platform.python_version()}
if sys.version_info >= (3, 8):
    import sysconfig
    variables = sysconfig.get_config_vars()
    facts.update(
        prefix=sys.base_prefix,
        stdlib=os.path.dirname(os.path.realpath(os.__file__)),
        extensions=[path for path in sys.path if os.path.basename(path) == "lib-dynload"],
        headers=[sysconfig.get_path("include"), sysconfig.get_path("platinclude")],
        configured=variables.get("prefix") or "",
        flags=sys.abiflags,
        free_threaded=bool(variables.get("Py_GIL_DISABLED")),
        platlibdir=getattr(sys, "platlibdir", "lib"),
        bits=64 if sys.maxsize > 2 ** 32 else 32,
    )
print(json.dumps(facts))
"""


@dataclass(frozen=True, slots=True)
class HostPython:
    """A Python that is installed on this machine.

    Attributes:
        version: All of it, `3.11.7`.
        executable: The program itself, no link to it.
        prefix: The installation's root.
        stdlib: The folder of the standard library.
        extensions: The folder of its extension modules.
        headers: The folders of its C headers, as far as it has them.
        configured: The root that it was built for; another one when it has been moved since.
        platlibdir: `lib`, or `lib64` on Fedora.
    """

    version: str
    executable: Path
    prefix: Path
    stdlib: Path
    extensions: Path
    headers: tuple[Path, ...]
    configured: str
    platlibdir: str = "lib"


def find_hosts(
    process_env: Mapping[str, str] | None = None, *, memory: HostMemory | None = None
) -> list[HostPython]:
    """Every CPython of this machine that can be copied, newest first.

    Costs the start of each, some 40 ms, and next to nothing for those that `memory` knows.

    Args:
        process_env: The variables to look by (PATH, HOME, PYENV_ROOT, CONDA_EXE …); None for ours.
        memory: What was found out before.
    """
    process_env = os.environ if process_env is None else process_env
    hosts: list[HostPython] = []
    learnt: dict[str, dict[str, Any]] = {}
    for executable in _programs(process_env):
        key = _identity(executable)
        facts = memory.recall(key) if memory else None
        if facts is None:
            facts = learnt[key] = _ask(executable)
        host = _host(executable, facts)
        hosts += [host] if host else []
    if memory:
        memory.keep(learnt)
    # The sort is stable: of two with one version, the one that PATH shows first comes first.
    return sorted(hosts, key=lambda host: python_version_key(host.version), reverse=True)


def read_host(executable: Path) -> HostPython | None:
    """What the program at `executable` is; None when it is no CPython that can be copied.

    PyPy, 32-bit, debug and free-threaded builds are none: no wheel tags of ours fit them.
    """
    return _host(executable, _ask(executable))


def _identity(executable: Path) -> str:
    status = executable.stat()
    return f"{executable} {status.st_size} {status.st_mtime_ns} {status.st_ino}"


def _ask(executable: Path) -> dict[str, Any]:
    """What a Python tells of itself; empty when it does not start."""
    try:
        answer = subprocess.run(
            [executable, "-E", "-s", "-S", "-c", _QUESTION],
            capture_output=True,
            timeout=_SECONDS,
            check=True,
            cwd="/",
            env={},
        )
        facts = json.loads(answer.stdout)
    except (OSError, subprocess.SubprocessError, ValueError):
        return {}
    return facts if isinstance(facts, dict) else {}


def _host(executable: Path, facts: Mapping[str, Any]) -> HostPython | None:
    if (
        facts.get("implementation") != "CPython"
        or python_version_key(facts["version"])[:2] < _OLDEST
    ):
        return None
    if facts["flags"] or facts["free_threaded"] or facts["bits"] != 64:  # noqa: PLR2004
        return None
    stdlib = Path(facts["stdlib"])
    return HostPython(
        version=facts["version"].rstrip("+"),
        executable=executable,
        prefix=Path(facts["prefix"]),
        stdlib=stdlib,
        extensions=Path(next(iter(facts["extensions"]), stdlib / "lib-dynload")),
        headers=tuple(dict.fromkeys(Path(path) for path in facts["headers"] if path)),
        configured=facts["configured"],
        platlibdir=facts["platlibdir"],
    )


def _programs(process_env: Mapping[str, str]) -> Iterator[Path]:
    """Programs that may be a Python, each once, links followed; shims are scripts and fall out."""
    seen: set[Path] = set()
    for folder in _folders(process_env):
        for name in _python_names(folder):
            program = (folder / name).resolve()
            if (
                program not in seen
                and not program.is_relative_to("/nix/store")
                and _is_program(program)
            ):
                seen.add(program)
                yield program


def _python_names(folder: Path) -> list[str]:
    try:
        names = os.listdir(folder)  # noqa: PTH208 - ten times as fast on a full /usr/bin
    except OSError:
        return []
    return sorted(name for name in names if name == "python" or _is_versioned(name))


def _is_versioned(name: str) -> bool:
    head, _, tail = name.partition("python3")
    return not head and (not tail or (tail[0] == "." and tail[1:].isdigit()))


def _is_program(path: Path) -> bool:
    try:
        with path.open("rb") as file:
            return is_elf(file.read(_ELF_HEAD)) and os.access(path, os.X_OK)
    except OSError:
        return False


def _folders(process_env: Mapping[str, str]) -> Iterator[Path]:
    yield from (
        Path(folder) for folder in process_env.get("PATH", "").split(":") if folder.startswith("/")
    )
    home = Path(process_env.get("HOME", "/"))
    data = Path(process_env.get("XDG_DATA_HOME") or home / ".local/share")
    pyenv = Path(process_env.get("PYENV_ROOT") or home / ".pyenv")
    uv = Path(process_env.get("UV_PYTHON_INSTALL_DIR") or data / "uv/python")
    for installations in (pyenv / "versions", uv):
        yield from _subfolders(installations, "bin")
    yield from (root / "bin" for root in _conda_roots(process_env, home))
    yield from map(Path, ("/usr/local/bin", "/usr/bin"))


def _conda_roots(process_env: Mapping[str, str], home: Path) -> Iterator[Path]:
    known = [home / name for name in ("miniforge3", "miniconda3", "mambaforge", "anaconda3")]
    known.append(Path("/opt/conda"))
    if process_env.get("CONDA_EXE"):
        known.append(Path(process_env["CONDA_EXE"]).parents[1])
    yield from known
    for root in known:
        yield from _subfolders(root / "envs")
    try:
        listed = (home / ".conda/environments.txt").read_text().split("\n")
    except OSError:
        return
    yield from (Path(line) for line in listed if line.startswith("/"))


def _subfolders(folder: Path, below: str = "") -> Iterable[Path]:
    try:
        return [folder / name / below for name in sorted(os.listdir(folder))]  # noqa: PTH208
    except OSError:
        return []
