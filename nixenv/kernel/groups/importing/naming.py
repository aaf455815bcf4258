"""The name of a private module: what Python finds it under, and what its own package calls it.

`__name__` of a private pandas is `nixenv.private.old.pandas`, so that everything that looks modules up
finds the right one. Packages also take their own names apart: matplotlib asks whether a method's
`__module__` starts with `matplotlib.`, others get their version by `__name__.split(".")[0]`. These
questions are answered as if the package were installed alone.
"""

from __future__ import annotations

import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


class PrivateName(str):
    """A module's full name; compared and taken apart, it is the name inside its group, too.

    Attributes:
        own: The name inside the group.
    """

    __slots__ = ("own",)
    own: str

    def __new__(cls, full: str, own: str) -> PrivateName:  # noqa: PYI034 - typing.Self is of 3.11
        """The name `full`, of which the end is `own`."""
        name = super().__new__(cls, full)
        name.own = own
        return name

    __hash__ = str.__hash__

    def __eq__(self, other: object) -> bool:
        return str.__eq__(self, other) is True or self.own == other

    def __ne__(self, other: object) -> bool:
        return not self == other

    def startswith(self, *arguments: Any) -> bool:
        """As `str.startswith`, of either name."""
        return str.startswith(self, *arguments) or self.own.startswith(*arguments)

    def split(self, *arguments: Any, **options: Any) -> list[str]:
        """As `str.split`, of the name inside the group."""
        return self.own.split(*arguments, **options)

    def partition(self, separator: str) -> tuple[str, str, str]:
        """As `str.partition`, of the name inside the group."""
        return self.own.partition(separator)

    def __format__(self, how: str) -> str:
        """The name inside the group for code of that group, which fontTools makes keys of; else the full one."""
        asking = sys._getframe(1).f_globals.get("__name__")  # noqa: SLF001
        group = str.__getitem__(self, slice(len(self) - len(self.own)))
        is_own = isinstance(asking, PrivateName) and str.startswith(asking, group)
        return format(self.own if is_own else str.__getitem__(self, slice(None)), how)

    def __reduce__(self) -> tuple[type[str], tuple[str]]:
        # In a pickle it is an ordinary text.
        return str, (str.__getitem__(self, slice(None)),)
