"""A group of private dependencies in this process, as the kernel is told about it: a value, checked."""

from __future__ import annotations

import json
import keyword
import os
import re
from dataclasses import dataclass, field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any, Mapping

DISTRIBUTION = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?\Z")


def is_name(name: object) -> bool:
    """Whether a group may have this name: a module's, in lower case as in the notebook's metadata."""
    return (
        isinstance(name, str)
        and re.fullmatch(r"[a-z][a-z0-9_]{0,59}", name) is not None
        and not keyword.iskeyword(name)
    )


def _is_top(name: object) -> bool:
    return isinstance(name, str) and name != "" and "." not in name and name.isprintable()


@dataclass(frozen=True)
class Group:
    """Packages that a notebook has beside its own, and that only those see who name the group.

    Attributes:
        name: As in `nixenv.private.<name>`; an identifier.
        folders: One folder for each private package, as its unpacked wheel has its site-packages.
        owned: Top-level names of the modules in those folders.
        distributions: Version of everything in the group, by normalised name.
        public: Top-level names of the group's that are the notebook's own modules: of equal versions,
            and of what a process can hold only once.
        lent: Top-level names of the group's that are another group's modules, and that group.
        exposed: Top-level names that the notebook imports from the group by their plain names.

    Raises:
        ValueError: A name is none, a folder is not absolute, or `exposed` is not in the group.
    """

    name: str
    folders: tuple[str, ...]
    owned: frozenset[str]
    distributions: Mapping[str, str] = field(hash=False)
    public: frozenset[str] = frozenset()
    lent: Mapping[str, str] = field(default_factory=dict, hash=False)
    exposed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Refuse what could not be a module's name or a folder."""
        for name in (self.name, *self.lent.values()):
            if not is_name(name):
                raise ValueError(f"`{name}` is no name of a private group")
        for name in (*self.owned, *self.public, *self.lent):
            if not _is_top(name):
                raise ValueError(f"`{name}` is no name of a module at the top level")
        for name in sorted(self.exposed - self.owned):
            raise ValueError(f"`{name}` is no module of private group `{self.name}`")
        for folder in self.folders:
            if not os.path.isabs(folder) or "\0" in folder:
                raise ValueError(f"`{folder}` of private group `{self.name}` is no absolute path")
        for name, version in self.distributions.items():
            if not DISTRIBUTION.match(name) or not version.isprintable():
                raise ValueError(
                    f"`{name}` {version!r} is no distribution's normalised name and version"
                )

    def to_json(self) -> dict[str, Any]:
        """What `from_json` reads."""
        return {
            "name": self.name,
            "folders": list(self.folders),
            "owned": sorted(self.owned),
            "distributions": dict(self.distributions),
            "public": sorted(self.public),
            "lent": dict(self.lent),
            "exposed": sorted(self.exposed),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any], root: str = "") -> Group:
        """The group that `to_json` wrote down.

        Args:
            value: Its JSON object; other keys are ignored.
            root: What its folders are relative to.

        Raises:
            ValueError: It is not of that form.
        """
        try:
            return cls(
                value["name"],
                tuple(os.path.join(root, folder) for folder in _texts(value["folders"])),
                frozenset(_texts(value["owned"])),
                _pairs(value["distributions"]),
                frozenset(_texts(value.get("public", []))),
                _pairs(value.get("lent", {})),
                frozenset(_texts(value.get("exposed", []))),
            )
        except (KeyError, TypeError) as error:
            text = json.dumps(value, default=repr)[:200]
            raise ValueError(f"this is no private group: {text}") from error


def _texts(value: object) -> list[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) for one in value):
        raise TypeError(value)
    return value


def _pairs(value: object) -> dict[str, str]:
    if not isinstance(value, dict):
        raise TypeError(value)
    return dict(zip(_texts([*value]), _texts([*value.values()])))
