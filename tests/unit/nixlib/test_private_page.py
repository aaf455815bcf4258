"""`docs/private.md` against the engine that it is about."""

import json
import re
import subprocess
import sys
from pathlib import Path

import pytest

from nixlib.spec import parse_spec

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "private.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)


def test_page_names_the_engines_singletons():
    argv = [sys.executable, ROOT / "tools" / "write_singletons.py", "--check"]
    answer = subprocess.run(argv, capture_output=True, text=True, check=False)
    assert (answer.returncode, answer.stderr) == (0, "")


@pytest.mark.parametrize("block", BLOCKS, ids=lambda block: block[:20])
def test_what_the_page_tells_people_to_write_is_a_spec(block):
    spec = parse_spec({"version": 1, **json.loads(f"{{{block}}}")})
    assert spec.private
