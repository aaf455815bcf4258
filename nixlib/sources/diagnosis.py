"""From the log of a failed build to the line that adds what it missed (pure).

Compilers, `pkg-config`, CMake and Meson each say in their own words what they did not find. A program or a
header has no one package: `attributes.py` has those that Python packages ask for. For what it does not have,
the name itself is offered, which is right more often than not.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from nixlib.sources.attributes import HEADERS, LIBRARIES, MODULES, PROGRAMS

__all__ = ["HOST_CC", "Diagnosis", "diagnose", "external_inputs"]

HOST_CC: Final = "host#cc"

_COMPILERS: Final = re.compile(
    r"(?:[a-z0-9_]+-(?:[a-z0-9_]+-)+)?(?:gcc|g\+\+|cc|c\+\+|clang|clang\+\+)(?:-\d+)?"
)
_CC_TOOLS: Final = frozenset({"ar", "as", "ld", "make", "ranlib", "sh"})
_PROGRAM: Final = r"'?`?(?P<program>[A-Za-z0-9_+./-]{1,80})'?`?"
_NO_PROGRAM: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"unable to execute {_PROGRAM}: No such file",
        rf"command {_PROGRAM} failed: No such file",
        rf"error: command {_PROGRAM} failed: (?:No such file|None)",
        r"No such file or directory: b?'(?P<program>[A-Za-z0-9_+./-]{1,80})'",
        r"(?:sh: \d+: |sh: line \d+: |bash: )(?P<program>[A-Za-z0-9_+./-]{1,80}): (?:command )?not found",
        r"make: (?P<program>[A-Za-z0-9_+./-]{1,80}): No such file",
        rf"Program {_PROGRAM} not found or not executable",
        r"Program '?(?P<program>[a-z0-9_-]{1,40})[^']*'? found: NO",
        rf"[Cc]ould not find {_PROGRAM} (?:executable|program)",
        r"(?P<program>pg_config|mysql_config|cargo|rustc) (?:executable )?(?:is )?not found",
    )
)
_NO_COMPILER: Final = re.compile(
    r"Unknown compiler\(s\)|No CMAKE_(?:C|CXX)_COMPILER could be found|no acceptable C compiler found"
    r"|C compiler cannot create executables|CMake was unable to find a build program"
)
_NO_RUST: Final = re.compile(
    r"can't find Rust compiler|Rust not found|Rust toolchain.{0,80}(?:not|isn't|missing)|requires Rust"
    r"|Cargo, the Rust package manager, is not installed|linker `cc` not found"
)
_NO_FORTRAN: Final = re.compile(
    r"(?:No CMAKE_Fortran_COMPILER|Fortran compiler.{0,40}not found|Unknown compiler\(s\): \[\['gfortran)"
)
_NO_HEADER: Final = re.compile(
    r"fatal error: '?(?P<header>[A-Za-z0-9_+./-]{1,120})'?(?:: No such file or directory| file not found)"
)
_NO_MODULE: Final = tuple(
    re.compile(pattern)
    for pattern in (
        r"Package '?(?P<module>[A-Za-z0-9_.+-]{1,60})'?,? (?:was not found|not found|required by)",
        r"No package '(?P<module>[A-Za-z0-9_.+-]{1,60})' found",
        r"Dependency \"(?P<module>[A-Za-z0-9_.+-]{1,60})\" not found",
        r"Run-time dependency (?P<module>[A-Za-z0-9_.+-]{1,60}) found: NO",
        r"Trying pkg-config --exists (?P<module>[A-Za-z0-9_.+-]{1,60})",
        r"Could NOT find (?P<module>[A-Za-z0-9_]{1,60}) \(missing",
    )
)
_NO_LIBRARY: Final = re.compile(
    r"(?:cannot find|library not found for) -l(?P<library>[A-Za-z0-9_+-]+)"
)
_NO_IMPORT: Final = re.compile(
    r"(?:ModuleNotFoundError|ImportError): No module named '?(?P<module>[A-Za-z_]\w*)"
)
_NETWORK: Final = re.compile(
    r"Temporary failure in name resolution|Name or service not known|Network is unreachable"
    r"|nodename nor servname|Could not resolve host|failed to lookup address|Max retries exceeded"
)
_EXTERNAL: Final = re.compile(r"dep:(?P<kind>[a-z]+)/(?P<name>[A-Za-z0-9._+/-]+)")
_VIRTUAL: Final = {"c": HOST_CC, "c++": HOST_CC, "cxx": HOST_CC, "cpp": HOST_CC}
_INPUT: Final = re.compile(r"host#cc|nixpkgs#[A-Za-z0-9_][A-Za-z0-9_.-]*")
"""What may be offered: names out of a stranger's log are no attributes yet."""
_TAIL: Final = 400  # lines that are looked at: compilers are wordy after the first error
_MOST: Final = 6


@dataclass(frozen=True)
class Diagnosis:
    """What a failed build missed.

    Attributes:
        found: What the log says, a sentence each.
        inputs: Lines for the key `build-inputs` that add it.
        imports: Python modules that the build imports and does not ask for.
    """

    found: tuple[str, ...] = ()
    inputs: tuple[str, ...] = ()
    imports: tuple[str, ...] = ()


def diagnose(
    log: Sequence[str], external: Iterable[str] = (), given: Iterable[str] = ()
) -> Diagnosis:
    """What `log` says was missing.

    Args:
        log: Lines of the build's output, the last ones.
        external: What the project itself says that it needs of the system (PEP 725).
        given: Lines of `build-inputs` that the build had.

    Examples:
        >>> diagnose(["error: command 'gcc' failed: No such file or directory"]).inputs
        ('host#cc',)
        >>> diagnose(["x.c:1:10: fatal error: openssl/ssl.h: No such file or directory"]).inputs
        ('nixpkgs#openssl',)
    """
    had = set(given)
    found: dict[str, str] = {}
    imports: dict[str, str] = {}
    for line in log[-_TAIL:]:
        for sentence, wanted in _missing(line):
            if wanted not in had and _INPUT.fullmatch(wanted):
                found.setdefault(wanted, sentence)
        module = _NO_IMPORT.search(line)
        if module:
            imports[module["module"]] = f"it imports `{module['module']}` and does not ask for it"
    offline = any(_NETWORK.search(line) for line in log[-_TAIL:])
    sentences = [*found.values(), *imports.values()]
    if offline:
        sentences.append("it wanted to download something: builds have no network")
    inputs = list(found)
    if inputs or not imports:
        # A project that says itself what it needs is believed as soon as anything of it is missing.
        stated = [line for line in external_inputs(external) if line not in (*inputs, *had)]
        sentences += [f"its `pyproject.toml` asks for `{line}` (PEP 725)" for line in stated]
        inputs += stated
    return Diagnosis(tuple(sentences[:_MOST]), tuple(inputs[:_MOST]), tuple(imports))


def external_inputs(external: Iterable[str]) -> tuple[str, ...]:
    """Lines of `build-inputs` for the `dep:` URLs of a project's `[external]`.

    Examples:
        >>> external_inputs(["dep:virtual/compiler/c", "dep:generic/libxml2@>=2.9"])
        ('host#cc', 'nixpkgs#libxml2')
    """
    lines: dict[str, None] = {}
    for url in external:
        match = _EXTERNAL.match(url)
        if match is None:
            continue
        name = match["name"].rpartition("/")[2]
        if match["kind"] == "virtual":
            line = _VIRTUAL.get(name) or (f"nixpkgs#{name}c" if name == "rust" else "")
        else:
            line = f"nixpkgs#{name}" if match["kind"] == "generic" else ""
        if line:
            lines[line] = None
    return tuple(lines)


def _missing(line: str) -> Iterator[tuple[str, str]]:
    """What a line of a log says is missing, and the line of `build-inputs` that adds it."""
    if _NO_FORTRAN.search(line):
        yield "it needs a Fortran compiler", "nixpkgs#gfortran"
    elif _NO_COMPILER.search(line):
        yield "it needs a C compiler", HOST_CC
    elif _NO_RUST.search(line):
        yield "it needs Rust", "nixpkgs#cargo"
        yield "and Rust's compiler", "nixpkgs#rustc"
    for pattern in _NO_PROGRAM:
        match = pattern.search(line)
        if match:
            yield from _of_program(match["program"].rpartition("/")[2])
            break
    header = _NO_HEADER.search(line)
    if header:
        name = header["header"]
        attribute = next((a for start, a in HEADERS.items() if name.startswith(start)), "")
        guess = re.sub(r"\.(h|hpp|hh)$", "", name.partition("/")[0])
        yield f"no header `{name}`", f"nixpkgs#{attribute or guess}"
    for pattern in _NO_MODULE:
        match = pattern.search(line)
        if match:
            name = match["module"]
            known = MODULES.get(name) or MODULES.get(name.lower()) or name
            yield f"no library `{name}`", f"nixpkgs#{known if known != name else name.lower()}"
            break
    library = _NO_LIBRARY.search(line)
    if library:
        name = library["library"]
        yield f"no library `-l{name}` to link with", f"nixpkgs#{LIBRARIES.get(name, name)}"


def _of_program(name: str) -> Iterator[tuple[str, str]]:
    if _COMPILERS.fullmatch(name) or name in _CC_TOOLS:
        yield f"no program `{name}`", HOST_CC
    elif name in PROGRAMS:
        yield f"no program `{name}`", f"nixpkgs#{PROGRAMS[name]}"
        if name == "cargo":
            yield "and Rust's compiler", "nixpkgs#rustc"
