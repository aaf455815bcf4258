"""Wheels that are nothing but their metadata: how uv is told of packages that no index has as a wheel (pure).

What conda brings, and what is built from source, uv must count with, and must never fetch, build or run. So
it finds a wheel of it in a folder of ours, which says the version and what that needs.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Iterable
from dataclasses import dataclass

from packaging.version import InvalidVersion, Version

__all__ = ["BESIDE", "INSTEAD", "Stub", "extras_of", "readable_version"]

INSTEAD = "instead"
"""The folder of packages that no index is asked for, as uv knows it and says it again."""
BESIDE = "beside"
"""The folder of versions beside those of the indexes."""

_EPOCH = (1980, 1, 1, 0, 0, 0)
"""The earliest date that a zip can hold: equal stubs have equal bytes."""


@dataclass(frozen=True, slots=True)
class Stub:
    """One version of a package, by its metadata.

    Attributes:
        name: Normalised.
        version: As PEP 440 spells it.
        requires: PEP 508 lines.
        requires_python: A specifier; empty for any.
    """

    name: str
    version: str
    requires: tuple[str, ...] = ()
    requires_python: str = ""

    @property
    def filename(self) -> str:
        """What the wheel is called; its tag fits everywhere."""
        return f"{self._stem}-py3-none-any.whl"

    def wheel(self) -> bytes:
        """The file."""
        info = f"{self._stem}.dist-info"
        members = {
            f"{info}/METADATA": self._metadata(),
            f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: nixenv\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
            f"{info}/RECORD": "".join(
                f"{info}/{name},,\n" for name in ("METADATA", "WHEEL", "RECORD")
            ),
        }
        buffer = io.BytesIO()
        with zipfile.ZipFile(buffer, "w") as archive:
            for path, text in members.items():
                archive.writestr(zipfile.ZipInfo(path, _EPOCH), text)
        return buffer.getvalue()

    @property
    def _stem(self) -> str:
        return f"{self.name.replace('-', '_')}-{self.version}"

    def _metadata(self) -> str:
        lines = [f"Metadata-Version: 2.1\nName: {self.name}\nVersion: {self.version}"]
        lines += [f"Requires-Python: {self.requires_python}"] if self.requires_python else []
        lines += [f"Requires-Dist: {line}" for line in self.requires]
        lines += [f"Provides-Extra: {extra}" for extra in extras_of(self.requires)]
        return "\n".join(lines) + "\n\n"


def extras_of(requires: Iterable[str]) -> list[str]:
    """The extras that the markers of `requires` speak of, each once.

    Examples:
        >>> extras_of(["a", "b ; extra == 'x'", "c ; 'y' == extra"])
        ['x', 'y']
    """
    markers = "\n".join(line.partition(";")[2] for line in requires)
    behind = re.findall(r"extra\s*==\s*['\"]([A-Za-z0-9._-]+)['\"]", markers)
    before = re.findall(r"['\"]([A-Za-z0-9._-]+)['\"]\s*==\s*extra", markers)
    return list(dict.fromkeys([*behind, *before]))


def readable_version(version: str) -> str:
    """A version of conda's as PEP 440 spells it; of one that it cannot spell the numbers in front.

    Examples:
        >>> readable_version("2024a"), readable_version("1.26.4"), readable_version("1.1.1w_2")
        ('2024a0', '1.26.4', '1.1.1')
    """
    try:
        return str(Version(version))
    except InvalidVersion:
        found = re.match(r"\d+(\.\d+)*", version)
        return str(Version(found[0])) if found else "0"
