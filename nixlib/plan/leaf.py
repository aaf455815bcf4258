"""One store object of a plan that needs no other (pure)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from nixlib.errors import HashMismatchError
from nixlib.lock import Artifact, LockedCondaPackage, LockedPackage
from nixlib.sri import sri_digest
from nixlib.storenames import conda_store_name, wheel_store_name
from nixlib.storepath import StorePath, fixed_output_path

Kind = Literal["wheel", "conda", "standalone", "host"]


@dataclass(frozen=True, slots=True)
class Leaf:
    """One store object of the plan that needs no other.

    Attributes:
        name: Normalised name of the package, conda's own for one of conda, or `python`.
        version: As the lock has it.
        kind: What it is made from.
        artifact: The file it is made from; None for a `host` Python.
        store_name: Name of the store object, without its digest.
        nar: SRI hash of its tree, where somebody who is believed knows it.
        path: Its store path, exactly where `nar` is known.
        hint: SRI hash that the lock claims and nobody vouches for.
        index: The index that it came from, where that is not the default one.
    """

    name: str
    version: str
    kind: Kind
    artifact: Artifact | None
    store_name: str
    nar: str | None = None
    path: StorePath | None = None
    hint: str | None = None
    index: str = ""

    def check_hint(self, nar: str) -> None:
        """Hold what the lock claims against the true tree, SRI `nar`.

        Raises:
            HashMismatchError: They differ: the lock pairs a genuine artifact with another tree.
        """
        if self.hint in (None, nar):
            return
        raise HashMismatchError(
            f"the lock gives a false store hash for `{self.name}` {self.version}",
            details=(
                "its file is the one that the lock names, and unpacks to another tree",
                f"expected {self.hint}",
                f"found    {nar}",
            ),
            hint="`%nixenv lock` makes a true one; ask where this one came from",
            url=self.artifact.url if self.artifact else "",
            expected=self.hint,
            actual=nar,
            package=self.name,
        )


@dataclass(frozen=True)
class Belief:
    """Which trees artifacts unpack to, and on whose word.

    A path is known where somebody who is believed says which tree an artifact unpacks to. A hint out of
    the lock is not such a word: it stays beside its leaf, to be compared once the artifact itself was here.

    Attributes:
        trusted: SRI hash of the tree of each artifact (sha256, hex) that somebody who is believed
            vouches for: this machine, a signature, the user.
        hints: The same as the lock claims it.
        store_dir: Where the paths are to be; it is part of their digests.
    """

    trusted: Mapping[str, str]
    hints: Mapping[str, str]
    store_dir: str

    def wheel(self, package: LockedPackage, artifact: Artifact) -> Leaf:
        """The leaf of one of a package's wheels."""
        name, version = package.name, package.version
        store_name = wheel_store_name(name, version)
        return self.leaf(name, version, "wheel", artifact, store_name, index=package.index)

    def archive(self, package: LockedCondaPackage) -> Leaf:
        """The leaf of a package of conda."""
        name, version = package.name, package.version
        store_name = conda_store_name(name, version, package.build)
        return self.leaf(
            name, version, "conda", package.artifact, store_name, index=package.channel
        )

    def leaf(
        self,
        name: str,
        version: str,
        kind: Kind,
        artifact: Artifact | None,
        store_name: str,
        *,
        nar: str | None = None,
        index: str = "",
    ) -> Leaf:
        """Any leaf; `nar` where its tree is known without anybody's word."""
        sha256 = artifact.sha256 if artifact else ""
        nar = nar or self.trusted.get(sha256)
        path = fixed_output_path(store_name, sri_digest(nar), (), self.store_dir) if nar else None
        hint = None if nar else self.hints.get(sha256)
        return Leaf(name, version, kind, artifact, store_name, nar, path, hint, index)
