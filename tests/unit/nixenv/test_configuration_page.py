"""`docs/configuration.md` against the settings that it is made from."""

import subprocess
import sys
from pathlib import Path

TOOL = Path(__file__).parents[3] / "tools" / "write_configuration.py"


def test_page_is_what_the_settings_say(tmp_path):
    # From a home and a shell with settings of their own: the page is about nobody's machine.
    answer = subprocess.run(
        [sys.executable, TOOL, "--check"],
        capture_output=True,
        text=True,
        check=False,
        env={"HOME": str(tmp_path), "NIXENV_DOWNLOADS": "3"},
    )
    assert (answer.returncode, answer.stderr) == (0, "")
