"""Errors of the Jupyter side; the engine's own are in `nixlib.errors`."""

from __future__ import annotations

from nixlib.errors import NixError


class NixenvError(NixError):
    """Root of what can go wrong between a notebook, its client and the engine."""


class MetadataError(NixenvError, ValueError):
    """A notebook cannot be read or written: fields `notebook`, `key`, `found`."""


class ConflictError(MetadataError):
    """The notebook was changed by somebody else since it was read: field `notebook`."""


class NotebookNotFoundError(NixenvError):
    """Nothing says which notebook this kernel belongs to: field `tried`."""


class EngineError(NixenvError):
    """The engine said what went wrong: fields `type`, `exit_status`."""


def stopped() -> EngineError:
    """What a build that somebody stopped ends with, whoever it was that stopped it."""
    return EngineError(
        "the build was stopped on request", type="RealisationCancelledError", exit_status=130
    )


class RequestError(NixenvError, ValueError):
    """A page asked the server for what it cannot have: field `status`, the HTTP status of the answer."""


class UsageError(NixenvError, ValueError):
    """A command cannot be understood."""
