"""Virtual packages: what a machine has that no package brings, `__glibc`, `__cuda` and so on.

What the author of a lock had and what this machine has are different things. A lock records the first, with
what its packages need of it; `missing_here` compares that with the second. It runs at every start of a
kernel from conda packages, so it asks the machine directly (0.2 ms; `rattler` takes 70 to load).
"""

from __future__ import annotations

import ctypes
import os
import platform
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from nixlib.errors import LockError
from nixlib.lock.conda import LockedConda
from nixlib.platforms import current_system, host_glibc
from nixlib.variants import VIRTUAL

__all__ = ["Missing", "machine_has", "missing_here", "substitutes", "virtual_packages"]

# What may be expected of a machine that nobody can ask, the same that wheels are chosen for.
_ELSEWHERE = {
    "aarch64-darwin": {"__unix": "0", "__osx": "14.0", "__archspec": "1=m1"},
    "aarch64-linux": {"__unix": "0", "__linux": "5.10", "__glibc": "2.28", "__archspec": "1=aarch64"},
    "x86_64-darwin": {"__unix": "0", "__osx": "14.0", "__archspec": "1=x86_64"},
    "x86_64-linux": {"__unix": "0", "__linux": "5.10", "__glibc": "2.28", "__archspec": "1=x86_64"},
}  # fmt: skip
_OVERRIDES = ("cuda", "glibc", "linux", "osx", "archspec")
"""Variables `CONDA_OVERRIDE_…` that every tool of conda heeds."""
_SAID = re.compile(r"[A-Za-z0-9._+-]{1,60}")
# The levels of the x86-64 psABI: what each has that the one before has not.
_LEVELS = (
    ("x86_64_v2", {"cx16", "lahf_lm", "popcnt", "sse4_1", "sse4_2", "ssse3"}),
    ("x86_64_v3", {"abm", "avx", "avx2", "bmi1", "bmi2", "f16c", "fma", "movbe", "xsave"}),
    ("x86_64_v4", {"avx512bw", "avx512cd", "avx512dq", "avx512f", "avx512vl"}),
)
_LEVEL = re.compile(r"x86_64(?:_v([234]))?")
_CLAUSE = re.compile(
    r"(>=|<=|==|!=|<|>|=|~=)?\s*(\d+(?:\.\d+)*)(?:\.\*|\*|[a-z]\d*|\.\d*[a-z]\d*)?"
)


@dataclass(frozen=True)
class Missing:
    """What a lock's packages need of a machine and this one has not.

    Attributes:
        name: The virtual package, `__cuda`.
        wanted: The match spec that a package asks with, `__cuda >=12`.
        found: The version here; empty where there is none.
        made_for: The version that the lock was made for.
    """

    name: str
    wanted: str
    found: str
    made_for: str


def virtual_packages(
    system: str, overrides: Mapping[str, str | None], here: Mapping[str, str] | None = None
) -> tuple[str, ...]:
    """What to solve for on `system`: `overrides`, else what this machine has, else what may be expected.

    Args:
        system: A Nix system.
        overrides: Out of the spec's variants, by name; None for what is not to be there.
        here: Stands in for what the running machine has.

    Returns:
        `__cuda=12.4`, `__archspec=1=x86_64_v3` and so on, sorted.
    """
    found = dict(_machine(system) if here is None else here) or dict(_ELSEWHERE[system])
    for name, choice in overrides.items():
        found.pop(name, None)
        if choice is not None:
            found[name] = f"1={choice}" if name == "__archspec" else choice
    return tuple(f"{name}={value}" for name, value in sorted(found.items()))


def missing_here(
    conda: LockedConda, system: str, here: Mapping[str, str] | None = None
) -> tuple[Missing, ...]:
    """What the lock's packages need of a machine that this one has not; no file is read for a lock without conda.

    Args:
        conda: The conda half of a lock.
        system: The running system.
        here: Stands in for what the running machine has.
    """
    needs = conda.needs.get(system, ())
    if not needs:
        return ()
    own = _machine(system) if here is None else here
    made_for = dict(item.split("=", 1) for item in conda.virtual.get(system, ()))
    found: dict[str, Missing] = {}
    for need in needs:
        name, _, rule = need.partition(" ")
        value = own.get(name, "")
        if name not in found and not _satisfies(value, rule, made_for.get(name, "")):
            found[name] = Missing(name, need, _shown(value), _shown(made_for.get(name, "")))
    return tuple(found.values())


def substitutes(missing: tuple[Missing, ...]) -> dict[str, str | None]:
    """Variants with which the same spec resolves to what this machine can run; None for "has none of it"."""
    names = {virtual: name for name, virtual in VIRTUAL.items()}
    return {names[item.name]: item.found or None for item in missing if item.name in names}


def machine_has() -> dict[str, str]:
    """The virtual packages of the running machine by name; a build string follows a second `=`."""
    found = {"__unix": "0"}
    if platform.system() == "Darwin":
        found["__osx"] = platform.mac_ver()[0] or "11.0"
    else:
        release = re.match(r"\d+(\.\d+){0,3}", platform.release())
        found["__linux"] = release[0] if release else "0"
        glibc = host_glibc()
        if glibc is not None:
            found["__glibc"] = "{}.{}".format(*glibc)
    found["__archspec"] = f"1={_archspec()}"
    cuda = _cuda()
    if cuda:
        found["__cuda"] = cuda
    for name in _OVERRIDES:
        _override(found, name, os.environ.get(f"CONDA_OVERRIDE_{name.upper()}"))
    return found


def _override(found: dict[str, str], name: str, said: str | None) -> None:
    if said is None:
        return
    found.pop(f"__{name}", None)
    if _SAID.fullmatch(said):  # empty means: has none
        found[f"__{name}"] = f"1={said}" if name == "archspec" else said


def _machine(system: str) -> dict[str, str]:
    try:
        return machine_has() if current_system() == system else {}
    except LockError:
        return {}


def _archspec() -> str:
    machine = platform.machine().lower().replace("amd64", "x86_64")
    if machine == "arm64":
        return "m1"
    if machine != "x86_64":
        return machine
    try:
        text = Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return machine
    flags = set(next((line for line in text.splitlines() if line.startswith("flags")), "").split())
    level = machine
    for name, needed in _LEVELS:
        if not needed <= flags:
            break
        level = name
    return level


def _cuda() -> str:
    """The CUDA version of the driver; empty where there is no such driver."""
    for library in ("libcuda.so.1", "libcuda.so"):
        try:
            ask = ctypes.CDLL(library).cuDriverGetVersion
        except (OSError, AttributeError):
            continue
        version = ctypes.c_int(0)
        if ask(ctypes.byref(version)) == 0 and version.value:
            return f"{version.value // 1000}.{version.value % 1000 // 10}"
    return ""


def _satisfies(value: str, rule: str, made_for: str) -> bool:
    """Whether the version and build `value` satisfy `rule`; one that cannot be read asks for `made_for`."""
    if not value:
        return False
    version, _, build = value.partition("=")
    versions, _, wanted_build = rule.strip().partition(" ")
    if wanted_build and not _fits_build(build, wanted_build.strip()):
        return False
    try:
        return any(
            all(_fits(version, clause) for clause in either.split(","))
            for either in versions.split("|")
        )
    except ValueError:
        return value == made_for


def _fits_build(build: str, wanted: str) -> bool:
    here, asked = _LEVEL.fullmatch(build), _LEVEL.fullmatch(wanted)
    if here and asked:
        return int(here[1] or 1) >= int(asked[1] or 1)
    return re.fullmatch(re.escape(wanted).replace(r"\*", ".*"), build) is not None


def _fits(version: str, clause: str) -> bool:
    if clause.strip() in ("", "*"):
        return True
    found = _CLAUSE.fullmatch(clause.strip())
    if found is None:
        raise ValueError(clause)
    own, asked = _numbers(version), _numbers(found[2])
    operator, is_prefix = found[1] or "==", "*" in clause
    if operator in ("=", "==", "!=") and (is_prefix or operator == "="):
        return (own[: len(asked)] == asked) is (operator != "!=")
    if operator == "~=":
        return own >= asked and own[: len(asked) - 1] == asked[:-1]
    return _COMPARED[operator](_padded(own, asked), _padded(asked, own))


_COMPARED: dict[str, Callable[[tuple[int, ...], tuple[int, ...]], bool]] = {
    ">=": lambda own, asked: own >= asked,
    "<=": lambda own, asked: own <= asked,
    ">": lambda own, asked: own > asked,
    "<": lambda own, asked: own < asked,
    "==": lambda own, asked: own == asked,
    "!=": lambda own, asked: own != asked,
}


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", text))


def _padded(one: tuple[int, ...], other: tuple[int, ...]) -> tuple[int, ...]:
    return one + (0,) * (len(other) - len(one))


def _shown(value: str) -> str:
    """The version, or the build string where that is what tells."""
    return value.rpartition("=")[2]
