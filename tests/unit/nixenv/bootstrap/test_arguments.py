"""A client's command line."""

import pytest

from nixenv.bootstrap.arguments import parse_arguments


@pytest.mark.parametrize(
    ("argv", "file", "extra"),
    [
        (["-f", "/r/k.json"], "/r/k.json", ()),
        (["-f/r/k.json"], "/r/k.json", ()),
        (["--f", "/r/k.json", "--debug"], "/r/k.json", ("--debug",)),
        (["--debug", "-f", "/r/k.json"], "/r/k.json", ("--debug",)),
    ],
)
def test_connection_file_is_found_in_every_form(argv, file, extra):
    found = parse_arguments(argv)
    assert (found.connection_file, found.extra, found.tells_path) == (file, extra, False)


def test_quotes_that_vs_code_puts_around_spaces_are_no_part_of_the_path():
    found = parse_arguments(['--f="/r o/k.json"'])
    assert (found.connection_file, found.tells_path) == ("/r o/k.json", True)


def test_vs_code_is_known_by_the_name_that_it_gives_the_file():
    assert parse_arguments(["-f", "/r/kernel-v2-1234abc.json"]).tells_path
    assert not parse_arguments(["-f", "/r/kernel-1234.json"]).tells_path


@pytest.mark.parametrize("argv", [[], ["-f"], ["--file", "x"]])
def test_missing_connection_file_is_said(argv):
    with pytest.raises(ValueError, match="no connection file"):
        parse_arguments(argv)
