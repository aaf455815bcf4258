"""A refusal of uv, said in the notebook's own terms: which of *its* requirements is at fault (pure).

uv speaks of "your project" and of markers that we generated. The first line here names a requirement of
the notebook; uv's explanation follows as evidence, cleaned of our scaffolding.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from packaging.specifiers import InvalidSpecifier, SpecifierSet
from packaging.utils import canonicalize_name
from packaging.version import Version

from nixlib.errors import NetworkError, NixError, ResolutionError
from nixlib.resolvers.modulenames import module_hint
from nixlib.resolvers.requirements import Wanted, public_line, public_url
from nixlib.resolvers.simple import IndexFile, file_version, parsed_version
from nixlib.resolvers.sources.stubs import readable_version
from nixlib.resolvers.uv import OLDEST_KERNEL, Problem, Refusal
from nixlib.resolvers.wheels import best_wheel, served

__all__ = ["Asker", "evidence", "explain", "is_contradiction", "mentioned", "wheelless"]

_NETWORK = re.compile(
    r"Failed to fetch|error sending request|Request failed after|server error \(5\d\d|operation timed out"
    r"|Could not connect|dns error|invalid peer certificate|Failed to download|tcp connect error"
)
_LOGIN = re.compile(r"An index URL \((\S+)\) (?:could not be queried|returned a 403)[^\n]*")
_NAME = r"[A-Za-z0-9][A-Za-z0-9._-]*"
_BOUND = r"[=<>!~]=?[^\s,]+"
_BOUNDS = rf"(?:{_BOUND},?)*"
_WHEELLESS = rf"({_NAME})({_BOUNDS}) ha(?:s|ve) no (?:usable wheels|wheels for Python|wheels with a matching)"
_UNKNOWN = rf"({_NAME}) was not found in the package registry"
_OTHER_PYTHON = rf"({_NAME})==(\S+) depends on Python(\S+), we can"
_FETCHED = re.compile(r"(?:Failed to fetch|for url|Failed to download)[: (]*`?(https?://[^\s)`]+)")
_EVIDENCE_LINES = 20


@dataclass(frozen=True)
class Asker:
    """Who asked, for messages: the notebook, its requirements, what indexes list, what else brings packages.

    `builds` says of a name whether it might have been built; None where nothing is built.
    """

    notebook: str
    wanted: Sequence[Wanted]
    files: Callable[[str], Sequence[IndexFile]]
    provided: Mapping[str, str] = field(default_factory=dict)
    provided_by: Mapping[str, str] = field(default_factory=dict)
    builds: Callable[[str], bool] | None = None

    def no_source(self, name: str) -> str:
        """Why a name is not built from its source."""
        if self.builds is None:
            return "and nothing is built here"
        if not self.builds(canonicalize_name(name)):
            return "and `providers` asks for a wheel"
        return "which is for other Pythons, or too new"

    @property
    def title(self) -> str:
        """The notebook as a message names it."""
        return f"`{self.notebook}`" if self.notebook else "this notebook"


def explain(refusal: Refusal, asker: Asker, *, is_together: bool = False) -> NixError:
    """The error to raise for a refusal: the registry's fault or a requirement's.

    Args:
        refusal: What uv said.
        asker: Who asked.
        is_together: Whether it is known that each requirement can be met, and not all of them together.
    """
    if _NETWORK.search(refusal.said):
        return _network(refusal)
    said = evidence(refusal)
    names = mentioned(said, (item.name for item in asker.wanted))
    guilty = [item for item in asker.wanted if item.name in names]
    text = "\n".join(said)
    brought = next((pair[0] for pair in asker.provided.items() if _wish(*pair, text)), "")
    if brought:
        return _provided(brought, asker, guilty, said)
    if is_together:
        return _clash(asker, guilty, said)
    return _own_fault(refusal, asker, guilty, said)


def _own_fault(
    refusal: Refusal, asker: Asker, guilty: Sequence[Wanted], said: tuple[str, ...]
) -> NixError:
    """Why nothing of the indexes fits."""
    text = "\n".join(said)
    unknown = re.search(_UNKNOWN, text)
    if unknown:
        return _unknown_name(unknown[1], refusal, asker, guilty, said)
    if OLDEST_KERNEL in text:
        return _old_kernel(asker, guilty, said)
    python = re.search(_OTHER_PYTHON, text)
    if python:
        return _other_python(python, refusal.problem, asker, guilty, said)
    wheelless = _no_wheel(text)
    nothing = wheelless or _no_version(text)
    if nothing is not None and not _has_wheel(nothing, refusal.problem, asker):
        return _no_file(
            nothing, refusal.problem, asker, guilty, said, is_there=wheelless is not None
        )
    return _clash(asker, guilty, said)


def is_contradiction(refusal: Refusal) -> bool:
    """Whether what is asked for is there, for this Python, and it is together that nothing fits."""
    text = "\n".join(evidence(refusal))
    return not (
        _NETWORK.search(refusal.said) or re.search(_UNKNOWN, text) or re.search(_OTHER_PYTHON, text)
    )


def _wish(name: str, version: str, text: str) -> tuple[str, str] | None:
    """Who wants a version of `name` that is not `version`, in uv's words, and which."""
    spelled = re.escape(name).replace(r"\-", "[-_.]")
    wishes: list[tuple[str, str]] = re.findall(
        rf"({_NAME}|this notebook)(?:[=<>]\S+)? depends? on {spelled}({_BOUND}(?:,{_BOUND})*)", text
    )
    return next((wish for wish in wishes if not _admits(wish[1], version)), None)


def _admits(bounds: str, version: str) -> bool:
    try:
        return SpecifierSet(bounds).contains(readable_version(version), prereleases=True)
    except InvalidSpecifier:
        return True


def _provided(
    name: str, asker: Asker, guilty: Sequence[Wanted], said: tuple[str, ...]
) -> ResolutionError:
    """Something else brings a version of `name`, and somebody wants another."""
    reason = f"{asker.provided_by.get(name, 'conda')} brings `{name} {asker.provided[name]}`"
    asked = next((item for item in asker.wanted if item.name == name), None)
    wish = _wish(name, asker.provided[name], "\n".join(said))
    if asked is None and wish is not None:
        asked = guilty[0] if guilty else None
        who = "it" if asked and asked.name == canonicalize_name(wish[0]) else f"`{wish[0]}`"
        reason = f"{who} needs `{name}{wish[1].rstrip(',')}`, and {reason}"
    return ResolutionError(
        f"cannot resolve {asker.title}: {_subject(asked)}: {reason}",
        details=said,
        requirement=asked.text if asked else name,
        notebook=asker.notebook,
        provided=name,
    )


def wheelless(refusal: Refusal) -> set[str]:
    """The normalised names of packages that uv found, but not as a wheel that fits."""
    found = re.findall(rf"Wheels are required for `({_NAME})`", refusal.said)
    found += [name for line in evidence(refusal) for name, _ in re.findall(_WHEELLESS, line)]
    return {canonicalize_name(name) for name in found}


def mentioned(said: Sequence[str], names: Iterable[str]) -> list[str]:
    """Those of `names` (normalised) that uv's explanation speaks of, in its order."""
    text = re.sub(r"[._]", "-", "\n".join(said).lower())
    places = {
        name: re.search(rf"(?<![a-z0-9-]){re.escape(name)}(?![a-z0-9-])", text) for name in names
    }
    found = {name: place.start() for name, place in places.items() if place}
    return sorted(found, key=lambda name: found[name])


def evidence(refusal: Refusal) -> tuple[str, ...]:
    """Uv's explanation without what we put there ourselves."""
    problem = refusal.problem
    lines = [
        line
        for line in refusal.said.splitlines()
        if not line.startswith(("WARN", "warning", "Using"))
    ]
    start = next((number for number, line in enumerate(lines) if line.startswith("error:")), 0)
    text = "\n".join(line for line in lines[start:] if not line.startswith("hint:"))
    marker = (
        rf"python_full_version == '{re.escape(problem.python)}' and [^`)]*?sys_platform == '\w+'"
    )
    text = re.sub(
        rf"`{marker}`-compatible wheels",
        f"wheels for Python {problem.python} on {problem.system}",
        text,
    )
    text = re.sub(rf" for split \(markers: {marker}\)", "", text)
    text = text.replace("Python version (>=3.8)", f"Python version ({problem.python})")
    text = re.sub(r"\{[^{}]*\}", "", text)  # `numpy{python_full_version >= '3.10'}>=1.21`
    text = text.replace("your project's", "this notebook's").replace(
        "your project", "this notebook"
    )
    text = re.sub(r"^error: No solution found when resolving dependencies\n", "", text)
    text = re.sub(r"^( *)cause: ", r"\1", text, flags=re.MULTILINE)
    kept = [public_line(line.strip()) for line in text.splitlines() if line.strip()]
    return tuple(kept[:_EVIDENCE_LINES])


def _network(refusal: Refusal) -> NetworkError:
    found = _FETCHED.search(refusal.said)
    url = public_url(found[1]) if found else ""
    causes = re.findall(r"^\s*cause: (.*)$", refusal.said, re.MULTILINE)
    shown = tuple(
        dict.fromkeys(public_line(line) for line in causes if "Failed to fetch" not in line)
    )
    return NetworkError(
        f"the package index did not answer: `{url}`" if url else "the package index did not answer",
        details=shown or evidence(refusal),
        url=url,
    )


def _unknown_name(
    name: str, refusal: Refusal, asker: Asker, guilty: Sequence[Wanted], said: tuple[str, ...]
) -> ResolutionError | NetworkError:
    own = next((item for item in asker.wanted if item.name == canonicalize_name(name)), None)
    closed = tuple(dict.fromkeys(map(public_url, _LOGIN.findall(refusal.said))))
    if closed:
        return _closed_index(closed, own.text if own else name, asker)
    if own is not None:
        summary = f"cannot resolve {asker.title}: no index has a package `{name}` (requirement {own.number} `{own.text}`)"
        return ResolutionError(
            summary,
            hint=module_hint(name),
            requirement=own.text,
            notebook=asker.notebook,
        )
    asked = guilty[0] if guilty else None
    return ResolutionError(
        f"cannot resolve {asker.title}: {_subject(asked)} needs `{name}`, and no index has it",
        details=said,
        requirement=asked.text if asked else name,
        notebook=asker.notebook,
    )


def _closed_index(urls: tuple[str, ...], wanted: str, asker: Asker) -> NetworkError:
    """Not the fault of the package that happened to be asked for first."""
    others = [f"so does `{url}`" for url in urls[1:]]
    return NetworkError(
        f"cannot resolve {asker.title}: the index `{urls[0]}` wants a valid login",
        details=(*others, f"without one, it does not say whether it has `{wanted}`"),
        hint=f"`machine {urlsplit(urls[0]).hostname} login NAME password PASSWORD` as a line of `~/.netrc`",
        url=urls[0],
        notebook=asker.notebook,
    )


def _old_kernel(asker: Asker, guilty: Sequence[Wanted], said: tuple[str, ...]) -> ResolutionError:
    pins = sorted(guilty, key=lambda item: not item.capped)
    first = pins[0] if pins else None
    return ResolutionError(
        f"cannot resolve {asker.title}: {_subject(first)} asks for a kernel older than `{OLDEST_KERNEL}`,"
        " the oldest that nixenv can start",
        details=said,
        requirement=first.text if first else OLDEST_KERNEL,
        notebook=asker.notebook,
    )


def _other_python(
    found: re.Match[str],
    problem: Problem,
    asker: Asker,
    guilty: Sequence[Wanted],
    said: tuple[str, ...],
) -> ResolutionError:
    own = next((item for item in asker.wanted if item.name == canonicalize_name(found[1])), None)
    asked = own or (guilty[0] if guilty else None)
    return ResolutionError(
        f"cannot resolve {asker.title}: {_subject(asked)}: `{found[1]} {found[2]}` needs Python {found[3]},"
        f" and the notebook has {problem.python}",
        details=said,
        requirement=asked.text if asked else found[1],
        notebook=asker.notebook,
        python=found[3],
    )


def _no_wheel(text: str) -> tuple[str, str] | None:
    found = re.search(_WHEELLESS, text)
    return (found[1], found[2].removeprefix("==")) if found else None


def _has_wheel(found: tuple[str, str], problem: Problem, asker: Asker) -> bool:
    """Whether a version runs here after all: uv speaks so of what a source beside the wheels stands for."""
    name, version = found
    exact = parsed_version(version)
    files = [file.filename for file in asker.files(canonicalize_name(name))]
    names = [file for file in files if exact and file_version(file) == exact]
    minor = ".".join(problem.python.split(".")[:2])
    return best_wheel(names, names, problem.system, minor) is not None


def _no_version(text: str) -> tuple[str, str] | None:
    found = re.search(rf"there (?:is|are) no versions? of ({_NAME})({_BOUNDS})", text)
    return (found[1], found[2].removeprefix("==")) if found else None


def _no_file(
    nothing: tuple[str, str],
    problem: Problem,
    asker: Asker,
    guilty: Sequence[Wanted],
    said: tuple[str, ...],
    *,
    is_there: bool,
) -> ResolutionError:
    """A version that is not there, or not as a wheel that fits."""
    name, version = nothing
    own = next((item for item in asker.wanted if item.name == canonicalize_name(name)), None)
    asked = own or (guilty[0] if guilty else None)
    files = asker.files(canonicalize_name(name))
    exact = parsed_version(version)
    of_version = [file.filename for file in files if exact and file_version(file.filename) == exact]
    newest = _newest_wheelless(own, files, problem) if own and is_there else None
    if own is not None and newest is not None and newest != exact:
        reason = (
            f"no version of `{name}` that is `{own.requirement.specifier}` has a wheel for"
            f" Python {problem.python} on {problem.system}"
        )
        details = [f"`{name} {newest}` {_files_of(name, newest, files, asker)}"]
    elif of_version:
        reason = f"`{name} {version}` has no wheel for Python {problem.python} on {problem.system}"
        details = [f"it {_files_of(name, exact, files, asker)}"]
    else:
        reason = _absence(name, version, problem)
        details = [f"the index has {_versions(files)}"] if files else []
    if own is None:
        details += list(said)
    return ResolutionError(
        f"cannot resolve {asker.title}: {_subject(asked)}: {reason}",
        details=tuple(details) or said,
        hint=module_hint(name),
        requirement=asked.text if asked else name,
        notebook=asker.notebook,
    )


def _newest_wheelless(own: Wanted, files: Sequence[IndexFile], problem: Problem) -> Version | None:
    """The newest version that the requirement's bounds allow, when none that they allow has a wheel here."""
    if not own.requirement.specifier:
        return None
    dated = {file.filename: file_version(file.filename) for file in files}
    versions = {version for version in dated.values() if version}
    allowed = set(own.requirement.specifier.filter(versions))
    names = [name for name, version in dated.items() if version in allowed]
    minor = ".".join(problem.python.split(".")[:2])
    if best_wheel(names, names, problem.system, minor) is not None:
        return None
    return max(allowed, default=None)


def _files_of(name: str, version: Version | None, files: Sequence[IndexFile], asker: Asker) -> str:
    wheels = served(file.filename for file in files if file_version(file.filename) == version)
    return f"has wheels for {wheels}" if wheels else f"has source only, {asker.no_source(name)}"


def _absence(name: str, version: str, problem: Problem) -> str:
    if version:
        return f"there is no version of `{name}` that is `{version}`"
    if problem.exclude_newer:
        return f"there is no version of `{name}` from before {problem.exclude_newer}"
    return f"no version of `{name}` has a wheel for Python {problem.python} on {problem.system}"


def _clash(asker: Asker, guilty: Sequence[Wanted], said: tuple[str, ...]) -> ResolutionError:
    # uv ends its explanation with the requirement that closed the last door; a pin is the likelier
    # culprit than a name without a bound.
    ranked = sorted(guilty, key=lambda item: not item.requirement.specifier)
    first = ranked[0] if ranked else None
    others = [f"requirement {item.number} `{item.text}`" for item in ranked[1:]]
    clash = f" does not fit together with {', '.join(others)}" if others else " cannot be met"
    return ResolutionError(
        f"cannot resolve {asker.title}: {_subject(first)}{clash}",
        details=said,
        requirement=first.text if first else "",
        notebook=asker.notebook,
    )


def _subject(item: Wanted | None) -> str:
    return f"requirement {item.number} `{item.text}`" if item else "the notebook's kernel"


def _versions(files: Sequence[IndexFile]) -> str:
    """The newest few versions that an index lists, for a message."""
    found = sorted({version for file in files if (version := file_version(file.filename))})
    newest = ", ".join(str(version) for version in found[-6:])
    return f"{'… ' if len(found) > 6 else ''}{newest}" if newest else "no version"  # noqa: PLR2004
