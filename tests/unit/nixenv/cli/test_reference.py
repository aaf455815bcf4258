"""`docs/cli.md` against the parser that it is made from."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[4] / "tools" / "write_cli_reference.py"


def test_reference_page_is_what_the_parser_says():
    answer = subprocess.run(
        [sys.executable, TOOL, "--check"], capture_output=True, text=True, check=False
    )
    assert (answer.returncode, answer.stderr) == (0, "")
