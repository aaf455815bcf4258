"""What `pip`, `uv pip`, `conda` and `mamba` answer in an environment that has not the real ones.

Its packages are those of the notebook's lock, and every file of it is shared and read-only. So these
commands list what is there, and answer whoever wants to change it with the line that does. What does not
concern this environment (`uv run`, `conda create`) goes to the real program, where there is one.
"""

from __future__ import annotations

import os
import shlex
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from importlib.metadata import Distribution

__version__ = "0+nixenv"

_PIP_CHANGES = ("install", "uninstall", "download", "wheel", "sync", "compile")
_CONDA_CHANGES = ("install", "remove", "uninstall", "update", "upgrade")
_REMOVES = ("uninstall", "remove")
# Options of pip, uv and conda whose next word is their value, so not a requirement.
_WITH_VALUE = frozenset(
    [
        "-r",
        "--requirement",
        "-c",
        "--constraint",
        "-e",
        "--editable",
        "-i",
        "--index-url",
        "--extra-index-url",
        "-f",
        "--find-links",
        "-t",
        "--target",
        "--prefix",
        "--root",
        "--python",
        "--platform",
        "--python-version",
        "--implementation",
        "--abi",
        "--no-binary",
        "--only-binary",
        "--progress-bar",
        "--cache-dir",
        "--trusted-host",
        "--proxy",
        "--timeout",
        "--retries",
        "--upgrade-strategy",
        "--config-settings",
        "--global-option",
        "--report",
        "--log",
        "--index",
        "--default-index",
        "--exclude-newer",
        "-p",
        "-n",
        "--name",
        "--channel",
        "--file",
        "--solver",
        "--override-channels",
    ]
)


def pip() -> int:
    """`pip`, `pip3` and `python -m pip`."""
    return _pip("pip", sys.argv[1:])


def uv() -> int:
    """`uv`: `uv pip` is answered here, all else by the user's own uv."""
    words = sys.argv[1:]
    command, rest = _first_word(words)
    return _pip("uv pip", rest) if command == "pip" else _real("uv", words)


def conda() -> int:
    """`conda`: what would change or list this environment is answered here."""
    return _conda("conda", sys.argv[1:])


def mamba() -> int:
    """`mamba`: the same as `conda`."""
    return _conda("mamba", sys.argv[1:])


def _pip(program: str, words: list[str]) -> int:
    command, rest = _first_word(words)
    if "-V" in words or "--version" in words:
        major, minor = sys.version_info[:2]
        print(f"pip {__version__} from {__file__} (python {major}.{minor})")
        return 0
    if command in ("list", "freeze"):
        return _list(command, rest)
    if command == "show":
        return _show(rest)
    if command in ("", "help"):
        print(_HELP.format(program))
        return 0
    if command in _PIP_CHANGES:
        return _refuse(f"{program} {command}", command, rest)
    print(
        f"`{program} {command}` is not there: this is nixenv's answer in the place of {program}\n\n"
        "hint: `%nixenv add pip` puts the real pip into the environment",
        file=sys.stderr,
    )
    return 1


_HELP = """usage: {} list | freeze | show NAME...

Lists this environment. It is made by nixenv from the notebook's lock; packages are added with
`%nixenv add NAME` in a cell, or `nixenv add NOTEBOOK NAME` in a terminal."""


def _conda(program: str, words: list[str]) -> int:
    command, rest = _first_word(words)
    elsewhere = any(word.split("=")[0] in ("-n", "--name", "-p", "--prefix") for word in rest)
    if command == "list" and not elsewhere:
        return _list(command, ["--format=json"] if "--json" in rest else [])
    if command in _CONDA_CHANGES and not elsewhere:
        return _refuse(f"{program} {command}", command, rest)
    return _real(program, words)


def _first_word(words: list[str]) -> tuple[str, list[str]]:
    for position, word in enumerate(words):
        if not word.startswith("-"):
            return word, words[:position] + words[position + 1 :]
    return "", list(words)


def _refuse(doing: str, command: str, words: list[str]) -> int:
    wanted = " ".join(_quoted(word) for word in _requirements(words)) or "NAME"
    verb = "remove" if command in _REMOVES else "add"
    print(
        f"`{doing}` cannot change this environment: nixenv makes it from the notebook's own list\n\n"
        f"hint: `%nixenv {verb} {wanted}`",
        file=sys.stderr,
    )
    return 1


def _requirements(words: list[str]) -> list[str]:
    found = []
    skip = False
    for word in words:
        if not skip and not word.startswith("-"):
            found.append(word)
        skip = not skip and word in _WITH_VALUE
    return found


def _quoted(word: str) -> str:
    quoted = word.replace('"', "'")
    return word if word == shlex.quote(word) else f'"{quoted}"'


def _real(program: str, words: list[str]) -> int:
    """Become the next `program` of PATH that is not in this environment's own `bin`."""
    import shutil

    # Never by `sys.executable`'s folder alone: PATH may spell it through a link.
    own = os.path.realpath(os.path.join(sys.prefix, "bin"))
    folders = os.environ.get("PATH", "").split(os.pathsep)
    others = [folder for folder in folders if folder and os.path.realpath(folder) != own]
    found = shutil.which(program, path=os.pathsep.join(others)) if others else None
    if found:
        sys.stdout.flush()
        # Another environment's stand-in may be next on PATH: it must not find this one's again.
        environ = dict(os.environ, PATH=os.pathsep.join(others))
        os.execve(found, [program, *words], environ)
    print(
        f"`{program}` is not in this environment, nor elsewhere on PATH\n\n"
        "hint: `%nixenv add NAME` adds a package to this environment",
        file=sys.stderr,
    )
    return 1


def _packages() -> dict[str, Distribution]:
    """Distribution metadata by normalised name; the first on `sys.path` counts, as for imports."""
    import re
    from importlib import metadata

    found: dict[str, Distribution] = {}
    for distribution in metadata.distributions():
        name = distribution.metadata["Name"]
        if name:
            found.setdefault(re.sub(r"[-_.]+", "-", name).lower(), distribution)
    return found


def _list(command: str, words: list[str]) -> int:
    rows = [(d.metadata["Name"], d.version) for _, d in sorted(_packages().items())]
    style = _list_format(command, words)
    if style == "json":
        import json

        print(json.dumps([{"name": name, "version": version} for name, version in rows]))
    elif style == "freeze":
        for name, version in rows:
            print(f"{name}=={version}")
    else:
        table = [("Package", "Version"), *rows]
        width = max(len(name) for name, _ in table)
        longest = max(len(version) for _, version in table)
        table.insert(1, ("-" * width, "-" * longest))
        for name, version in table:
            print(name.ljust(width), version)
    return 0


def _list_format(command: str, words: list[str]) -> str:
    for position, word in enumerate(words):
        if word.startswith("--format="):
            return word[len("--format=") :]
        if word == "--format" and position + 1 < len(words):
            return words[position + 1]
    return "freeze" if command == "freeze" else "columns"


def _show(words: list[str]) -> int:
    import re

    packages = _packages()
    asked = [word for word in words if not word.startswith("-")]
    keys = [re.sub(r"[-_.]+", "-", word).lower() for word in asked]
    for position, key in enumerate(key for key in keys if key in packages):
        if position:
            print("---")
        _show_one(key, packages)
    missing = [word for word, key in zip(asked, keys) if key not in packages]
    if missing or not asked:
        names = ", ".join(f"`{word}`" for word in missing) or "(no name given)"
        print(f"not in this environment: {names}", file=sys.stderr)
    return 1 if missing or not asked else 0


def _show_one(key: str, packages: dict[str, Distribution]) -> None:
    distribution = packages[key]
    fields = distribution.metadata
    names = ("Name", "Version", "Summary", "Home-page", "Author", "Author-email", "License")
    for name in names:
        print(f"{name}: {fields[name] or ''}")
    needs = [name for name in _required(distribution) if name in packages]
    users = sorted(name for name, other in packages.items() if key in _required(other))
    print(f"Location: {os.path.dirname(str(distribution.locate_file('x')))}")
    print(f"Requires: {', '.join(needs)}")
    print(f"Required-by: {', '.join(users)}")


def _required(distribution: Distribution) -> list[str]:
    """Normalised names that a distribution may require; extras and markers are the lock's business."""
    import re

    lines = [line for line in distribution.requires or () if "extra" not in line.partition(";")[2]]
    names = (re.match(r"[A-Za-z0-9._-]+", line.strip()) for line in lines)
    return sorted({re.sub(r"[-_.]+", "-", name.group()).lower() for name in names if name})
