from __future__ import annotations

import pytest

from nixenv.cli.parser import build_parser
from nixenv.kernel.failure import KernelSideError
from nixenv.kernel.verbs import VERBS, parse_cell, parse_line


@pytest.mark.parametrize(
    ("line", "verb", "arguments"),
    [
        ("add pandas==1.5 numpy", "add", ("pandas==1.5", "numpy")),
        ('add "tensorflow >=2.3.0 mkl*"', "add", ("tensorflow >=2.3.0 mkl*",)),
        ("remove a", "remove", ("a",)),
        ('add --private old "pandas==2.0.3"', "add", ("--private", "old", "pandas==2.0.3")),
        ("add pandas==2.0.3 --private old --process", "add", ("pandas==2.0.3", "--private", "old", "--process")),
        ("add --private=old --process", "add", ("--private=old", "--process")),
        ("add --private somelib --for somelib", "add", ("--private", "somelib", "--for", "somelib")),
        ("remove --private old", "remove", ("--private", "old")),
        ("remove --private old click", "remove", ("--private", "old", "click")),
        ("lock", "lock", ()),
        ("lock --upgrade numpy pandas --as-of 2023-01-01", "lock",
         ("--upgrade", "numpy", "pandas", "--as-of", "2023-01-01")),
        ("lock --as-of=2023-01-01", "lock", ("--as-of=2023-01-01",)),
        ("tree --why numpy", "tree", ("--why", "numpy")),
        ("  status  ", "status", ()),
    ],
)  # fmt: skip
def test_line_is_a_command(line, verb, arguments):
    command = parse_line(line)
    assert command is not None
    assert (command.verb.name, command.arguments) == (verb, arguments)


@pytest.mark.parametrize("line", ["", "  ", "help", "--help"])
def test_line_asks_for_help(line):
    assert parse_line(line) is None


@pytest.mark.parametrize(
    ("line", "message", "hint"),
    [
        ("ad x", "`ad` is not a verb of `%nixenv`", "did you mean `add`?"),
        ("add", "`%nixenv add` needs to be told what to add", "%nixenv add REQUIREMENT … [--private GROUP …]"),
        ("add --private", "`--private` needs a value", "%nixenv add REQUIREMENT … [--private GROUP …]"),
        ("add x --private --process", "`--private` needs a value", "%nixenv add REQUIREMENT … [--private GROUP …]"),
        ("remove --process x", "`%nixenv remove` has no option `--process`", ""),
        ("remove", "`%nixenv remove` needs to be told what to remove", "%nixenv remove NAME … [--private GROUP]"),
        ("add --upgrad x", "`%nixenv add` has no option `--upgrad`", ""),
        ("lock --upgrad", "`%nixenv lock` has no option `--upgrad`", "did you mean `--upgrade`?"),
        ("lock numpy", "`%nixenv lock` does not understand `numpy`",
         "%nixenv lock [--upgrade [NAME …]] [--as-of DATE] [--python X.Y] [--variant NAME=CHOICE]"),
        ("lock --as-of", "`--as-of` needs a value", "%nixenv lock [--upgrade [NAME …]] [--as-of DATE] [--python X.Y] [--variant NAME=CHOICE]"),
        ("tree --wy", "`%nixenv tree` has no option `--wy`", "did you mean `--why`?"),
        ("tree numpy", "`%nixenv tree` does not understand `numpy`", "%nixenv tree [--why [NAME]]"),
        ("status now", "`%nixenv status` does not understand `now`", "%nixenv status"),
        ('add "pandas', 'a quote is left open in `%nixenv add "pandas`', ""),
    ],
)  # fmt: skip
def test_line_is_refused(line, message, hint):
    with pytest.raises(KernelSideError) as refused:
        parse_line(line)
    assert refused.value.kind == "UsageError"
    assert refused.value.message.splitlines()[0] == message
    assert refused.value.hint == hint


def test_cell_has_one_requirement_a_line():
    cell = '# for plots\nseaborn >=0.12\n\ntomli; python_version < "3.11"  # old\nx[a,b]==1 #c\n'
    command = parse_cell("add", cell)
    assert command.verb.name == "add"
    assert command.arguments == ("seaborn >=0.12", 'tomli; python_version < "3.11"', "x[a,b]==1")


def test_cell_may_name_a_private_group():
    command = parse_cell("add --private old --python 3.8", "click ==7.0\njinja2\n")
    assert command.arguments == ("--private", "old", "--python", "3.8", "click ==7.0", "jinja2")


def test_cell_without_a_verb_adds():
    assert parse_cell("", "numpy").verb.name == "add"


@pytest.mark.parametrize(
    ("line", "cell"),
    [
        ("list", "x"),
        ("add pandas", "x"),
        ("add --private old pandas", "x"),
        ("sync", "x"),
        ("ad", "x"),
        ("add", "\n# x\n"),
    ],
)
def test_cell_is_refused(line, cell):
    with pytest.raises(KernelSideError) as refused:
        parse_cell(line, cell)
    assert refused.value.kind == "UsageError"


@pytest.mark.parametrize("verb", VERBS)
def test_engine_understands_every_verb(verb):
    """The engine's own parser takes what the kernel would send."""
    operands = ["x"] if VERBS[verb].operands == "required" else []
    options = [
        word
        for name, has_value in VERBS[verb].options.items()
        for word in ([name, "2024-01-01"] if has_value else [name])
    ]
    argv = [verb, "a.ipynb", *operands, *options, "--json", "--events"]
    assert build_parser().parse_args(argv).verb == verb


@pytest.mark.parametrize(
    "line",
    ["-e ./lib", "'-e ./lib'", "-e=./lib", "--editable ./lib", "--editable=./lib"],
)
def test_an_editable_folder_is_a_requirement(line):
    (word, other) = parse_line(f"add {line} six").arguments
    assert word in ("-e ./lib", "--editable ./lib")
    assert other == "six"
    assert parse_cell("add", "-e ./lib\nsix").arguments == ("-e ./lib", "six")


@pytest.mark.parametrize("line", ["add -e", "add six -e", "list -e ./lib", "add -f ./lib"])
def test_other_options_are_none(line):
    with pytest.raises(KernelSideError):
        parse_line(line)
