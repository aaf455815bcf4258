"""Which directories of a package cannot be links, because libraries in them look for their neighbours (pure).

glibc expands `$ORIGIN` to the directory by which a library was opened, links kept as they are (`ld.so(8)`;
tried). The kernel then resolves `..` physically: from a directory that is a link into the store, a path
such as `$ORIGIN/../../nvidia/cublas/lib` stays inside this package's own store object and finds nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping

_ORIGINS = ("$ORIGIN", "${ORIGIN}")


def real_directories(
    run_paths: Mapping[str, Collection[str]], directories: Collection[str]
) -> tuple[str, ...]:
    """Directories that an environment must have as real ones, with links to files inside.

    Args:
        run_paths: The run-path entries of the ELF files in each directory of the package.
        directories: Every directory of the package, `""` for its root.

    Returns:
        Those with an ELF whose run-path leads out of the package, and those whose run-path leads into
        one of these: it must be reached by its real path too. Sorted; their parents are implied.
    """
    targets = {
        directory: frozenset(_expand(directory, entries))
        for directory, entries in run_paths.items()
    }
    real = {directory for directory, found in targets.items() if found - set(directories)}
    while more := {d for d, found in targets.items() if d not in real and (found - {d}) & real}:
        real |= more
    return tuple(sorted(real))


def _expand(directory: str, entries: Collection[str]) -> Iterator[str]:
    for entry in entries:
        for origin in _ORIGINS:
            if entry == origin or entry.startswith(f"{origin}/"):
                yield _join(directory, entry[len(origin) + 1 :])


def _join(directory: str, relative: str) -> str:
    """A path without `..`, kept below the package's root as far as it is; out of it is `..`."""
    parts = directory.split("/")
    for part in relative.split("/"):
        if part == "..":
            if not parts:
                return ".."
            parts.pop()
        elif part not in ("", "."):
            parts.append(part)
    return "/".join(parts)
