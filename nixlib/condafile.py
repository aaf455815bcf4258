"""An `environment.yml` as a spec (pure): hand-written ones, and those that `conda env export` writes.

Every line of `dependencies` becomes a conda match spec, whatever its form: there `numpy` is conda's, while
in a notebook's list a bare name is PyPI's. What a spec has no words for is named in `notes`, never dropped
in silence.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nixlib.errors import RequirementError, SpecError
from nixlib.requirements import CondaRequirement, parse_line
from nixlib.requirements.conda import parse_conda
from nixlib.requirements.form import split_line
from nixlib.requirements.refusal import Place, public_url
from nixlib.spec import Spec, parse_spec

__all__ = ["ImportedFile", "parse_condafile"]

_LONGEST = 1 << 20  # characters; an exported file of 500 packages has some 30,000
_MOST_NODES = 100_000
_LONGEST_NUMBER = 1000
_PRIORITIES = {"strict": "strict", "flexible": "flexible", "true": "flexible", "disabled": None}
_IGNORED = ("prefix",)
"""Keys that are about the machine where the file was written."""

_SELECTED = re.compile(
    r"^\s*-\s+(?P<line>[^#\n]*?)\s+#\s*\[(?P<selector>[^\]]{1,60})\]\s*$", re.MULTILINE
)
_SELECTION = re.compile(r"sel\((?P<selector>[a-z0-9_-]{1,20})\)")
_NOWHERE = re.compile(r"win(dows)?(32|64|-64|-32)?|win-64|win-32|win-arm64")
"""Selectors for systems that no lock is for."""

_KINDS = {
    "linux": re.compile(r"linux(-?(32|64|aarch64|ppc64le))?"),
    "darwin": re.compile(r"osx(-?(64|arm64))?"),
}
"""Selectors for one kind of system, by the end of what Nix calls it."""

_EVERYWHERE = {"unix"}
_SYSTEMS = {
    "linux-64": "x86_64-linux",
    "linux-aarch64": "aarch64-linux",
    "osx-64": "x86_64-darwin",
    "osx-arm64": "aarch64-darwin",
}
_INDEX_OPTION = re.compile(r"(?:-i|--index-url|--extra-index-url)(?:\s+|=)(?P<url>\S+)")
_PYTHON = re.compile(r"3(\.\d{1,3}){1,2}")


@dataclass(frozen=True)
class ImportedFile:
    """What a file asks for.

    Attributes:
        spec: The same as a spec.
        name: Of the environment, as the file says; empty where it does not.
        notes: What the file says that a spec cannot, a sentence each.
    """

    spec: Spec
    name: str = ""
    notes: tuple[str, ...] = ()


@dataclass
class _Found:
    """What is gathered while a file is read, for `system` where that is said."""

    system: str = ""
    requirements: dict[str, None] = field(default_factory=dict)
    indexes: dict[str, None] = field(default_factory=dict)
    python: str | None = None
    interpreter: str | None = None
    notes: dict[str, None] = field(default_factory=dict)
    refused: list[RequirementError] = field(default_factory=list)

    def note(self, sentence: str) -> None:
        self.notes[sentence] = None


def parse_condafile(
    text: str, *, filename: str = "environment.yml", system: str = ""
) -> ImportedFile:
    """The spec that `text` is.

    Args:
        text: The file's content.
        filename: For messages.
        system: The Nix system that must get the packages; lines that are only for another kind are left
            out. Empty to ask for all of them.

    Raises:
        SpecError: It is no such file, or says what no spec can say; every line that cannot be read is named.

    Examples:
        >>> parse_condafile("dependencies: [python=3.11, numpy, {pip: [six]}]").spec.requirements
        ('numpy *', 'six')
    """
    content = _load(text, filename)
    found = _Found(system=system)
    selected = {m["line"].strip("\"'"): m["selector"] for m in _SELECTED.finditer(text)}
    for item in _list("dependencies", content.get("dependencies"), filename):
        _read_item(item, selected, found, filename)
    if found.refused:
        raise SpecError(
            f"`{filename}` has {_counted(len(found.refused))} that cannot be read",
            details=tuple(
                line
                for error in found.refused
                for line in (error.summary, *([f"  hint: {error.hint}"] if error.hint else []))
            ),
            key="dependencies",
            found=found.refused[0].fields.get("found", ""),
        )
    channels = _channels(content, filename)
    spec = parse_spec(
        {
            "version": 1,
            "requirements": list(found.requirements),
            "channels": list(channels),
            "channel-priority": _priority(content, channels, found),
            "indexes": list(found.indexes),
            **({"python": found.python} if found.python else {}),
            **({"interpreter": found.interpreter} if found.interpreter else {}),
            **_systems(content, found, filename),
        }
    )
    for key in content:
        if key not in _KNOWN and key not in _IGNORED:
            found.note(
                f"`{str(key)[:60]}` is left out: a notebook's environment has nothing like it"
            )
    name = content.get("name")
    return ImportedFile(spec, name if isinstance(name, str) else "", tuple(found.notes))


_KNOWN = ("name", "channels", "dependencies", "channel_priority", "channel-priority", "platforms")


def _load(text: str, filename: str) -> Mapping[str, Any]:
    import yaml  # noqa: PLC0415 - 0.03 s, and only this verb reads YAML

    if len(text) > _LONGEST:
        raise _no_file(filename, "it is larger than 1 MB")
    if text.lstrip().startswith("@EXPLICIT") or re.search(r"^@EXPLICIT\s*$", text, re.MULTILINE):
        raise _no_file(filename, "it is a list of URLs (`@EXPLICIT`)")
    if "{{" in text or "{%" in text:
        raise _no_file(filename, "it is a template (`{{ … }}`), which has to be filled in first")
    try:
        is_bomb = _spread(yaml.compose(text, Loader=yaml.SafeLoader), {}) > _MOST_NODES
        content = None if is_bomb else yaml.safe_load(text)
    except (yaml.YAMLError, RecursionError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise _no_file(filename, f"it is no YAML: {reason}") from error
    if is_bomb:
        raise _no_file(filename, "its aliases or a number stand for more than it can have")
    if not isinstance(content, dict) or "dependencies" not in content:
        raise _no_file(filename, "it has no `dependencies`")
    return content


def _spread(node: Any, known: dict[int, int]) -> int:
    """How many nodes `node` is with each alias written out: nine lines can be 10**9.

    Counted before anything is made of them, since merging (`<<`) writes them out. A node within itself
    is more than any number.
    """
    if id(node) in known:
        return known[id(node)]
    known[id(node)] = _MOST_NODES + 1
    value = getattr(node, "value", "")
    if isinstance(value, str):
        # Python does not print an integer of thousands of digits.
        is_number = getattr(node, "tag", "").endswith(":int")
        known[id(node)] = _MOST_NODES + 1 if is_number and len(value) > _LONGEST_NUMBER else 1
    else:
        parts = (p for child in value for p in (child if isinstance(child, tuple) else (child,)))
        known[id(node)] = 1 + sum(_spread(part, known) for part in parts)
    return known[id(node)]


def _no_file(filename: str, reason: str) -> SpecError:
    return SpecError(
        f"`{filename}` is not an `environment.yml`: {reason}",
        hint="`conda env export --from-history` writes one",
        key=filename,
        found=reason,
    )


def _counted(count: int) -> str:
    return "a line" if count == 1 else f"{count} lines"


def _list(key: str, value: object, filename: str) -> Sequence[Any]:
    if value is None:
        return ()
    if not isinstance(value, list):
        raise SpecError(f"`{key}` in `{filename}` must be a list", key=key, found=str(value)[:60])
    return value


def _read_item(item: object, selected: Mapping[str, str], found: _Found, filename: str) -> None:
    """One entry of `dependencies`: a line, the section of pip, or a line of some platforms."""
    if isinstance(item, str):
        if _is_kept(item, selected.get(item.strip(), ""), found):
            _read_line(item, found)
        return
    if not isinstance(item, dict):
        shown = str(item)[:60]
        raise SpecError(
            f"`dependencies` in `{filename}` has `{shown}`, which is no text",
            hint=f'`"{shown}"`, in quotes',
            key="dependencies",
            found=shown,
        )
    for key, value in item.items():
        if key == "pip":
            for line in _list("pip", value, filename):
                _read_pip(str(line), found)
        elif selection := _SELECTION.fullmatch(str(key)):
            for line in [value] if isinstance(value, str) else _list(str(key), value, filename):
                if _is_kept(str(line), selection["selector"], found):
                    _read_line(str(line), found)
        else:
            found.note(f"the section `{str(key)[:60]}` of the dependencies is left out")


def _is_kept(line: str, selector: str, found: _Found) -> bool:
    """Whether a line stays that has a selector; a spec has one list for all systems."""
    if not selector or selector in _EVERYWHERE:
        return True
    if _NOWHERE.fullmatch(selector.strip()):
        found.note(f"`{line.strip()[:80]}` is left out: it is for `{selector}`")
        return False
    kinds = [kind for kind, words in _KINDS.items() if words.fullmatch(selector.strip())]
    if kinds and found.system and not found.system.endswith(f"-{kinds[0]}"):
        found.note(
            f"`{line.strip()[:80]}` is left out: it is for `{selector}`, and this machine is another"
        )
        return False
    found.note(f"`{line.strip()[:80]}` is asked for everywhere, not only on `{selector}`")
    return True


def _read_line(line: str, found: _Found) -> None:
    place = Place(line)
    try:
        requirement = parse_conda(split_line(place.checked_text()), place)
    except RequirementError as error:
        found.refused.append(error)
        return
    if requirement.name == "python":
        found.interpreter = "conda"
        if python := _python(requirement):
            found.python = python
            return
        if requirement == CondaRequirement("python"):
            return
    found.requirements[_as_line(requirement)] = None


def _python(requirement: CondaRequirement) -> str | None:
    """What the spec's `python` would be; None where only a match spec can say it."""
    if requirement != CondaRequirement("python", requirement.version):
        return None
    version = (requirement.version or "").removesuffix(".*").removeprefix("==")
    return version if _PYTHON.fullmatch(version) else None


def _as_line(requirement: CondaRequirement) -> str:
    """The line that is read as conda's: a bare name would be PyPI's."""
    text = str(requirement)
    return text if parse_line(text).kind == "conda" else str(replace(requirement, version="*"))


def _read_pip(line: str, found: _Found) -> None:
    """One entry of the section of pip."""
    text = re.sub(r"(^|\s)#.*", "", line).strip()
    if not text:
        return
    if option := _INDEX_OPTION.fullmatch(text):
        found.indexes[public_url(option["url"])] = None
        if public_url(option["url"]) != option["url"]:
            found.note(
                "the credentials in the address of an index are left out: they stay with you"
            )
        return
    if text.startswith("-") and not re.match(r"(-e|--editable)(\s|=)", text):
        found.note(f"`{text[:80]}` is left out: it is an option of pip")
        return
    try:
        found.requirements[str(parse_line(text))] = None
    except RequirementError as error:
        found.refused.append(error)


def _channels(content: Mapping[str, Any], filename: str) -> tuple[str, ...]:
    channels = _list("channels", content.get("channels"), filename)
    if not_text := [channel for channel in channels if not isinstance(channel, str)]:
        raise SpecError(
            f"`channels` in `{filename}` has `{str(not_text[0])[:60]}`, which is no text",
            key="channels",
            found=str(not_text[0])[:60],
        )
    # `nodefaults` is a word against a default that we have not.
    return tuple(dict.fromkeys(channel for channel in channels if channel != "nodefaults"))


def _priority(content: Mapping[str, Any], channels: Sequence[str], found: _Found) -> str:
    """As the file says, and where it does not, conda's own: `flexible`."""
    said = content.get("channel_priority", content.get("channel-priority"))
    if said is None:
        return "flexible" if len(channels) > 1 else "strict"
    priority = _PRIORITIES.get(str(said).lower(), "")
    if not priority:
        found.note(f"the channel priority `{str(said)[:40]}` is read as `flexible`")
    return priority or "flexible"


def _systems(content: Mapping[str, Any], found: _Found, filename: str) -> dict[str, list[str]]:
    """The spec's systems, where the file names platforms (conda-lock's files do)."""
    platforms = [str(one) for one in _list("platforms", content.get("platforms"), filename)]
    for platform in platforms:
        if platform not in _SYSTEMS:
            found.note(f"the platform `{platform[:40]}` is left out: no lock is for it")
    known = [_SYSTEMS[platform] for platform in platforms if platform in _SYSTEMS]
    return {"systems": known} if known else {}
