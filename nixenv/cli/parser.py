"""What can be typed: every verb, its arguments and one example of each. `docs/cli.md` is made from it."""

from __future__ import annotations

import argparse
import os
import textwrap
from collections.abc import Sequence
from typing import Any

NOTEBOOK_HELP = "a notebook (.ipynb), or a nixenv.toml"

EXIT_CODES = {
    0: "done",
    1: "a cell of the notebook failed, doctor found a problem, or nixenv itself has a bug (and says so)",
    2: "bad usage, or the notebook's metadata needs mending",
    3: "no set of packages or no Python fits what the notebook asks for, on this machine",
    4: "Nix, its store or the disk",
    5: "the network: a registry or a cache",
    130: "stopped on request (Ctrl-C, SIGTERM); nothing half-made is left",
}

_REPEATED = ("requirements", "names", "notebooks", "command", "lines")
"""Operands that may be given any number of times; a verb has one of them at most."""

_Verbs = Any  # argparse names the class of `add_subparsers()` with an underscore only


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="nixenv",
        description="A notebook carries its own environment; nixenv makes it, out of a shared Nix store.",
        epilog="`nixenv VERB --help` has the options and an example. Start with `nixenv doctor`.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and exit")
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", title="verbs")
    _add_spec_verbs(verbs)
    _add_environment_verbs(verbs)
    _add_question_verbs(verbs)
    _add_machine_verbs(verbs)
    return parser


def _with_editables(argv: Sequence[str]) -> list[str]:
    """`-e FOLDER` as one word, which argparse takes for an operand: it is a requirement of pip's form."""
    words = list(argv)
    if not words or words[0] not in ("init", "add", "remove"):
        return words
    for place in range(len(words) - 2, 0, -1):
        if words[place] in ("-e", "--editable"):
            words[place : place + 2] = [f"-e {words[place + 1]}"]
    return words


def parse_command_line(argv: Sequence[str]) -> argparse.Namespace:
    """The arguments of a command line, with operands before, between or after the options.

    argparse forgets operands that come after an option where the last operand may be given any number
    of times, and `init a.ipynb --python 3.8 numpy` is what everybody types.

    Raises:
        SystemExit: The line is not a command; argparse has said why.
    """
    parser = build_parser()
    arguments, rest = parser.parse_known_args(_with_editables(argv))
    if arguments.verb == "lock" and arguments.notebook is None:
        arguments.notebook = _document_among(arguments.upgrade or [])
        if arguments.notebook is None:
            parser.error("the following arguments are required: NB")
        arguments.upgrade.remove(arguments.notebook)
    if arguments.verb == "tree" and arguments.notebook is None:
        if not arguments.why:
            parser.error("the following arguments are required: NB")
        arguments.notebook, arguments.why = arguments.why, ""
    if not rest:
        _check_operands(parser, arguments)
        return arguments
    name = next((name for name in _REPEATED if hasattr(arguments, name)), None)
    is_command = name == "command" and rest[0] == "--"
    if name is None or (not is_command and any(_is_option(word) for word in rest)):
        parser.error(f"unrecognized arguments: {' '.join(rest)}")
    setattr(arguments, name, [*getattr(arguments, name), *rest[is_command:]])
    return arguments


def _is_option(word: str) -> bool:
    return word.startswith("-") and not word.startswith("-e ")


def _check_operands(parser: argparse.ArgumentParser, arguments: argparse.Namespace) -> None:
    """`add` and `remove` may go without operands for a private group only."""
    missing = {"add": "requirements", "remove": "names"}.get(arguments.verb)
    if missing and not getattr(arguments, missing) and arguments.private is None:
        word = "REQ" if arguments.verb == "add" else "NAME"
        parser.error(f"the following arguments are required: {word}")


def _document_among(words: Sequence[str]) -> str | None:
    """The first word that is a document and no package: `lock --upgrade a.ipynb` means all of it."""
    named = (word for word in words if word.endswith((".ipynb", ".toml", ".json")))
    return next(named, None) or next(filter(os.path.isfile, words), None)


def _add_spec_verbs(verbs: _Verbs) -> None:
    verb = _verb(
        verbs, "init", "make a notebook carry an environment", 'init a.ipynb "pandas==1.5"'
    )
    _notebook(verb)
    verb.add_argument(
        "requirements",
        nargs="*",
        metavar="REQ",
        help="a requirement: PEP 508, a conda match spec, or nixpkgs#ATTRIBUTE",
    )
    verb.add_argument("--python", metavar="X.Y", help="Python version, such as 3.11")
    verb.add_argument(
        "--interpreter",
        choices=("standalone", "host", "conda", "nixpkgs"),
        help="where the Python comes from",
    )
    verb.add_argument(
        "--channel",
        action="append",
        default=[],
        metavar="NAME",
        help="a conda channel: a name, a URL or a folder; may be given several times",
    )
    verb.add_argument("--force", action="store_true", help="replace the environment that it has")

    verb = _verb(
        verbs,
        "import",
        "make a notebook of an environment.yml",
        "import environment.yml analysis.ipynb",
    )
    verb.add_argument("file", metavar="FILE", help="an environment.yml, hand-written or exported")
    verb.add_argument(
        "notebook",
        nargs="?",
        metavar="NB",
        help=f"{NOTEBOOK_HELP}; without it, one beside FILE that is called as the environment is",
    )
    verb.add_argument("--force", action="store_true", help="replace the environment that it has")

    verb = _verb(verbs, "add", "add requirements, lock and build", "add a.ipynb seaborn")
    _notebook(verb)
    verb.add_argument(
        "requirements",
        nargs="*",
        metavar="REQ",
        help="a requirement: PEP 508, a conda match spec, or nixpkgs#ATTRIBUTE",
    )
    _private_group(verb)

    verb = _verb(verbs, "remove", "remove requirements, lock and build", "remove a.ipynb seaborn")
    _notebook(verb)
    verb.add_argument("names", nargs="*", metavar="NAME", help="name of a required package")
    verb.add_argument(
        "--private",
        metavar="GROUP",
        help="from this group of private dependencies; without a NAME, the whole group",
    )

    verb = _verb(verbs, "lock", "resolve the requirements again", "lock a.ipynb --upgrade numpy")
    # Optional for argparse only: `--upgrade` takes every word behind it, and gives this one back.
    verb.add_argument("notebook", nargs="?", metavar="NB", help=NOTEBOOK_HELP)
    verb.add_argument(
        "--upgrade",
        nargs="*",
        metavar="NAME",
        help="let these packages move to their newest; without a name, all of them",
    )
    verb.add_argument(
        "--as-of", metavar="DATE", help="nothing uploaded after this date (YYYY-MM-DD)"
    )
    verb.add_argument("--python", metavar="X.Y", help="ask for another Python from now on")
    verb.add_argument(
        "--variant",
        action="append",
        default=[],
        metavar="NAME=CHOICE",
        help="for a machine that cannot have what the notebook asks for: `cuda=none`; the lock says so",
    )


def _private_group(verb: argparse.ArgumentParser) -> None:
    group = verb.add_argument_group("private dependencies")
    group.add_argument(
        "--private",
        metavar="GROUP",
        help="into this group, which only those see who name it: `from nixenv.private.GROUP import …`",
    )
    group.add_argument(
        "--process", action="store_true", help="run the group in a process of its own"
    )
    group.add_argument(
        "--for",
        dest="package",
        default="",
        metavar="PKG",
        help="the group is what PKG needs, which the notebook imports as usual",
    )
    group.add_argument(
        "--singleton",
        action="append",
        default=[],
        metavar="NAME",
        help="a package of which the group uses the notebook's; may be given several times",
    )
    group.add_argument("--python", metavar="X.Y", help="the Python of the group's own process")


def _add_environment_verbs(verbs: _Verbs) -> None:
    verb = _verb(verbs, "sync", "build what the lock says", "sync a.ipynb")
    _notebook(verb)

    verb = _verb(verbs, "build", "build the environments of notebooks", "build a.ipynb --json")
    verb.add_argument(
        "notebooks", nargs="+", metavar="NB", help=f"{NOTEBOOK_HELP}, or a folder of notebooks"
    )

    verb = _verb(
        verbs,
        "watch",
        "build notebooks as they are saved",
        "watch notebooks/",
        json_help="one JSON object for each event, a line each",
    )
    verb.add_argument(
        "folder",
        nargs="?",
        default=".",
        metavar="DIR",
        help="the folder of the notebooks (the working folder)",
    )
    verb.add_argument(
        "--lock", action="store_true", help="also lock those that have no lock, into their files"
    )

    verb = _verb(
        verbs, "run", "run a notebook in its environment", "run a.ipynb --output done.ipynb"
    )
    _notebook(verb)
    verb.add_argument("--output", metavar="OUT", help="where the notebook with its outputs goes")
    verb.add_argument(
        "--timeout",
        type=_positive,
        metavar="SECONDS",
        help="most that one cell may take (no limit)",
    )
    verb.add_argument("--allow-errors", action="store_true", help="go on after a failing cell")

    verb = _verb(
        verbs,
        "shell",
        "a shell, or one command, inside the environment",
        "shell a.ipynb -- python -V",
    )
    _notebook(verb)
    verb.add_argument(
        "command", nargs="*", metavar="CMD", help="after `--`: the command and its arguments"
    )


def _add_question_verbs(verbs: _Verbs) -> None:
    verb = _verb(verbs, "status", "is it locked, is it built?", "status a.ipynb")
    _notebook(verb)

    verb = _verb(verbs, "list", "every package of the environment", "list a.ipynb")
    _notebook(verb)

    verb = _verb(verbs, "tree", "which package needs which", "tree a.ipynb --why numpy")
    # Optional for argparse only, as with `lock --upgrade`.
    verb.add_argument("notebook", nargs="?", metavar="NB", help=NOTEBOOK_HELP)
    verb.add_argument(
        "--why",
        nargs="?",
        const="",
        metavar="NAME",
        help="why each is from where it is; with a name, only the ways that lead to it",
    )

    verb = _verb(verbs, "diff", "what differs between two notebooks", "diff a.ipynb b.ipynb")
    verb.add_argument("before", metavar="A", help=NOTEBOOK_HELP)
    verb.add_argument("after", metavar="B", help=NOTEBOOK_HELP)

    verb = _verb(
        verbs,
        "explain",
        "how a requirement line is read",
        'explain "tensorflow >=2.3 mkl*"',
        json_help="one JSON object for each line, a line each",
    )
    verb.add_argument(
        "lines",
        nargs="+",
        metavar="LINE",
        help="a requirement, in quotes: PEP 508, a conda match spec, or nixpkgs#ATTRIBUTE",
    )


def _add_machine_verbs(verbs: _Verbs) -> None:
    verb = _verb(
        verbs, "gc", "let go of environments that nobody uses", "gc --older-than 30d --dry-run"
    )
    verb.add_argument(
        "--older-than",
        type=_days,
        metavar="AGE",
        help="also those unused for this long, such as 30d or 12h (only vanished notebooks')",
    )
    verb.add_argument("--dry-run", action="store_true", help="only say what would go")

    _verb(verbs, "doctor", "find what is wrong on this machine", "doctor")

    verb = _verb(verbs, "kernelspec", "let Jupyter know about nixenv", "kernelspec install --user")
    verb.add_argument("action", choices=("install",), help="what to do")
    place = verb.add_mutually_exclusive_group()
    place.add_argument("--user", action="store_true", help="for this user (default)")
    place.add_argument("--sys-prefix", action="store_true", help="into this Python's own prefix")
    place.add_argument("--prefix", metavar="DIR", help="into DIR/share/jupyter/kernels")

    _verb(verbs, "config", "every setting, and where its value is from", "config")


def _verb(
    verbs: _Verbs,
    name: str,
    summary: str,
    example: str,
    json_help: str = "one JSON object on standard output",
) -> argparse.ArgumentParser:
    verb: argparse.ArgumentParser = verbs.add_parser(
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"example:\n  nixenv {example}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    shown = verb.add_argument_group("output")
    shown.add_argument("--json", action="store_true", help=json_help)
    shown.add_argument("--quiet", "-q", action="store_true", help="no progress, no summary")
    shown.add_argument("--events", action="store_true", help=argparse.SUPPRESS)
    verb.add_argument(
        "--store", metavar="URI", help="the Nix store: a folder, daemon, or unix://SOCKET"
    )
    return verb


def _notebook(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("notebook", metavar="NB", help=NOTEBOOK_HELP)


def _positive(text: str) -> int:
    if not text.isdecimal() or int(text) == 0:
        raise argparse.ArgumentTypeError(f"`{text}` is not a whole number of seconds")
    return int(text)


def _days(text: str) -> float:
    """Seconds of an age such as `30d`, `12h`, `90m`, `2w`."""
    units = {"m": 60, "h": 3600, "d": 86400, "w": 7 * 86400}
    number, unit = text[:-1], text[-1:]
    if unit not in units or not number.isdecimal():
        raise argparse.ArgumentTypeError(f"`{text}` is not an age such as 30d, 12h or 2w")
    return float(int(number) * units[unit])


class _Version(argparse.Action):
    """`--version`, which reads the package's metadata only when it is asked for."""

    def __call__(
        self,
        parser: argparse.ArgumentParser,
        namespace: argparse.Namespace,  # noqa: ARG002
        values: object,  # noqa: ARG002
        option_string: str | None = None,  # noqa: ARG002
    ) -> None:
        from importlib.metadata import version  # noqa: PLC0415

        parser.exit(message=f"nixenv {version('nixenv')}\n")


def exit_code_table() -> str:
    """The exit codes as lines of text."""
    return "\n".join(
        textwrap.fill(f"{code:>4}  {meaning}", width=100, subsequent_indent=" " * 6)
        for code, meaning in EXIT_CODES.items()
    )
