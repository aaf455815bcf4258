"""What a build from source finds beside its Python packages: a compiler, and libraries of nixpkgs.

Nothing of it is found by itself but a compiler's file system (a layer at `/`); the rest is told by the variables
that compilers, `pkg-config` and CMake read. Libraries are found again at run time by the run-path that the
linker is given, never by a variable that other programs would inherit.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from nixlib.storepath import StorePath

__all__ = ["BuildInputs", "build_variables"]

_COMPILERS: Final = ("gcc", "clang", "cc")
_CPP: Final = {"gcc": "g++", "clang": "clang++", "cc": "c++"}


@dataclass(frozen=True)
class BuildInputs:
    """Store objects that a build may use.

    Attributes:
        layers: In the layout of a file system, found at `/`: the compiler, and libraries of the system.
        paths: Outputs of nixpkgs: `bin`, `include`, `lib` of each count.
        has_compiler: Whether one of the layers is a compiler.
    """

    layers: tuple[StorePath, ...] = ()
    paths: tuple[StorePath, ...] = ()
    has_compiler: bool = False


def build_variables(
    inputs: BuildInputs, store_dir: str, physical: Callable[[StorePath], Path]
) -> tuple[tuple[str, ...], Mapping[str, str]]:
    """Folders for PATH, and variables, that make `inputs` known to what builds.

    Args:
        inputs: What may be used.
        store_dir: The logical store directory, which the build sees.
        physical: Where a store object is on this machine, to see what it has.
    """
    places = {folder: _having(inputs.paths, folder, store_dir, physical) for folder in _FOLDERS}
    programs = [physical(path) / "bin" for path in inputs.paths]
    own = (name for name in _COMPILERS if any((place / name).exists() for place in programs))
    compiler = next(own, "gcc" if inputs.has_compiler else "")
    run_paths = [f"-Wl,-rpath,{place}" for place in places["lib"]]
    prefixes = [path.in_dir(store_dir) for path in inputs.paths]
    found = {
        "CC": compiler,
        "CXX": _CPP.get(compiler, ""),
        # Debugging information is two thirds of what a compiler writes, and nobody debugs a wheel.
        "CFLAGS": "-g0" if compiler else "",
        "CXXFLAGS": "-g0" if compiler else "",
        "LDFLAGS": " ".join(run_paths),
        "C_INCLUDE_PATH": ":".join(places["include"]),
        "CPLUS_INCLUDE_PATH": ":".join(places["include"]),
        "LIBRARY_PATH": ":".join(places["lib"]),
        "PKG_CONFIG_PATH": ":".join((*places["lib/pkgconfig"], *places["share/pkgconfig"])),
        "CMAKE_PREFIX_PATH": ":".join(prefixes),
        "ACLOCAL_PATH": ":".join(places["share/aclocal"]),
    }
    return tuple(places["bin"]), {name: value for name, value in found.items() if value}


_FOLDERS: Final = ("bin", "include", "lib", "lib/pkgconfig", "share/pkgconfig", "share/aclocal")


def _having(
    paths: Sequence[StorePath], folder: str, store_dir: str, physical: Callable[[StorePath], Path]
) -> list[str]:
    return [
        f"{path.in_dir(store_dir)}/{folder}" for path in paths if (physical(path) / folder).is_dir()
    ]
