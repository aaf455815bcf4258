"""What has a group's modules: the one thing that the registry and cells know of a group."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import ast
    from importlib.machinery import ModuleSpec
    from typing import Sequence


class Holder(Protocol):
    """A group in this kernel."""

    @property
    def name(self) -> str:
        """As in `nixenv.private.<name>`."""

    def admit(self) -> None:
        """Check that the group can be used from this process; called until it succeeds once.

        Raises:
            RefusedError: It cannot, with every reason at once; nothing of the group has run.
        """

    def find_spec(self, rest: str, path: Sequence[str] | None) -> ModuleSpec | None:
        """The spec of `nixenv.private.<name>.<rest>`, of `nixenv.private.<name>` for an empty `rest`."""

    def rewritten(self, cell: ast.Module, source: str) -> ast.Module:
        """What runs in the place of a `%%private` cell: the same, or a changed tree."""

    def describes_same(self, other: object) -> bool:
        """Whether declaring `other` in the place of this one would change nothing."""

    def leave(self) -> None:
        """The group is withdrawn, or the kernel ends."""
