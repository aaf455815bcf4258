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
            hint=equivalent(verb, words[1:]),
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


def equivalent(verb: str, words: list[str]) -> str:
    """The `%nixenv` line for the operands of another installer's line; quoted where needed."""
    operands, rest = [], iter(words)
    for word in rest:
        if word in WITH_VALUE:
            next(rest, None)
        elif not word.startswith("-"):
            operands.append(_in_pep_508(word) if verb == "add" else word)
    return " ".join(["%nixenv", verb, *map(_quoted, operands)]) if operands else f"%nixenv {verb} …"


def _in_pep_508(requirement: str) -> str:
    """Conda's `name=1.5` is PEP 508's `name==1.5.*`."""
    return re.sub(r"^([A-Za-z0-9._-]+)=([0-9][A-Za-z0-9.]*)$", r"\1==\2.*", requirement)


def _quoted(word: str) -> str:
    return f'"{word}"' if re.search(r"[\s;#$\\]", word) else word
