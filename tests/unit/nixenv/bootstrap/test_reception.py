"""Requests that come before the kernel: what is answered, what waits, and in which order."""

import pytest

from nixenv.bootstrap.answers import is_complete
from nixenv.bootstrap.messages import Message, new_header
from nixenv.bootstrap.reception import (
    CellAsked,
    InterruptAsked,
    PathTold,
    Publish,
    Reception,
    Reply,
    ShutdownAsked,
)


def request(kind, **content):
    message = Message((), (b"client",), new_header(kind), {})
    message.__dict__["content"] = content
    return message


def cell(code="1", **more):
    return request("execute_request", code=code, store_history=True, silent=False, **more)


def own_code(code="1", **more):
    """As VS Code runs what no user wrote."""
    return request("execute_request", code=code, store_history=False, silent=False, **more)


def states(actions):
    return [action.content["execution_state"] for action in actions if isinstance(action, Publish)]


def test_kernel_info_is_answered_between_busy_and_idle():
    asked = request("kernel_info_request")
    busy, reply, idle = Reception(python="3.9.18").receive("control", asked)

    assert (busy.content, idle.content) == (
        {"execution_state": "busy"},
        {"execution_state": "idle"},
    )
    assert busy.parent is idle.parent is asked.header
    assert isinstance(reply, Reply)
    assert (reply.channel, reply.request) == ("control", asked)
    assert reply.content["language_info"]["version"] == "3.9.18"
    assert reply.content["status"] == "ok"


@pytest.mark.parametrize(
    ("kind", "expected"),
    [
        ("comm_info_request", {"comms": {}}),
        ("history_request", {"history": []}),
        ("is_complete_request", {}),
    ],
)
def test_what_needs_no_kernel_is_answered(kind, expected):
    reception = Reception()
    _, reply, _ = reception.receive("shell", request(kind, code="1"))
    assert expected.items() <= reply.content.items()
    assert reception.held == []


@pytest.mark.parametrize(
    ("code", "status"),
    [
        ("1", "complete"),
        ("def f():", "incomplete"),
        ("print('''x", "incomplete"),
        ("%matplotlib inline", "unknown"),
        ("import = 7", "unknown"),
    ],
)
def test_completeness_is_said_as_far_as_it_is_known(code, status):
    assert is_complete(code)["status"] == status


def test_everything_else_waits_in_order_with_its_channel():
    reception = Reception()
    asked = [
        ("shell", cell("a = 1")),
        ("shell", request("complete_request")),
        ("control", request("debug_request")),
        ("shell", request("comm_open")),
        ("stdin", request("input_reply")),
        ("shell", cell("b = 2")),
    ]
    for channel, message in asked:
        list(reception.receive(channel, message))

    assert reception.take() == asked
    assert reception.take() == []


def test_kernel_is_busy_as_long_as_a_cell_waits():
    reception, first = Reception(), cell()
    assert states(reception.receive("shell", first)) == ["busy"]
    assert states(reception.receive("shell", cell())) == []
    answered = list(reception.receive("shell", request("kernel_info_request")))

    assert states(answered) == ["busy", "idle", "busy"]
    assert answered[-1].parent is first.header
    assert reception.cell is first.header


def test_code_of_the_client_itself_is_confirmed_where_the_client_waits_for_that():
    reception, asked = Reception(acknowledges=True), own_code("import ipywidgets")
    busy, reply, idle = reception.receive("shell", asked)

    assert reply.content["status"] == "ok"
    assert (busy.parent, idle.parent) == (asked.header, asked.header)
    assert reception.take_early() == ["import ipywidgets"]
    assert reception.held == reception.take_early() == []


def test_code_of_the_client_itself_waits_where_the_notebook_is_known():
    reception = Reception()
    assert list(reception.receive("shell", own_code())) == []
    assert len(reception.held) == 1


def test_code_whose_values_are_wanted_waits():
    reception = Reception(acknowledges=True)
    list(reception.receive("shell", own_code(user_expressions={"x": "1"})))
    assert len(reception.held) == 1


def test_code_after_a_cell_stays_after_it():
    reception = Reception(acknowledges=True)
    asked = [cell("a = 1"), own_code("a")]
    for message in asked:
        list(reception.receive("shell", message))
    assert [message for _, message in reception.held] == asked


def test_path_is_told_by_code_that_runs_all_the_same():
    reception = Reception(acknowledges=True)
    code = 'x = 1\n__vsc_ipynb_file__ = "/n/a.ipynb"\n'
    actions = list(reception.receive("shell", own_code(code)))
    assert actions[-1] == PathTold(("/n/a.ipynb",))
    assert reception.take_early() == [code]


def test_cell_says_that_a_user_waits():
    asked = cell()
    assert CellAsked(asked.header) in Reception().receive("shell", asked)
    assert CellAsked not in map(type, Reception().receive("shell", own_code()))


def test_interrupt_and_shutdown_are_confirmed_before_they_are_done():
    interrupted = list(Reception().receive("control", request("interrupt_request")))
    ended = list(Reception().receive("shell", request("shutdown_request", restart=True)))

    assert interrupted[-1] == InterruptAsked()
    assert interrupted[1].content == {"status": "ok"}
    assert ended[-1] == ShutdownAsked()
    assert ended[1].content == {"status": "ok", "restart": True}
    assert [one.kind for one in ended if isinstance(one, Publish)][-1] == "shutdown_reply"


def test_interrupt_fails_the_first_cell_and_aborts_the_rest():
    reception = Reception()
    asked = [cell("a"), request("complete_request"), cell("b")]
    for message in asked:
        list(reception.receive("shell", message))
    actions = list(reception.interrupt())

    replies = [action for action in actions if isinstance(action, Reply)]
    assert [reply.content["status"] for reply in replies] == ["error", "aborted"]
    assert replies[0].content["ename"] == "KeyboardInterrupt"
    assert [one.kind for one in actions if isinstance(one, Publish)] == [
        "error",
        "status",
        "status",
    ]
    assert reception.take() == [("shell", asked[1])]
