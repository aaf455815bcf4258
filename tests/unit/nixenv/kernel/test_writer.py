"""Who writes what a cell changes: its page where it has one, else the engine."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

from nixenv.kernel import comms, page
from nixenv.kernel.failure import KernelSideError
from nixenv.kernel.page import Pages
from nixenv.kernel.session import current_session
from nixenv.kernel.writer import desk, writing_page

SPEC = {"version": 1, "requirements": ["six"]}


@pytest.fixture(autouse=True)
def fresh(monkeypatch, tmp_path):
    """A process without pages, whose letters lie in a folder of this test."""
    found = Pages()
    monkeypatch.setattr(page, "_pages", [found])
    monkeypatch.setenv("NIXENV_CACHE_DIR", str(tmp_path / "cache"))
    monkeypatch.setenv("NIXENV_DOCUMENT", str(tmp_path / "a.ipynb"))
    return found


def request(session: str):
    """A shell that carries out a request of this client."""
    return SimpleNamespace(get_parent=lambda: {"header": {"session": session}})


def kernel_shell():
    """A shell with ipykernel's comm manager, as far as it is used."""
    manager = SimpleNamespace(targets={})
    manager.register_target = manager.targets.__setitem__
    return SimpleNamespace(kernel=SimpleNamespace(comm_manager=manager))


def test_comms_of_pages_come_in_until_the_extension_is_unloaded(fresh):
    shell = kernel_shell()
    comms.listen(shell)
    told, comm = {}, SimpleNamespace(comm_id="c", send=print)
    comm.on_msg = lambda call: told.update(msg=call)
    comm.on_close = lambda call: told.update(close=call)
    data = {"version": 1, "path": "a.ipynb", "nixenv": None}
    opening = {"header": {"session": "s"}, "content": {"data": data}}
    shell.kernel.comm_manager.targets["nixenv"](comm, opening)
    told["msg"]({"content": {"data": {"nixenv": SPEC}}})
    assert fresh.value_of(comms.page_of_request(request("s"))) == SPEC
    told["close"]({})
    assert comms.page_of_request(request("s")) is None
    comms.stop_listening(shell)
    comms.stop_listening(shell)
    assert shell.kernel.comm_manager.targets == {}


def test_terminal_has_no_pages():
    comms.listen(SimpleNamespace(kernel=None))
    assert writing_page(SimpleNamespace()) is None


def test_engine_works_on_the_pages_value_and_the_page_gets_the_result(fresh, tmp_path):
    sent = []
    fresh.opened("c", "s", {"path": "x/a.ipynb", "nixenv": SPEC}, sent.append)
    found = writing_page(request("s"))
    session = current_session(request("s"), found.name)
    with desk(session, found) as place:
        mailbox = Path(place.session.document)
        before = json.loads(mailbox.read_text())
        assert before == {
            "notebook": "a.ipynb",
            "nixenv": SPEC,
            "user": str(tmp_path / "a.ipynb"),
        }
        assert place.hand_over(is_changed=True) == ""
        mailbox.write_text(json.dumps({**before, "nixenv": {**SPEC, "lock": {}}}))
        assert place.hand_over(is_changed=True).endswith("save the notebook to keep it")
        assert "asks which" not in place.hand_over(is_changed=True)
        fresh.told("c", {"nixenv": {"version": 1}})
        assert "asks which of the two to keep" in place.hand_over(is_changed=True)
    assert sent[0] == {"serial": 1, "base": SPEC, "nixenv": {**SPEC, "lock": {}}}
    assert not mailbox.parent.exists()


def test_mailbox_that_is_gone_is_an_error_of_the_cell(fresh):
    fresh.opened("c", "s", {"path": "a.ipynb", "nixenv": SPEC}, print)
    found = writing_page(request("s"))
    with desk(current_session(request("s"), found.name), found) as place:
        Path(place.session.document).unlink()
        with pytest.raises(KernelSideError, match=r"`a.ipynb` cannot be changed in its page"):
            place.hand_over(is_changed=True)


def test_value_that_is_no_json_is_an_error_of_the_cell(fresh):
    value: list[object] = []
    for _ in range(100_000):
        value = [value]
    fresh.opened("c", "s", {"path": "a.ipynb", "nixenv": value}, print)
    found = writing_page(request("s"))
    place = desk(current_session(request("s"), found.name), found)
    with pytest.raises(KernelSideError, match=r"metadata of `a.ipynb` cannot be given"), place:
        pass


def test_notebook_that_says_nothing_leaves_its_project_to_the_engine(fresh, monkeypatch):
    monkeypatch.setenv("NIXENV_DOCUMENT", "/p/nixenv.toml")
    fresh.opened("c", "s", {"path": "a.ipynb", "nixenv": None}, print)
    assert writing_page(request("s")) is None
    with desk(current_session(request("s")), None) as place:
        assert place.session.document == "/p/nixenv.toml"
        assert place.hand_over(is_changed=True) == "saved into `nixenv.toml`"
        assert place.hand_over(is_changed=False) == ""
    fresh.told("c", {"nixenv": SPEC})
    assert writing_page(request("s")) is not None
