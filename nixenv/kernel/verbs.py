"""What can be typed after `%nixenv`: the verbs, and a line as a value (pure)."""

from __future__ import annotations

import difflib
import shlex
from dataclasses import dataclass, field

from .failure import KernelSideError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Mapping


@dataclass(frozen=True)
class Verb:
    """One verb of `%nixenv`.

    Attributes:
        name: As it is typed; the engine's verb has the same name.
        usage: What follows it, for messages.
        summary: What it does, in a few words.
        options: Option names, each with whether a value must follow.
        operands: `required`, `none`, or the option that they may follow.
        instead: An option that makes operands optional; empty for none.
        changes_environment: Its answer has an environment that the kernel can move into.
    """

    name: str
    usage: str
    summary: str
    options: Mapping[str, bool] = field(default_factory=dict)
    operands: str = "none"
    instead: str = ""
    changes_environment: bool = False


# The option that names a private group.
PRIVATE = "--private"

VERBS: Mapping[str, Verb] = {
    verb.name: verb
    for verb in (
        Verb("add", "REQUIREMENT … [--private GROUP …]",
             "add requirements, live where that can be",
             {PRIVATE: True, "--process": False, "--for": True, "--singleton": True, "--python": True},
             operands="required", instead=PRIVATE, changes_environment=True),
        Verb("remove", "NAME … [--private GROUP]", "remove requirements, or a private group",
             {PRIVATE: True},
             operands="required", instead=PRIVATE, changes_environment=True),
        Verb("list", "", "every package of the environment"),
        Verb("tree", "[--why [NAME]]", "which package needs which, and why it is from where it is",
             {"--why": False}, operands="--why"),
        Verb("status", "", "what the notebook asks for, and what this kernel runs in"),
        Verb("lock", "[--upgrade [NAME …]] [--as-of DATE] [--python X.Y] [--variant NAME=CHOICE]",
             "resolve the requirements again",
             {"--upgrade": False, "--as-of": True, "--python": True, "--variant": True},
             operands="--upgrade"),
        Verb("sync", "", "bring the kernel to what the notebook says", changes_environment=True),
    )
}  # fmt: skip


_EDITABLE = ("-e", "--editable")


@dataclass(frozen=True)
class Command:
    """A line that has been understood: the verb, and what the engine gets after the document."""

    verb: Verb
    arguments: tuple[str, ...] = ()


def parse_line(line: str) -> Command | None:
    """What `%nixenv <line>` asks for; None for nothing, which asks for help.

    Words are split as a shell does, so a requirement with spaces needs quotes.

    Raises:
        KernelSideError: Unknown verb or option, or operands missing or too many.
    """
    try:
        words = shlex.split(line)
    except ValueError as error:
        raise KernelSideError(
            "UsageError", f"a quote is left open in `%nixenv {line.strip()}`\n  {error}"
        ) from error
    if not words or words[0] in ("help", "--help", "-h"):
        return None
    return parse_words(words)


def parse_words(words: list[str]) -> Command:
    """A verb and its arguments as a command.

    Raises:
        KernelSideError: As for `parse_line`.
    """
    if words[0] not in VERBS:
        raise _usage_error(f"`{words[0]}` is not a verb of `%nixenv`", words[0], list(VERBS))
    verb, rest = VERBS[words[0]], words[1:]
    if verb.operands == "required":
        rest = _with_editables(rest)
    for word in rest:
        if _is_option(word) and _option(word) not in verb.options:
            message = f"`%nixenv {verb.name}` has no option `{word}`"
            raise _usage_error(message, word, list(verb.options))
    _check_operands(verb, rest, _operands(verb, rest))
    return Command(verb, tuple(rest))


def parse_cell(line: str, cell: str) -> Command:
    """What `%%nixenv [add|remove] [--private GROUP …]` with one requirement a line asks for.

    A line is taken as it is, so markers and spaces need no quotes. ` #` begins a comment, as in a
    requirements file.

    Raises:
        KernelSideError: Another verb, or no requirement in the cell.
    """
    words = shlex.split(line) or ["add"]
    verb = VERBS.get(words[0])
    if verb is None or verb.operands != "required" or _operands(verb, words[1:]):
        raise KernelSideError(
            "UsageError",
            f"`%%nixenv` takes one requirement a line in the cell, found `{line}` beside it",
            hint="%%nixenv add",
        )
    stripped = (_without_comment(text) for text in cell.splitlines())
    return parse_words([*words, *(text for text in stripped if text)])


def _without_comment(text: str) -> str:
    return "" if text.lstrip().startswith("#") else text.split(" #", 1)[0].strip()


def _with_editables(words: list[str]) -> list[str]:
    """`-e FOLDER` as one word: it is a requirement, and nobody quotes it."""
    joined, each = [], iter(words)
    for word in each:
        name, has_value, value = word.partition("=")
        if name in _EDITABLE and (value or not has_value):
            folder = value or next(each, "")
            joined.append(f"-e {folder}" if folder else word)
        else:
            joined.append(word)
    return joined


def _is_option(word: str) -> bool:
    return word.startswith("-") and not word.startswith(tuple(f"{name} " for name in _EDITABLE))


def _option(word: str) -> str:
    return word.split("=", 1)[0]


def _operands(verb: Verb, rest: list[str]) -> list[str]:
    """The words that are neither options nor their values."""
    operands, words = [], iter(rest)
    for word in words:
        if verb.options.get(word):
            value = next(words, "-")
            if value.startswith("-"):
                raise _incomplete(verb, f"`{word}` needs a value")
        elif not _is_option(word):
            operands.append(word)
    return operands


def _check_operands(verb: Verb, rest: list[str], operands: list[str]) -> None:
    is_told = bool(verb.instead) and any(_option(word) == verb.instead for word in rest)
    if verb.operands == "required" and not operands and not is_told:
        raise _incomplete(verb, f"`%nixenv {verb.name}` needs to be told what to {verb.name}")
    unwanted = verb.operands == "none" or (
        verb.operands.startswith("-") and verb.operands not in rest
    )
    if unwanted and operands:
        message = f"`%nixenv {verb.name}` does not understand `{operands[0]}`"
        raise _incomplete(verb, message)


def _incomplete(verb: Verb, message: str) -> KernelSideError:
    return KernelSideError("UsageError", message, hint=f"%nixenv {verb.name} {verb.usage}".rstrip())


def _usage_error(message: str, found: str, known: list[str]) -> KernelSideError:
    near = difflib.get_close_matches(found, known, n=1)
    choice = ", ".join(f"`{name}`" for name in known)
    details = f"\n  it has {choice}" if known else ""
    return KernelSideError(
        "UsageError", message + details, hint=f"did you mean `{near[0]}`?" if near else ""
    )
