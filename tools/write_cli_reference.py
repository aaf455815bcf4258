"""Write `docs/cli.md` from the parser and the magics themselves: `write_cli_reference.py [--check]`.

A test runs it with `--check`, so the page cannot tell what the parser does not do.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

from nixenv.cli.parser import EXIT_CODES, build_parser
from nixenv.kernel.magics import HELP, INSTALLERS

PAGE = Path(__file__).parent.parent / "docs" / "cli.md"

INTRODUCTION = """\
# Commands and magics

Made from the parser and the magics by `tools/write_cli_reference.py`; change it there.

Results go to standard output, progress to standard error: bars on a terminal, plain lines elsewhere.
`--json` prints one JSON object instead, `{"error": {…}}` when something went wrong (`nixenv watch`: one for each
event, `nixenv explain`: one for each line, a line each); `--quiet` leaves out progress and summaries. Ctrl-C and SIGTERM stop cleanly at any moment. A notebook is written last, in one
step, and only if nobody else has changed it meanwhile.
"""

MAGICS = """\
In a kernel of nixenv, `%nixenv` is there from the start; elsewhere, `%load_ext nixenv` brings it. Tab completes verbs
and options, `%nixenv?` shows this:
"""

INSTALLERS_SAY = """\
`{names}` and the same with `!` before them answer questions about the environment, such as `%pip list`.
Asked for a change, they refuse and name the `%nixenv` line that makes it.
"""


def main() -> int:
    """Write the page, or compare it; 1 when it differs."""
    text = "\n".join(reference()) + "\n"
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(text, encoding="utf-8")
        return 0
    if PAGE.read_text(encoding="utf-8") == text:
        return 0
    print(f"{PAGE} is not what the parser says: run {Path(__file__).name}", file=sys.stderr)
    return 1


def reference() -> Iterator[str]:
    """The page, line by line."""
    yield INTRODUCTION
    parser = build_parser()
    (verbs,) = (action.choices for action in _actions(parser) if isinstance(action.choices, dict))
    for name, verb in verbs.items():
        yield from _verb(name, verb)
    yield "## Exit codes\n"
    yield from _table(("code", "meaning"), [(str(code), text) for code, text in EXIT_CODES.items()])
    yield "\nEvery setting is in [configuration.md](configuration.md).\n"
    yield "## Magics\n"
    yield MAGICS
    yield f"```\n{HELP}```\n"
    yield INSTALLERS_SAY.format(names="`, `".join(f"%{name}" for name in INSTALLERS)).rstrip()


def _verb(name: str, verb: argparse.ArgumentParser) -> Iterator[str]:
    yield f"## `nixenv {name}`\n"
    yield f"{(verb.description or '').replace('?.', '?')}\n"
    shown = [action for action in _actions(verb) if action.help not in (None, argparse.SUPPRESS)]
    operands = " ".join(_operand(action) for action in shown if not action.option_strings)
    example = (verb.epilog or "").splitlines()[1].strip()
    yield f"```\n{f'nixenv {name} [OPTIONS] {operands}'.strip()}\n```\n"
    rows = [
        (_name(action), action.help or "") for action in shown if action.dest not in _EVERYWHERE
    ]
    if rows:
        yield from _table(("argument", "meaning"), rows)
        yield ""
    yield f"Example: `{example}`\n"


def _actions(parser: argparse.ArgumentParser) -> list[argparse.Action]:
    return parser._actions  # noqa: SLF001 - argparse has no public way to ask


def _operand(action: argparse.Action) -> str:
    """Not argparse's own usage line: its wording differs from one Python to the next."""
    value = str(action.metavar or "|".join(action.choices or ()))
    if action.nargs == "?" and action.default is not None:
        return f"[{value}]"
    return {"*": f"[{value} …]", "+": f"{value} …"}.get(str(action.nargs), value)


_EVERYWHERE = ("help", "json", "quiet", "store")


def _name(action: argparse.Action) -> str:
    names = ", ".join(f"`{name}`" for name in action.option_strings)
    value = action.metavar or ("|".join(action.choices) if action.choices else "")
    takes_value = action.nargs != 0 and value
    return " ".join(filter(None, (names, f"`{value}`" if takes_value else "")))


def _table(heads: tuple[str, ...], rows: list[tuple[str, ...]]) -> Iterator[str]:
    yield f"| {' | '.join(heads)} |"
    yield f"|{'---|' * len(heads)}"
    for row in rows:
        yield f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in row)} |"


if __name__ == "__main__":
    sys.exit(main())
