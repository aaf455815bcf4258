"""Where the files of a lock really are, and who we are there.

A lock names a file by a URL that everybody may see. Mirrors, tokens in a path, logins, the query that an
index signs its links with, and the folder that a relative channel begins at, belong to one user on one
machine; they are found anew each time, and no message spells one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from nixlib.errors import NixError
from nixlib.lock import Artifact
from nixlib.plan import Leaf

if TYPE_CHECKING:
    from nixlib.cancel import Cancel
    from nixlib.network.httpclient import Auth
    from nixlib.resolvers.conda.access import ChannelAccess
    from nixlib.settings import Settings

__all__ = ["Origins", "without_place"]


@dataclass(frozen=True)
class Origins:
    """The origins of one realisation's files.

    Attributes:
        settings: Where indexes and mirrors are.
        folder: The notebook's, at which relative channels begin.
        cancel: Stops what asks an index.
        auth: Credentials in the place of the user's own settings.
    """

    settings: Settings
    folder: Path
    cancel: Cancel
    auth: Auth | None = None

    def places(self, leaf: Leaf, artifact: Artifact) -> tuple[str, ...]:
        """The URLs to ask for a file, in order; never to be shown."""
        if leaf.kind != "conda":
            return (artifact.url,)
        from nixlib.resolvers.conda.channels import located  # noqa: PLC0415 - only for conda

        return self._channels.places(located(artifact.url, self.folder))

    def find_again(self, leaf: Leaf, artifact: Artifact) -> str:
        """The URL of a wheel as its index gives it today."""
        if leaf.kind != "wheel":
            return artifact.url
        from nixlib.resolvers.pypi import find_again  # noqa: PLC0415 - seldom needed

        asked = (leaf.index,) if leaf.index else ()
        return find_again(
            leaf.name, artifact.url, settings=self.settings, asked=asked, cancel=self.cancel
        )

    def credentials(self, *, with_channels: bool) -> Auth:
        """Who we are at each server; channels' logins count where some archive is one of theirs."""
        from nixlib.resolvers.indexes import credentials_source  # noqa: PLC0415 - only for downloads

        indexes = self.auth or credentials_source()
        if not with_channels:
            return indexes
        channels = self._channels
        return lambda url: channels.authorization(url) or indexes(url)

    @cached_property
    def _channels(self) -> ChannelAccess:
        from nixlib.resolvers.conda.access import read_channel_access  # noqa: PLC0415 - as above

        return read_channel_access(self.settings)


def without_place(error: NixError, place: str, url: str) -> NixError:
    """The same error, naming the lock's `url` and not the place where the file was asked for."""
    fields = {key: url if value == place else value for key, value in error.fields.items()}
    return type(error)(
        error.summary.replace(place, url),
        details=tuple(detail.replace(place, url) for detail in error.details),
        hint=error.hint.replace(place, url),
        **fields,
    )
