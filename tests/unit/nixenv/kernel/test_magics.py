"""The magics in IPython's own shell, with a stand-in for the engine."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell
from IPython.testing.globalipapp import start_ipython

import nixenv
from nixenv.kernel.dispatch import _foundation
from nixenv.kernel.verbs import VERBS

STANDIN = Path(__file__).with_name("engine_standin.py")


@pytest.fixture
def shell(monkeypatch, tmp_path) -> InteractiveShell:
    monkeypatch.setenv("NIXENV_ENGINE", json.dumps([sys.executable, str(STANDIN)]))
    monkeypatch.setenv("NIXENV_DOCUMENT", str(tmp_path / "a.ipynb"))
    monkeypatch.setenv("STANDIN", str(tmp_path / "plan.json"))
    start_ipython()
    running: InteractiveShell = InteractiveShell.instance()
    nixenv.load_ipython_extension(running)
    yield running
    nixenv.unload_ipython_extension(running)


@pytest.fixture
def engine(tmp_path):
    def say(**plan):
        (tmp_path / "plan.json").write_text(json.dumps(plan))

    return say


def heard(tmp_path) -> list[str]:
    return json.loads((tmp_path / "heard.json").read_text())["argv"]


def test_add_shows_progress_and_result_as_text_in_a_terminal(shell, engine, tmp_path, capsys):
    engine(
        events=[{"event": "phase", "name": "resolve"}],
        answer={"added": [{"name": "seaborn", "version": "0.12.2"}], "python": sys.executable},
    )
    assert shell.run_cell("%nixenv add seaborn").success
    assert heard(tmp_path)[:3] == ["add", str(tmp_path / "a.ipynb"), "seaborn"]
    out = capsys.readouterr().out.splitlines()
    assert out[0] == "%nixenv add seaborn: resolving"
    assert out[2:4] == ["packages: 1 added", "  +  seaborn  0.12.2"]
    assert out[4].startswith("this kernel is not a nixenv kernel")
    assert out[5].startswith("saved into `a.ipynb` on disk")


def test_cell_magic_adds_each_line(shell, engine, tmp_path):
    engine(answer={})
    assert shell.run_cell('%%nixenv add\npandas ==1.5\ntomli; python_version < "3.11"').success
    assert heard(tmp_path)[2:4] == ["pandas ==1.5", 'tomli; python_version < "3.11"']


def test_variables_are_filled_in(shell, engine, tmp_path):
    engine(answer={})
    shell.user_ns["version"] = "1.5"
    assert shell.run_cell("%nixenv add pandas=={version}").success
    assert heard(tmp_path)[2] == "pandas==1.5"


def test_engine_error_is_the_cells_error(shell, engine, capsys):
    engine(
        answer={"error": {"type": "ResolutionError", "message": "cannot `x`", "hint": "`h`"}},
        status=3,
    )
    result = shell.run_cell("%nixenv add x")
    assert type(result.error_in_exec).__name__ == "ResolutionError"
    assert capsys.readouterr().out == "ResolutionError: cannot `x`\n\nhint: `h`\n"


def test_line_without_a_verb_shows_help(shell, capsys):
    assert shell.run_cell("%nixenv").success
    assert capsys.readouterr().out.startswith("Usage: %nixenv VERB")


def test_question_mark_shows_usage_first(shell):
    found = shell.object_inspect("%nixenv")
    assert found["docstring"].startswith("Usage: %nixenv VERB")
    assert all(f"%nixenv {verb}" in found["docstring"] for verb in VERBS)


def test_tab_completes_verbs_and_requirements(shell, tmp_path):
    spec = {"nixenv": {"requirements": ["pandas==1.5", "seaborn"]}}
    (tmp_path / "a.ipynb").write_text(json.dumps({"metadata": spec, "cells": []}))
    with provisionalcompleter():
        for line, word in (("re", "remove"), ("remove se", "seaborn"), ("lock --u", "--upgrade")):
            typed = f"%nixenv {line}"
            found = [one.text for one in shell.Completer.completions(typed, len(typed))]
            assert found == [word]


def test_loading_twice_and_unloading(shell):
    registered = shell.find_line_magic("nixenv")
    nixenv.load_ipython_extension(shell)
    assert shell.find_line_magic("nixenv") is registered
    nixenv.unload_ipython_extension(shell)
    assert shell.find_line_magic("nixenv") is None
    assert shell.find_cell_magic("nixenv") is None


def test_other_installers_are_left_alone_in_a_kernel_that_is_not_ours(shell):
    assert type(shell.find_line_magic("pip").__self__).__name__ == "PackagingMagics"


def test_another_interpreter_is_called_what_it_is():
    conda = "/nix/store/{}-conda-prefix/bin/python3.11"
    assert _foundation(conda.format("a"), conda.format("b")) == "conda prefix"
    assert _foundation(conda.format("a"), "/nix/store/x-python/bin/python3") == "Python"
