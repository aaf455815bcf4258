"""What can be typed."""

import argparse
import importlib
import io
from contextlib import redirect_stdout

import pytest

from nixenv.cli.command import module_of
from nixenv.cli.parser import build_parser, parse_command_line
from nixenv.errors import UsageError
from nixlib.spec import Spec


def verbs() -> dict[str, argparse.ArgumentParser]:
    parser = build_parser()
    (action,) = (one for one in parser._actions if isinstance(one, argparse._SubParsersAction))
    return dict(action.choices)


@pytest.mark.parametrize("name", sorted(verbs()))
def test_verb_has_a_module_with_run(name):
    module = importlib.import_module(module_of(name))
    assert callable(module.run)


@pytest.mark.parametrize("name", sorted(verbs()))
def test_verb_help_shows_an_example_that_parses(name):
    epilog = verbs()[name].epilog
    assert epilog.startswith("example:\n  nixenv ")
    import shlex

    words = shlex.split(epilog.splitlines()[1])[1:]
    assert build_parser().parse_args(words).verb == name


def test_help_fits_one_screen():
    out = io.StringIO()
    with redirect_stdout(out):
        build_parser().print_help()
    assert len(out.getvalue().splitlines()) <= 35


@pytest.mark.parametrize(
    ("age", "seconds"),
    [("30d", 30 * 86400.0), ("12h", 43200.0), ("2w", 14 * 86400.0), ("90m", 5400.0)],
)
def test_older_than_is_read_with_its_unit(age, seconds):
    assert build_parser().parse_args(["gc", "--older-than", age]).older_than == seconds


@pytest.mark.parametrize("age", ["30", "d", "-3d", "3x", "", "1.5d"])
def test_older_than_is_refused_when_it_is_no_age(age, capsys):
    with pytest.raises(SystemExit) as caught:
        build_parser().parse_args(["gc", f"--older-than={age}"])
    assert caught.value.code == 2
    assert "is not an age" in capsys.readouterr().err


def test_lock_upgrade_tells_nothing_all_and_some_apart():
    parse = build_parser().parse_args
    assert parse(["lock", "a.ipynb"]).upgrade is None
    assert parse(["lock", "a.ipynb", "--upgrade"]).upgrade == []
    assert parse(["lock", "a.ipynb", "--upgrade", "numpy", "scipy"]).upgrade == ["numpy", "scipy"]


@pytest.mark.parametrize(
    ("line", "notebook", "upgrade"),
    [
        ("lock --upgrade a.ipynb", "a.ipynb", []),
        ("lock --upgrade numpy a.ipynb scipy", "a.ipynb", ["numpy", "scipy"]),
        ("lock --upgrade nixenv.toml --python 3.12", "nixenv.toml", []),
        ("lock --upgrade numpy --quiet a.ipynb", "a.ipynb", ["numpy"]),
        ("lock a.ipynb --upgrade b.toml", "a.ipynb", ["b.toml"]),
        ("lock --python 3.12 a.ipynb", "a.ipynb", None),
    ],
)
def test_upgrade_does_not_swallow_the_notebook(line, notebook, upgrade):
    arguments = parse_command_line(line.split())

    assert (arguments.notebook, arguments.upgrade) == (notebook, upgrade)


def test_upgrade_gives_back_a_file_whatever_it_is_called(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "notebook.IPYNB").touch()

    assert parse_command_line(["lock", "--upgrade", "notebook.IPYNB"]).upgrade == []


@pytest.mark.parametrize("line", ["lock", "lock --upgrade", "lock --upgrade numpy"])
def test_lock_without_a_notebook_is_refused(line, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_command_line(line.split())
    assert caught.value.code == 2
    assert "required: NB" in capsys.readouterr().err


def test_shell_command_keeps_its_own_options():
    arguments = build_parser().parse_args(
        ["shell", "a.ipynb", "--", "python", "-c", "print(1)", "--json"]
    )
    assert arguments.command == ["python", "-c", "print(1)", "--json"]
    assert not arguments.json


@pytest.mark.parametrize(
    ("line", "name", "operands"),
    [
        ("init a.ipynb --python 3.8 numpy six", "requirements", ["numpy", "six"]),
        ("init --python 3.8 a.ipynb numpy", "requirements", ["numpy"]),
        ("init a.ipynb numpy --quiet six", "requirements", ["numpy", "six"]),
        ("add a.ipynb --quiet six", "requirements", ["six"]),
        ("add a.ipynb -e ./lib --quiet six", "requirements", ["-e ./lib", "six"]),
        ("init a.ipynb six -e .", "requirements", ["six", "-e ."]),
        ("add a.ipynb --private old six -e .", "requirements", ["six", "-e ."]),
        ("add --private old a.ipynb --process six", "requirements", ["six"]),
        ("add a.ipynb --private old --for six", "requirements", []),
        ("remove a.ipynb --private old", "names", []),
        ("remove a.ipynb --private old six", "names", ["six"]),
        ("remove six.ipynb six --private old attrs", "names", ["six", "attrs"]),
        ("shell a.ipynb -- bash -e x", "command", ["bash", "-e", "x"]),
        ("build a.ipynb --json b.ipynb", "notebooks", ["a.ipynb", "b.ipynb"]),
        ("shell a.ipynb --quiet -- python -V", "command", ["python", "-V"]),
        ("shell a.ipynb -- python -V", "command", ["python", "-V"]),
    ],
)
def test_operands_may_stand_on_either_side_of_options(line, name, operands):
    assert getattr(parse_command_line(line.split()), name) == operands


@pytest.mark.parametrize(
    "line",
    ["sync a.ipynb b.ipynb", "init a.ipynb --pyhton 3.8 numpy", "shell a.ipynb --nice -- ls"],
)
def test_what_no_verb_takes_is_refused(line, capsys):
    with pytest.raises(SystemExit):
        parse_command_line(line.split())
    assert "unrecognized arguments" in capsys.readouterr().err


@pytest.mark.parametrize("said", ["cuda", "cuda=", "=12.4"])
def test_half_a_variant_is_refused_with_how_to_write_one(said):
    lock = importlib.import_module("nixenv.cli.lock")
    with pytest.raises(UsageError) as caught:
        lock._substitutions([said], Spec(), None)
    assert "`--variant cuda=none`" in caught.value.hint


@pytest.mark.parametrize("line", ["add a.ipynb", "remove a.ipynb", "add a.ipynb --process"])
def test_only_a_private_group_needs_no_operand(line, capsys):
    with pytest.raises(SystemExit) as caught:
        parse_command_line(line.split())
    assert caught.value.code == 2
    assert "arguments are required" in capsys.readouterr().err
