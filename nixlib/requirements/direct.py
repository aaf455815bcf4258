"""Where a package is that no index gives: a URL of a file, a commit of a repository, a folder (pure).

Whatever these texts become later, an argument of git, a path below the notebook's folder or a URL, they
cannot be more in it than that: no option, no absolute path, no `..` behind a name.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal
from urllib.parse import unquote, urlsplit

from nixlib.requirements.refusal import SUBDIRECTORY, Place, public_url

_SDIST = (".tar.gz", ".tgz", ".tar.bz2", ".tar.xz", ".zip")
_FILES = (*_SDIST, ".whl")
_REVISION = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]*(/[A-Za-z0-9_][A-Za-z0-9_.+-]*)*")
_ABBREVIATED = re.compile(r"[0-9a-fA-F]{7,39}")
_FOLDER_CHARACTERS = re.compile(r"[\w .,+@=~()&!/-]+")
_EDITABLE = re.compile(r"(?:-e|--editable)(?:\s+|=)(.*)", re.DOTALL)
_FOLDER_LINE = re.compile(
    r"(?P<folder>[^\[\];]+?)\s*(?:\[(?P<extras>[^\[\]]*)\])?\s*(?:(?:^|\s);(?P<marker>.*))?"
)

Kind = Literal["sdist", "git", "path", "editable"]


@dataclass(frozen=True, slots=True)
class Direct:
    """Where a package is.

    Attributes:
        kind: None for a wheel.
        url: Of a file or a repository, without what may be secret in it.
        commit: Of a repository: a commit, or a tag or branch that names one.
        subdirectory: Where in the source the project is; empty for its top.
        folder: Relative to the notebook's, beginning with `.`.
    """

    kind: Kind | None = None
    url: str = ""
    commit: str = ""
    subdirectory: str = ""
    folder: str = ""

    def __str__(self) -> str:
        if self.folder:
            return self.folder
        scheme = "git+" if self.kind == "git" else ""
        fragment = f"#subdirectory={self.subdirectory}" if self.subdirectory else ""
        return f"{scheme}{self.url}{f'@{self.commit}' if self.commit else ''}{fragment}"


@dataclass(frozen=True, slots=True)
class FolderLine:
    """A line that is a folder: its parts as they stand there."""

    folder: str
    extras: str
    marker: str
    editable: bool


def split_folder(text: str) -> FolderLine | None:
    """The parts of a line that begins with a folder, or with the option for editable ones.

    Examples:
        >>> split_folder("-e ./lib[test] ; python_version > '3'")
        FolderLine(folder='./lib', extras='test', marker="python_version > '3'", editable=True)
        >>> split_folder("pandas")
    """
    option = _EDITABLE.fullmatch(text)
    rest = option[1].strip() if option else text
    if not option and not re.match(r"\.{1,2}(/|\s|;|\[|$)", rest):
        return None
    found = _FOLDER_LINE.fullmatch(rest)
    if found is None:
        return FolderLine(rest, "", "", editable=option is not None)
    extras, marker = found["extras"] or "", (found["marker"] or "").strip()
    return FolderLine(found["folder"], extras, marker, editable=option is not None)


def parse_direct(url: str, place: Place) -> Direct:
    """What stands behind the `@` of a line.

    Raises:
        RequirementError: A lock cannot hold it.
    """
    if re.match(r"[./~\\]|[A-Za-z]:[\\/]", url):
        return Direct("path", folder=checked_folder(url, place))
    try:
        address = urlsplit(url)
    except ValueError as error:
        raise place.refused(f"has no proper URL: {error}") from error
    scheme = address.scheme.lower()
    subdirectory = _subdirectory(address.fragment)
    if scheme in ("git+https", "git+http"):
        return _repository(url, subdirectory, place)
    if "+" in scheme or scheme in ("git", "ssh"):
        raise place.refused(
            f"has a `{scheme}:` address, which a lock cannot hold",
            hint="`NAME @ git+https://HOST/REPOSITORY@COMMIT`",
        )
    if scheme not in ("http", "https"):
        raise place.refused(f"has a `{scheme or 'file'}:` URL, which other machines cannot follow")
    filename = unquote(address.path).rsplit("/", 1)[-1]
    if filename.endswith(".whl"):
        return Direct(url=public_url(url).partition("#")[0])
    if not filename.endswith(_SDIST):
        raise place.refused(
            f"points to `{filename[:80]}`, which is neither a wheel nor a source archive",
            details=(f"source archives end in {', '.join(_SDIST)}",),
        )
    return Direct("sdist", url=public_url(url).partition("#")[0], subdirectory=subdirectory)


def checked_folder(folder: str, place: Place) -> str:
    """`folder` in its plainest form, if every machine that has the notebook can have it at the same place.

    Raises:
        RequirementError: It is of one machine, or no folder.
    """
    parts = [part for part in folder.split("/") if part not in ("", ".")]
    if not folder.startswith(".") or "\\" in folder or not re.match(r"\.{1,2}(/|$)", folder):
        raise place.refused(
            "is a path of one machine, which other machines cannot follow",
            hint="a folder relative to the notebook's begins with `./` or `../`",
        )
    up = next((number for number, part in enumerate(parts) if part != ".."), len(parts))
    if not _FOLDER_CHARACTERS.fullmatch(folder):
        raise place.refused("has a folder with signs in its name that no folder of a project has")
    if ".." in parts[up:]:
        raise place.refused("has a folder with `..` behind a name")
    if folder.endswith(_FILES):
        raise place.refused("is a file; only folders of projects are read from beside the notebook")
    if parts[:1] == [".."]:
        return "/".join(parts)
    return "/".join([".", *parts])


def _repository(url: str, subdirectory: str, place: Place) -> Direct:
    public = public_url(url).partition("#")[0].removeprefix("git+")
    head, at, revision = public.rpartition("@")
    if not at or not urlsplit(head).path.strip("/"):
        raise place.refused(
            "names no commit of its repository, so it would be another one tomorrow",
            hint=f"`NAME @ git+{public}@COMMIT`, or a tag",
        )
    strange = re.search(r"\.\.|\.lock(/|$)|\.(/|$)", revision)
    if not _REVISION.fullmatch(revision) or strange:
        raise place.refused(
            f"has `{revision[:60]}` where a commit (40 hexadecimal digits) or a tag belongs"
        )
    if _ABBREVIATED.fullmatch(revision):
        raise place.two_readings(
            f"as a commit, which is written with all of its 40 digits: `git+{head}@{revision}…`",
            f"as a tag: `git+{head}@refs/tags/{revision}`",
        )
    return Direct("git", head, revision, subdirectory)


def _subdirectory(fragment: str) -> str:
    found = SUBDIRECTORY.fullmatch(fragment)
    return found[1].strip("/") if found else ""
