"""Groups of private dependencies in a spec: `private` (pure)."""

from __future__ import annotations

import keyword
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from nixlib.spec.values import python, text, texts, unknown_key, wrong

IMPORT = "import"
PROCESS = "process"
MODES = (IMPORT, PROCESS)

_LONGEST = 60
_NAME = re.compile(r"[a-z][a-z0-9_]{0,59}")
_PACKAGE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,98}[A-Za-z0-9])?")


@dataclass(frozen=True)
class PrivateGroup:
    """Packages beside the notebook's own, which only those see who name the group.

    Attributes:
        name: As in `nixenv.private.<name>`: a Python identifier in lower case.
        requirements: Its lines, in the author's order; may be empty for a group that is for a package.
        mode: `import` (into the notebook's process) or `process` (one of its own).
        package: The package, by its normalised name, that the notebook imports by its plain name and that has
            the rest of the group to itself; written `for`; empty for a group that is named where it is used.
        singleton: Normalised names of packages of which the group uses the notebook's.
        python: The Python of a process, where it is not the notebook's.
    """

    name: str
    requirements: tuple[str, ...] = ()
    mode: str = IMPORT
    package: str = ""
    singleton: tuple[str, ...] = ()
    python: str | None = None

    @property
    def is_process(self) -> bool:
        """Whether it has a process of its own."""
        return self.mode == PROCESS

    def to_json(self) -> Any:
        """Its value: a list where it has nothing but requirements."""
        said = {
            "for": self.package or None,
            "mode": self.mode if self.mode != IMPORT else None,
            "singleton": list(self.singleton) or None,
            "python": self.python,
        }
        stated = {key: value for key, value in said.items() if value is not None}
        if not stated:
            return list(self.requirements)
        return {
            **({"requirements": list(self.requirements)} if self.requirements else {}),
            **stated,
        }


def is_group_name(name: str) -> bool:
    """Whether a group may have this name, for it is a module's."""
    return bool(_NAME.fullmatch(name)) and not keyword.iskeyword(name)


def group_name(text: str) -> str:
    """A name that a group may have, made of any text.

    Examples:
        >>> group_name("pandas==2.0.3"), group_name("3D-Tools"), group_name("class")
        ('pandas_2_0_3', 'p_3d_tools', 'p_class')
    """
    words = re.sub(r"[^a-z0-9]+", "_", text.lower()).strip("_")
    name = words[:_LONGEST].rstrip("_")
    return name if is_group_name(name) else f"p_{name}"[:_LONGEST].rstrip("_")


def read_groups(key: str, value: object) -> tuple[PrivateGroup, ...]:
    """The groups out of the JSON value of `private`, sorted by name: notebooks are written with sorted keys.

    Raises:
        SpecError: It is none; `key` and `found` say where and what.
    """
    if not isinstance(value, dict):
        raise wrong(key, 'an object such as `{"old": ["pandas==2.0.3"]}`', value)
    groups = tuple(_read_group(key, name, item) for name, item in sorted(value.items()))
    owners: dict[str, str] = {}
    for group in groups:
        other = owners.setdefault(group.package, group.name) if group.package else group.name
        if other != group.name:
            wanted = f"another package than that of `{other}`: the notebook imports one of each"
            raise wrong(f"{key}.{group.name}.for", wanted, group.package)
    return groups


def _read_group(key: str, name: str, value: object) -> PrivateGroup:
    if not is_group_name(name):
        raise wrong(key, "an object whose keys are names of modules such as `old_pandas`", name)
    key = f"{key}.{name}"
    if isinstance(value, list):
        value = {"requirements": value}
    if not isinstance(value, dict):
        raise wrong(key, "a list of requirements, or an object", value)
    for field in value:
        if field not in _READERS:
            raise unknown_key(field, _READERS, within=f"nixenv.{key}")
    said = {
        _FIELDS.get(field, field): read(f"{key}.{field}", value[field])
        for field, read in _READERS.items()
        if field in value
    }
    group = PrivateGroup(name, **said)
    if not group.requirements and not group.package:
        raise wrong(f"{key}.requirements", "a list of at least one requirement", None)
    if group.is_process and (group.package or group.singleton):
        what = "for" if group.package else "singleton"
        raise wrong(
            f"{key}.{what}", "left out where `mode` is `process`: nothing is shared", value[what]
        )
    if group.python and not group.is_process:
        raise wrong(
            f"{key}.mode", "`process` for a group that needs a Python of its own", value.get("mode")
        )
    return group


def _mode(key: str, value: object) -> str:
    if value not in MODES:
        raise wrong(key, " or ".join(f"`{mode}`" for mode in MODES), value)
    return text(key, value)


def _package(key: str, value: object) -> str:
    if not isinstance(value, str) or not _PACKAGE.fullmatch(value):
        raise wrong(key, "the name of a package", value)
    return re.sub(r"[-_.]+", "-", value).lower()


def _packages(key: str, value: object) -> tuple[str, ...]:
    names = texts(key, value)
    return tuple(_package(f"{key}[{number}]", name) for number, name in enumerate(names))


_FIELDS = {"for": "package"}
_READERS: dict[str, Callable[[str, object], Any]] = {
    "requirements": texts,
    "mode": _mode,
    "for": _package,
    "singleton": _packages,
    "python": python,
}
