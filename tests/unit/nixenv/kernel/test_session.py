from __future__ import annotations

import json
import sys
from types import SimpleNamespace

import pytest

from nixenv.kernel.failure import KernelSideError
from nixenv.kernel.session import current_session


@pytest.fixture(autouse=True)
def _no_variables(monkeypatch):
    for name in ("NIXENV_DOCUMENT", "NIXENV_NOTEBOOK", "NIXENV_ENGINE", "JPY_SESSION_NAME"):
        monkeypatch.delenv(name, raising=False)


def shell(**names):
    return SimpleNamespace(user_ns=names)


def test_plain_kernel_uses_its_own_installation(tmp_path, monkeypatch):
    notebook = tmp_path / "a.ipynb"
    notebook.touch()
    monkeypatch.setenv("JPY_SESSION_NAME", str(notebook))
    session = current_session(shell())
    assert session.document == str(notebook)
    assert session.engine == (sys.executable, "-m", "nixenv")
    assert not session.owns_environment


def test_vscode_notebook_comes_first(tmp_path, monkeypatch):
    for name in ("a.ipynb", "b.ipynb"):
        (tmp_path / name).touch()
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path / "a.ipynb"))
    session = current_session(shell(__vsc_ipynb_file__=str(tmp_path / "b.ipynb")))
    assert session.notebook_name == "b.ipynb"


def test_what_is_no_notebook_is_not_believed(tmp_path, monkeypatch):
    monkeypatch.setenv("JPY_SESSION_NAME", str(tmp_path))
    with pytest.raises(KernelSideError) as failed:
        current_session(shell(__session__="/gone/a.ipynb"))
    assert failed.value.kind == "NotebookNotFoundError"
    assert failed.value.message.splitlines()[1] == f"  tried `/gone/a.ipynb`, `{tmp_path}`"


def test_mailbox_goes_by_the_notebooks_name(monkeypatch):
    monkeypatch.setenv("NIXENV_DOCUMENT", "/run/mail.json")
    monkeypatch.setenv("NIXENV_NOTEBOOK", "/n/report.ipynb")
    monkeypatch.setenv("NIXENV_ENGINE", json.dumps(["/e/python", "-m", "nixenv"]))
    session = current_session(shell())
    assert (session.document, session.notebook_name) == ("/run/mail.json", "report.ipynb")
    assert session.engine == ("/e/python", "-m", "nixenv")


@pytest.mark.parametrize("text", ["python -m nixenv", "[]", "{}", "[3]"])
def test_engine_variable_that_is_no_command_is_refused(monkeypatch, text):
    monkeypatch.setenv("NIXENV_DOCUMENT", "/n/a.ipynb")
    monkeypatch.setenv("NIXENV_ENGINE", text)
    with pytest.raises(KernelSideError) as failed:
        current_session(shell())
    assert failed.value.kind == "SettingError"


def test_page_brings_the_notebook_and_its_name_stays_on_one_line():
    session = current_session(shell(), "a\nb ä.ipynb").on("/mail/box.json")
    assert (session.document, session.notebook_name) == ("/mail/box.json", "a\\nb ä.ipynb")
