"""Every error that the engine raises on purpose; anything else that escapes is a bug.

The first line says what could not be done and to which thing. Evidence follows, indented; then, where
one command is sure to help, a hint. `render` is the only place that puts them together.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from typing_extensions import Self


class NixError(Exception):
    """Root of the family: something could not be done, for a reason that the user can read.

    Args:
        summary: What could not be done, to which thing; one line, lower case, no full stop.
        details: Evidence: who asked, what was found, every place that was looked at.
        hint: One command or line that is sure to help, or nothing.
        **fields: Facts about this error, readable as attributes by whoever catches it.
    """

    def __init__(
        self, summary: str, *, details: tuple[str, ...] = (), hint: str = "", **fields: Any
    ) -> None:
        super().__init__(summary)
        self.summary = summary
        self.details = tuple(details)
        self.hint = hint
        self.fields = fields

    def __getattr__(self, name: str) -> Any:
        # Only reached when ordinary lookup failed, so a field never shadows a method.
        try:
            return self.__dict__["fields"][name]
        except KeyError:
            raise AttributeError(name) from None

    def __reduce__(self) -> tuple[Any, ...]:
        return _rebuild, (type(self), self.summary, self.details, self.hint, self.fields)

    def within(self, whole: str) -> Self:
        """The same error, said of one thing of several that were asked for: `whole` begins its first line."""
        summary = f"{whole}: {self.summary}"
        return type(self)(summary, details=self.details, hint=self.hint, **self.fields)

    def render(self) -> str:
        """The whole message as a user sees it, without colour."""
        lines = [
            self.summary,
            *(f"  {line}" for detail in self.details for line in detail.splitlines()),
        ]
        if self.hint:
            lines += ["", f"hint: {self.hint}"]
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


def _rebuild(
    kind: type[NixError], summary: str, details: tuple[str, ...], hint: str, fields: dict[str, Any]
) -> NixError:
    return kind(summary, details=details, hint=hint, **fields)


class SettingError(NixError, ValueError):
    """A setting is not of the form that it must have: fields `key`, `found`. Its user or administrator mends it."""


class SpecError(NixError, ValueError):
    """The spec in the metadata is not one: fields `key`, `found`. The notebook's author mends it."""


class RequirementError(SpecError):
    """One requirement line cannot be read: fields `requirement`, `key`."""


class LockError(NixError, ValueError):
    """The lock in the metadata is damaged: fields `key`, `found`. `%nixenv lock` makes a new one."""


class LockStaleError(LockError):
    """The requirements have changed since the lock was made."""


class LockVersionError(LockError):
    """The lock or the spec is of a format newer than this nixenv."""


class ResolutionError(NixError):
    """No set of packages fits: fields `requirement`, `notebook`. The author changes a requirement."""


class PrivateGroupError(NixError):
    """A group of private dependencies cannot be what it asks for: fields `group`, `packages`, `reasons`.

    `reasons` has one sentence for each thing that stands in the way.
    """


class PlanError(NixError):
    """The lock has nothing for this machine: fields `package`, `system`."""


class InterpreterError(NixError):
    """The Python that is asked for cannot be had here: fields `wanted`, `found`."""


class WheelError(NixError):
    """A wheel breaks the wheel specification: fields `wheel`, `member`. Its publisher mends it."""


class SourceError(NixError):
    """A source of a package cannot be opened, or is none: fields `source`, `member`."""


class CondaArchiveError(NixError):
    """A conda archive is damaged, or cannot be laid out: fields `archive`, `member`. Its channel mends it."""


class CollisionError(NixError):
    """Two packages bring the same path with different bytes: fields `path`, `packages`."""


class NetworkError(NixError):
    """A registry, mirror or cache did not answer as it should: field `url`."""


class HashMismatchError(NixError):
    """Bytes are not those that the lock names: fields `url`, `expected`, `actual` (SRI)."""


class StoreError(NixError):
    """The Nix store could not do what it was asked."""


class InvalidStorePathError(StoreError, ValueError):
    """A text is not a store path: field `text`."""


class DaemonUnavailableError(StoreError):
    """There is no Nix to talk to, or it went away: field `tried`."""


class DaemonRefusedError(StoreError):
    """Nix is there and does not let this user in: fields `user`, `setting`."""


class ProtocolError(StoreError):
    """The daemon said something that its protocol does not allow: fields `operation`, `version`."""


class NarError(StoreError, ValueError):
    """A NAR is malformed: field `offset`."""


class BuildError(StoreError):
    """A builder failed: fields `reason`, `status`, `drv_path`, `log_tail`, `log_file`.

    `reason` is `failed`, `silent` or `too-long`; `status` is the builder's exit status or None.
    """


class SourceBuildError(BuildError):
    """A package could not be built from its source: fields of `BuildError`, `package`, `missing`.

    `missing` holds lines for the key `build-inputs` that are likely to mend it.
    """


class SandboxError(StoreError):
    """Nothing isolates builds here, so nothing of others is built: fields `seen`, `setting`."""


class EvaluationError(NixError):
    """An attribute of nixpkgs gives no package: fields `attribute`, `source`, `revision`, `system`."""


class NativeLibraryError(NixError):
    """A native library cannot be loaded by the notebook's Python: fields `library`, `path`, `package`."""


class SubstituteError(StoreError):
    """A cache's answer does not prove what it should: fields `path`, `url`."""


class RealisationCancelledError(NixError):
    """The user stopped it; not a failure."""
