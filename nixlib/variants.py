"""Variants: one word of the spec for a choice that every source understands (pure).

`{"blas": "mkl", "cuda": "12.4"}` becomes what each ecosystem decides by: for conda the virtual packages
that are there, what the mutex package of the choice may be, and which builds of a package fit; for PyPI
the index that has such wheels. A variant that no ecosystem knows specially is still the name of conda's mutex
package (`{"mpi": "mpich"}`) and a word in build strings, so a new choice needs nothing here.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Mapping

__all__ = [
    "NONE",
    "TORCH_PACKAGES",
    "VIRTUAL",
    "build_choice",
    "conda_constraints",
    "recorded",
    "torch_backend",
    "virtual_overrides",
]

Variants = Mapping[str, "str | None"]

NONE = "none"
"""How a lock records that a machine has none of a variant."""

VIRTUAL = {
    "archspec": "__archspec",
    "cuda": "__cuda",
    "glibc": "__glibc",
    "linux": "__linux",
    "osx": "__osx",
}
"""Variants that say what a machine has; the others say what its owner likes."""

# The BLAS of conda-forge is chosen by the build of `libblas` and its siblings, that of other channels by
# the build of `blas`. A name that a channel has not is no constraint at all.
_MUTEXES = {"blas": ("blas", "libblas", "libcblas", "liblapack", "liblapacke")}
_CUDA = ("cuda-version", "cudatoolkit")
_TORCH = (92, 100, 101, 102, 110, 111, 113, 115, 116, 117, 118, 121, 124, 126, 128, 129, 130)
"""CUDA versions for which PyTorch has an index of wheels, which uv's `--torch-backend` names `cu124`."""
TORCH_PACKAGES = frozenset({"pytorch-triton", "torch", "torchaudio", "torchtext", "torchvision"})
"""What is to come from there; the index has copies of other projects too, old ones."""
_OTHER_CUDA = re.compile(r"(.*[_.+])?cu(da)?_?\d")
_DOTTED = re.compile(r"(\d{1,3})(?:\.(\d{1,3}))?(?:\.\d+)*")


def virtual_overrides(variants: Variants, system: str) -> dict[str, str | None]:
    """The virtual packages that `variants` decide on `system`, by name; None for one that is not to be there."""
    foreign = {"osx"} if system.endswith("-linux") else {"cuda", "glibc", "linux"}
    return {
        VIRTUAL[name]: choice
        for name, choice in variants.items()
        if name in VIRTUAL and name not in foreign
    }


def conda_constraints(variants: Variants, system: str) -> tuple[str, ...]:
    """Match specs that hold for the packages they name, wherever one of those is chosen.

    Examples:
        >>> conda_constraints({"cuda": "12.4"}, "x86_64-linux")
        ('cuda-version >=12,<=12.4', 'cudatoolkit >=12,<=12.4')
        >>> conda_constraints({"mpi": None}, "x86_64-linux")
        ('mpi <0',)
    """
    found: list[str] = []
    for name, choice in sorted(variants.items()):
        if name == "cuda":
            bounds = _cuda_bounds(choice) if system.endswith("-linux") else "<0"
            found += [f"{package} {bounds}" for package in _CUDA]
        elif name not in VIRTUAL:
            for package in _MUTEXES.get(name, (name,)):
                rule = f"[build='{_word(choice)}']" if choice else " <0"
                found.append(f"{package}{rule}")
    return tuple(found)


def build_choice(variants: Variants, builds: Collection[str]) -> str | None:
    """The pattern that those of a package's `builds` match which the variants choose; None for any.

    A package is only held to a word that some of its builds have and others have not; and to its CUDA, where all
    its builds are for others: then none of them fits, and an older version may.

    Examples:
        >>> re.search(build_choice({"blas": "mkl"}, ["mkl_py311_0", "openblas_py311_0"]), "mkl_py311_0")[0]
        'mkl_py311_0'
        >>> build_choice({"blas": "mkl"}, ["py311_0", "py312_0"])
    """
    patterns = []
    for name, choice in sorted(variants.items()):
        if name != "cuda" and name in VIRTUAL:
            continue
        for pattern in _words(name, choice):
            fitting = [build for build in builds if re.search(pattern, build)]
            if fitting or (name == "cuda" and choice and any(map(_OTHER_CUDA.match, builds))):
                if len(fitting) < len(builds):
                    patterns.append(pattern)
                    builds = fitting
                break
    return patterns[-1] if len(patterns) == 1 else _all_of(patterns, builds)


def _all_of(patterns: list[str], builds: Collection[str]) -> str | None:
    """One pattern where several variants speak: the grammar of match specs has no `and`."""
    if not patterns:
        return None
    return f"^({'|'.join(sorted(re.escape(build) for build in set(builds)))})$"


def _words(name: str, choice: str | None) -> Iterable[str]:
    """Patterns for builds of a choice, the most telling one first."""
    if name == "cuda":
        if choice is None:
            return (_word("cpu"),)
        found = _DOTTED.fullmatch(choice)
        if found is None:
            return (_word(choice),)
        older = "|".join(map(str, range(int(found[2]), -1, -1))) if found[2] else r"\d+"
        exact = rf"^(.*[_.+])?cu(da)?_?{found[1]}(\.?({older})(\.\d+)*)?([^0-9.].*)?$"
        return (exact, r"^(.*[_.+])?(cuda|gpu)([_.+].*|py.*)?$")
    return (_word(choice),) if choice else (_word(f"no{name}"), _word(f"no_{name}"))


def _word(word: str) -> str:
    """`word` as a part of a build string: `mkl` in `mkl_py311_0`, in `20_linux64_mkl` and in `mklpy36_1`."""
    return rf"^(.*[_.+0-9])?{re.escape(word)}([_.+0-9].*|py.*)?$"


def _cuda_bounds(choice: str | None) -> str:
    # A package made for 12.0 works with any later 12, so the newest that the driver serves is right.
    found = _DOTTED.fullmatch(choice or "")
    if found is None:
        return "<0"
    return f">={found[1]},<={found[1]}.{found[2]}" if found[2] else f"{found[1]}.*"


def torch_backend(variants: Variants) -> str | None:
    """Uv's name for the wheels of PyTorch and its like that fit; None where the variants do not say.

    Examples:
        >>> torch_backend({"cuda": "12.5"}), torch_backend({"cuda": None}), torch_backend({})
        ('cu124', 'cpu', None)
    """
    if "cuda" not in variants:
        return None
    found = _DOTTED.fullmatch(variants["cuda"] or "")
    if found is None:
        return "cpu"
    asked = int(found[1]) * 10 + min(int(found[2] or 9), 9)
    # Within a major version an older runtime works on a newer driver, and not the other way round.
    served = [number for number in _TORCH if number <= asked and number // 10 == int(found[1])]
    return f"cu{max(served)}" if served else "cpu"


def recorded(choices: Variants) -> dict[str, str]:
    """Variants as a lock records that they are not the spec's.

    Examples:
        >>> recorded({"cuda": None, "glibc": "2.31"})
        {'cuda': 'none', 'glibc': '2.31'}
    """
    return {name: choice or NONE for name, choice in sorted(choices.items())}
