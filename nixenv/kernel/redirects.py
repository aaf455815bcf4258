"""`%pip`, `%conda`, `%uv` and their like: an environment out of a store is not changed by them.

What asks for a change is answered with the `%nixenv` line that makes it; what only asks is answered by
the environment's own program of that name.
"""

from __future__ import annotations

import os
import re
import shlex
import sys

from .failure import KernelSideError

CHANGES = {"install": "add", "add": "add", "update": "add", "upgrade": "add",
           "uninstall": "remove", "remove": "remove"}  # fmt: skip
CONDA = ("conda", "mamba", "micromamba")
# Options of pip, conda and uv whose value is the next word; it is no requirement.
WITH_VALUE = frozenset(
    [
        "-c",
        "--channel",
        "-n",
        "--name",
        "-p",
        "--prefix",
        "-r",
        "--requirement",
        "--constraint",
        "-i",
        "--index-url",
        "--extra-index-url",
        "--index",
        "--default-index",
        "-f",
        "--find-links",
        "-t",
        "--target",
        "--python",
    ]
)


def answer(name: str, line: str) -> None:
    """Run `%<name> <line>`: print what the environment has, or say how it is changed.

    Raises:
        KernelSideError: The line asks for a change; the hint is the `%nixenv` line for it.
    """
    said = words = shlex.split(line)
    if words[:1] == ["pip"]:  # `%uv pip install`
        words = words[1:]
    verb = CHANGES.get(words[0]) if words else None
    if verb:
        raise KernelSideError(
            "ReadOnlyEnvironmentError",
            f"`%{name}` cannot change this environment: the notebook's requirements make it",
            hint=equivalent(verb, words[1:], is_conda=name in CONDA),
        )
    import subprocess  # noqa: PLC0415

    done = subprocess.run(
        [*_program(name), *(said or ["--help"])],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        check=False,
    )
    print(done.stdout.decode("utf-8", "replace"), end="")  # noqa: T201 - the answer


def _program(name: str) -> list[str]:
    """What the environment has under that name; every one of ours has a `pip`."""
    program = os.path.join(sys.prefix, "bin", name)
    return [program] if os.path.exists(program) else [sys.executable, "-m", "pip"]


def equivalent(verb: str, words: list[str], *, is_conda: bool = False) -> str:
    """The `%nixenv` line for the operands of another installer's line; quoted where needed."""
    operands, channel, rest = [], "", iter(words)
    for word in rest:
        if word in WITH_VALUE:
            value = next(rest, "")
            channel = channel or (value if word in ("-c", "--channel") else "")
        elif not word.startswith("-"):
            operands.append(_in_conda(word, channel) if is_conda and verb == "add" else word)
    return " ".join(["%nixenv", verb, *map(_quoted, operands)]) if operands else f"%nixenv {verb} …"


def _in_conda(requirement: str, channel: str) -> str:
    """The same as a line that is conda's in a notebook, where a bare name is PyPI's."""
    prefix = f"{channel}::" if channel and "::" not in requirement else ""
    if re.search(r"^[A-Za-z0-9._-]+$", requirement):
        return f"{prefix}{requirement} *"
    found = re.search(r"^([A-Za-z0-9._-]+)\s*((?:[<>!~]=?|==).*)$", requirement)
    return f'{prefix}{found[1]}[version="{found[2]}"]' if found else f"{prefix}{requirement}"


def _quoted(word: str) -> str:
    if '"' in word:
        return f"'{word}'"
    return f'"{word}"' if re.search(r"[\s;#$\\]", word) else word
