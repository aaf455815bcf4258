"""Every command line of the guide, given to the parser: a verb or an option that is not there is noticed."""

import re
import shlex
from pathlib import Path

import pytest

from nixenv.cli.parser import parse_command_line

GUIDE = Path(__file__).parents[4] / "docs" / "guide.md"
FENCED = re.compile(r"^```([a-z]*)$(.*?)^```$", re.MULTILINE | re.DOTALL)
TYPED = re.compile(r"^nixenv ([a-z].*?)(?: +# .*)?$", re.MULTILINE)
INLINE = re.compile(r"`nixenv ([a-z][^`]*)`")


def lines():
    """What follows `nixenv`, in blocks and in sentences."""
    text = GUIDE.read_text(encoding="utf-8")
    blocks = [block for language, block in FENCED.findall(text) if not language]
    typed = {line for block in blocks for line in TYPED.findall(block)}
    return sorted(typed | set(INLINE.findall(text)))


@pytest.mark.parametrize("line", lines())
def test_command_line_of_the_guide_is_one(line):
    words = shlex.split(line)
    if words[1:]:
        assert parse_command_line(words).verb == words[0]
        return
    with pytest.raises(SystemExit) as ended:  # in a sentence a verb may stand alone
        parse_command_line([*words, "--help"])
    assert ended.value.code == 0
