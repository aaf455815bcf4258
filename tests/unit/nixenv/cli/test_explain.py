"""`nixenv explain`, from the arguments to what is printed."""

import json

import pytest

from nixenv.cli import main

DIRECT = {"url", "source", "commit", "subdirectory", "folder"}
KEYS = {"line", "kind", "name", "extras", "version", "build", "channel", "marker"}


def explain(capsys, *arguments):
    code = main(["explain", *arguments])
    captured = capsys.readouterr()
    return code, captured.out, captured.err


@pytest.mark.parametrize(
    ("line", "kind", "own"),
    [
        ("pandas[excel]>=1.5", "pypi", DIRECT),
        ("-e ./lib", "pypi", DIRECT),
        ("conda-forge::blas * mkl*", "conda", {"subdir", "build_number"}),
        ("nixpkgs#graphviz", "nixpkgs", {"repository", "revision"}),
    ],
)
def test_json_has_what_every_kind_has_and_what_only_this_one_has(capsys, line, kind, own):
    code, out, err = explain(capsys, line, "--json")
    answer = json.loads(out)
    assert (code, err, answer["kind"]) == (0, "", kind)
    assert set(answer) == KEYS | own


def test_text_shows_only_what_is_said(capsys):
    code, out, _ = explain(capsys, "conda-forge/linux-64::numpy =1.26")
    assert code == 0
    assert out.splitlines() == [
        "conda-forge/linux-64::numpy 1.26.*: a conda match spec",
        "  name     numpy",
        "  version  1.26.*",
        "  channel  conda-forge",
        "  subdir   linux-64",
    ]


def test_folder_is_explained_as_one(capsys):
    code, out, _ = explain(capsys, "-e ./lib/[x]")
    assert code == 0
    assert out.splitlines() == [
        "-e ./lib[x]: a folder with a project",
        "  extras  x",
        "  source  editable",
        "  folder  ./lib",
    ]


def test_refused_line_is_an_error_of_usage_with_both_readings(capsys):
    code, out, err = explain(capsys, "requests[socks] 2.24.0", "--json")
    error = json.loads(out)["error"]
    assert (code, error["type"], error["key"]) == (2, "RequirementError", "requirements")
    assert "`requests[socks]==2.24.0`" in error["message"]
    assert "`requests 2.24.0`" in error["message"]
    assert "could be read two ways" in err


def test_each_of_several_lines_is_answered(capsys):
    code, out, _ = explain(capsys, "numpy", "numpy mkl", "--json", "nixpkgs#a")
    first, second, third = map(json.loads, out.splitlines())
    assert code == 2
    assert (first["kind"], third["kind"]) == ("pypi", "nixpkgs")
    assert "two ways" in second["error"]["message"]
    code, out, _ = explain(capsys, "numpy", "nixpkgs#a")
    assert code == 0
    assert out.splitlines()[0] == "numpy: a PEP 508 requirement"


@pytest.mark.parametrize("line", ["--option", "-r file", "a\nb", "", "nixpkgs#${x}"])
def test_hostile_line_is_refused(capsys, line):
    code, out, err = explain(capsys, "--", line)
    assert (code, out) == (2, "")
    assert err.startswith("nixenv: the requirement `")
    assert err.count("\n") <= 3
