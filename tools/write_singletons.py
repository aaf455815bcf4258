"""Write the table of singletons in `docs/private.md`: `write_singletons.py [--check]`.

A test runs it with `--check`, so the page cannot name a package, or a reason, that the engine does not.
"""

import re
import sys
from pathlib import Path

from nixlib.private.singletons import named_by_reason

PAGE = Path(__file__).parent.parent / "docs" / "private.md"
TABLE = re.compile(
    r"(<!-- write_singletons\.py writes from here -->\n).*?(<!-- to here -->)", re.DOTALL
)


def main() -> int:
    """Write the table, or compare it; 1 when it differs."""
    before = PAGE.read_text(encoding="utf-8")
    after = TABLE.sub(lambda found: f"{found[1]}\n{table()}\n{found[2]}", before)
    if sys.argv[1:] != ["--check"]:
        PAGE.write_text(after, encoding="utf-8")
        return 0
    if before == after and TABLE.search(before):
        return 0
    print(f"{PAGE} is not what the engine says: run {Path(__file__).name}", file=sys.stderr)
    return 1


def table() -> str:
    """Names and reasons, the longest list of names first."""
    rows = sorted(named_by_reason().items(), key=lambda row: (-len(row[1]), row[1]))
    lines = [f"| {', '.join(f'`{name}`' for name in names)} | {why} |\n" for why, names in rows]
    return "".join(["| singletons | because |\n|---|---|\n", *lines])


if __name__ == "__main__":
    sys.exit(main())
