"""Before, during and after the hand-over to a real kernel: nothing is lost, and everything passes.

Real processes, sockets and kernels; only what is started is the test's to choose (`stand_in.py`), so Nix
and registries are not needed here.
"""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
import zmq
from raw_kernel import (
    children_of,
    error_of,
    is_running,
    own_env,
    raw_kernel,
    text_of,
    wait_for,
)

STAND_IN = (sys.executable, Path(__file__).with_name("stand_in.py"))


@contextmanager
def stand_in(folder, *, ready=True, **changes):
    variables = {name: changes.pop(name) for name in ("FALLBACK", "VSCODE") if name in changes}
    env = {**own_env(), "IPYTHONDIR": str(folder / "ipython"), **variables}
    with raw_kernel(STAND_IN, folder, env, **changes) as kernel:
        if ready:
            kernel.client.wait_ready()
        yield kernel


def test_requests_of_any_kind_before_the_hand_over_are_answered_in_order(tmp_path):
    with stand_in(tmp_path) as kernel:
        client = kernel.client
        cells = [client.execute(code) for code in ("a = [1]; print(a)", "a.append(2)", "print(a)")]
        completed = client.send("complete_request", {"code": "a.app", "cursor_pos": 5})
        control = client.send(
            "debug_request", {"type": "request", "command": "debugInfo", "seq": 1}, "control"
        )
        answered = {
            kind: client.reply(client.send(f"{kind}_request", {"code": "1"}))
            for kind in ("kernel_info", "comm_info", "history", "is_complete")
        }
        assert client.until(lambda _: client.of(cells[0]))
        assert client.of(cells[0])[0]["content"] == {"execution_state": "busy"}
        kernel.say("go")
        replies = [client.reply(cell) for cell in cells]
        outputs = [client.outputs(cell) for cell in cells]

        assert answered["kernel_info"]["language_info"]["name"] == "python"
        assert answered["is_complete"]["status"] == "complete"
        assert [reply["execution_count"] for reply in replies] == [1, 2, 3]
        assert [text_of(output) for output in outputs] == ["[1]\n", "", "[1, 2]\n"]
        assert client.reply(completed)["matches"] == ["append"]
        assert client.reply(control)["success"]


def test_cell_shows_that_it_waits_and_then_only_its_own_output(tmp_path):
    with stand_in(tmp_path) as kernel:
        cell = kernel.client.execute("x = 1")
        shown = lambda seen: any(one["msg_type"] == "stream" for one in seen)  # noqa: E731
        assert kernel.client.until(shown)
        waiting = text_of(kernel.client.of(cell))
        kernel.say("go")
        outputs = kernel.client.outputs(cell)

        assert waiting == "nixenv: starting"
        # A cell that prints nothing must not keep it, so it goes before the next output comes.
        cleared = [one["content"] for one in outputs if one["msg_type"] == "clear_output"]
        assert cleared == [{"wait": False}]
        assert text_of(outputs) == ""


def test_nothing_is_published_when_nobody_waits(tmp_path):
    with stand_in(tmp_path) as kernel:
        kernel.say("go")
        kernel.client.wait_taken_over()
        kernel.client.run("1")
        about = [one for one in kernel.client.iopub if one["parent_header"]]
        assert "stream" not in {one["msg_type"] for one in about}
        # The talk between the two kernels is nobody's business.
        asked = {one["header"]["msg_id"] for one in kernel.client.replies}
        assert asked
        sessions = {one["parent_header"]["session"] for one in about}
        assert sessions == {kernel.client.kernel.session.session}


def test_no_request_is_lost_while_the_hand_over_happens(tmp_path):
    """A client that never stops asking: each cell is answered once, in order, with all its output."""
    with stand_in(tmp_path) as kernel:
        client = kernel.client
        kernel.say("go")
        cells = []
        while not cells or not client.kernel.shell_channel.socket.poll(1):
            cells.append(client.execute(f"print({len(cells)})"))
        cells += [
            client.execute(f"print({number})") for number in range(len(cells), len(cells) + 50)
        ]
        counts = [client.reply(cell)["execution_count"] for cell in cells]
        texts = [text_of(client.outputs(cell)) for cell in cells]

        assert len(cells) > 100
        assert counts == list(range(1, len(cells) + 1))
        assert texts == [f"{number}\n" for number in range(len(cells))]
        assert len(client.replies) - len({str(one["parent_header"]) for one in client.replies}) == 0


def test_first_cell_may_ask_for_input(tmp_path):
    """The kernel drops a question to a client that it does not know on stdin yet."""
    with stand_in(tmp_path) as kernel:
        client = kernel.client
        cell = client.execute("print('got', input('name: '))", allow_stdin=True)
        kernel.say("go")
        question = client.kernel.get_stdin_msg(timeout=60)
        client.kernel.input("ana")
        outputs = client.outputs(cell)

        assert question["content"]["prompt"] == "name: "
        assert text_of(outputs) == "got ana\n"


def test_two_clients_have_their_own_replies_and_see_each_others_output(tmp_path):
    with stand_in(tmp_path) as kernel:
        first, second = kernel.client, kernel.connect()
        second.wait_ready()
        one, other = first.execute("print('one')"), second.execute("print('other')")
        kernel.say("go")
        for client in (first, second):
            assert text_of(client.outputs(one)) == "one\n"
            assert text_of(client.outputs(other)) == "other\n"
        assert first.reply(one)["status"] == second.reply(other)["status"] == "ok"
        assert all(reply["parent_header"]["msg_id"] != other for reply in first.replies)
        # And one that comes when the first has gone.
        first.kernel.stop_channels()
        third = kernel.connect()
        third.wait_ready()
        assert text_of(third.run("print('third')")) == "third\n"


def test_vs_codes_own_code_is_confirmed_at_once_and_runs_before_the_first_cell(tmp_path):
    with stand_in(tmp_path, VSCODE="1") as kernel:
        client = kernel.client
        own = [
            client.execute("print('probe'); x = 1", store_history=False),
            client.execute("import nowhere", store_history=False),
        ]
        assert [client.reply(one)["status"] for one in own] == ["ok", "ok"]
        cell = client.execute("print(x)")
        kernel.say("go")
        assert text_of(client.outputs(cell)) == "1\n"
        assert client.reply(cell)["execution_count"] == 1
        # What the client's own code says later is said to nobody, and certainly not to the cell.
        assert "probe" not in text_of(client.iopub)
        assert error_of(client.iopub) is None


@pytest.mark.parametrize("how", ["signal", "message"])
def test_interrupt_stops_the_build_and_the_cell_says_so(tmp_path, how):
    with stand_in(tmp_path) as kernel:
        client = kernel.client
        cell = client.execute("print('never')")
        client.until(lambda seen: any(one["msg_type"] == "stream" for one in seen))
        if how == "signal":
            os.killpg(kernel.process.pid, signal.SIGINT)
        else:
            asked = client.send("interrupt_request", {}, "control")
            assert client.reply(asked)["status"] == "ok"
        outputs = client.outputs(cell)
        assert "stopped on request" in error_of(outputs)["evalue"]
        assert "never" not in text_of(outputs)


def test_interrupt_while_the_kernel_starts_gives_up_the_cells_only(tmp_path):
    with stand_in(tmp_path) as kernel:
        client = kernel.client
        cells = [client.execute(code) for code in ("1", "2")]
        kernel.say("hang")
        (child,) = wait_for(kernel.children)
        os.killpg(kernel.process.pid, signal.SIGINT)
        replies = [client.reply(cell) for cell in cells]
        assert [reply["status"] for reply in replies] == ["error", "aborted"]
        assert replies[0]["ename"] == "KeyboardInterrupt"
        assert text_of(client.outputs(cells[0])) == ""
        assert is_running(child)


@pytest.mark.parametrize("when", ["before", "while it starts", "after"])
def test_shutdown_ends_everything_and_is_confirmed(tmp_path, when):
    with stand_in(tmp_path) as kernel:
        client = kernel.client
        if when == "while it starts":
            kernel.say("hang")
            wait_for(kernel.children)
        elif when == "after":
            kernel.say("go")
            client.run("1")
        left = kernel.children()
        asked = client.send("shutdown_request", {"restart": True}, "control")
        assert client.reply(asked) == {"status": "ok", "restart": True}
        assert kernel.process.wait(20) == 0
        assert not any(is_running(pid) for pid in left)
        assert client.until(lambda seen: any(one["msg_type"] == "shutdown_reply" for one in seen))


@pytest.mark.parametrize("is_up", [True, False])
def test_sigterm_ends_everything_and_shows_in_the_status(tmp_path, is_up):
    with stand_in(tmp_path) as kernel:
        if is_up:
            kernel.say("go")
            kernel.client.run("1")
        left = kernel.children()
        kernel.process.terminate()
        assert kernel.process.wait(20) == -signal.SIGTERM
        assert not any(is_running(pid) for pid in left)


@pytest.mark.parametrize(
    ("code", "status"),
    [("import os; os._exit(7)", 7), ("import os, signal; os.kill(os.getpid(), 9)", -9)],
    ids=["exit", "signal"],
)
def test_end_of_the_kernel_is_our_end(tmp_path, code, status):
    with stand_in(tmp_path) as kernel:
        kernel.say("go")
        kernel.client.run("1")
        kernel.client.execute(code)
        assert kernel.process.wait(20) == status


@pytest.mark.skipif(sys.platform != "linux", reason="ipykernel's own watch needs seconds")
@pytest.mark.parametrize("word", ["go", "hang"])
def test_kernel_does_not_outlive_a_killed_bootstrap(tmp_path, word):
    with stand_in(tmp_path) as kernel:
        kernel.say(word)
        if word == "go":
            kernel.client.run("1")
        (child,) = wait_for(kernel.children)
        os.killpg(kernel.process.pid, signal.SIGKILL)
        kernel.process.wait(20)
        wait_for(lambda: not is_running(child))


def test_kernel_that_dies_at_once_says_why(tmp_path):
    with stand_in(tmp_path) as kernel:
        client = kernel.client
        cell = client.execute("print('never')")
        kernel.say("die")
        error = error_of(client.outputs(cell))
        assert "ended with exit status 1 before it could run anything" in error["evalue"]
        assert "no module named nowhere" in error["evalue"]
        assert "never" not in text_of(client.of(cell))


def test_nothing_that_starts_still_answers_the_cell(tmp_path):
    with stand_in(tmp_path, FALLBACK="die") as kernel:
        client = kernel.client
        cell = client.execute("print('never')")
        kernel.say("die")
        assert "no module named nowhere" in client.reply(cell)["evalue"]
        assert kernel.process.wait(20) == 1


COMMS = """
def opened(comm, message):
    comm.on_msg(lambda message: comm.send({"echo": message["content"]["data"]}, buffers=message["buffers"]))
get_ipython().kernel.comm_manager.register_target("echo", opened)
"""


def echoes(client):
    return [one for one in client.iopub if one["msg_type"] == "comm_msg"]


def test_comms_opened_before_the_hand_over_live(tmp_path):
    with stand_in(tmp_path) as kernel:
        client = kernel.client
        client.execute(COMMS)
        client.send("comm_open", {"comm_id": "c1", "target_name": "echo", "data": {}})
        large = os.urandom(10 << 20)
        client.send("comm_msg", {"comm_id": "c1", "data": {"n": 1}}, buffers=[large])
        kernel.say("go")
        assert client.until(lambda _: echoes(client))
        assert echoes(client)[0]["content"]["data"] == {"echo": {"n": 1}}
        assert bytes(echoes(client)[0]["buffers"][0]) == large
        assert client.reply(client.send("comm_info_request", {}))["comms"] == {
            "c1": {"target_name": "echo"}
        }


def test_machine_that_sleeps_in_the_middle_goes_on(tmp_path):
    with stand_in(tmp_path) as kernel:
        cell = kernel.client.execute("print('awake')")
        os.killpg(kernel.process.pid, signal.SIGSTOP)
        kernel.say("go")
        later = kernel.client.execute("print('later')")
        os.killpg(kernel.process.pid, signal.SIGCONT)
        assert text_of(kernel.client.outputs(cell)) == "awake\n"
        assert text_of(kernel.client.outputs(later)) == "later\n"


def test_unix_sockets_of_a_client_are_served_too(tmp_path):
    with stand_in(tmp_path, transport="ipc", ip=f"/tmp/nixenv-test-{os.getpid()}") as kernel:
        kernel.say("go")
        assert text_of(kernel.client.run("print('over ipc')")) == "over ipc\n"


@pytest.mark.skipif(not zmq.has("curve"), reason="this ZeroMQ cannot encrypt")
def test_encrypted_connection_is_served_encrypted(tmp_path):
    pytest.importorskip("jupyter_client", minversion="8.9")
    public, secret = zmq.curve_keypair()
    with stand_in(tmp_path, curve_publickey=public, curve_secretkey=secret) as kernel:
        kernel.say("go")
        assert text_of(kernel.client.run("print('in secret')")) == "in secret\n"


def test_unsigned_request_is_ignored(tmp_path):
    with stand_in(tmp_path) as kernel:
        client = kernel.client
        key, client.kernel.session.key = client.kernel.session.key, b"another key"
        client.execute("print('never')")
        client.kernel.session.key = key
        kernel.say("go")
        assert text_of(client.run("print('signed')")) == "signed\n"
        assert "never" not in text_of(client.iopub)


def test_private_folder_is_gone_when_the_kernel_is(tmp_path):
    with stand_in(tmp_path) as kernel:
        kernel.say("go")
        outputs = kernel.client.run("import ipykernel; print(ipykernel.get_connection_file())")
        file = Path(text_of(outputs).strip())
        assert file.name == Path(kernel.file).name
        assert children_of(kernel.process.pid)
        kernel.client.kernel.shutdown()
        assert kernel.process.wait(20) == 0
        assert not file.parent.exists()


@pytest.fixture(scope="module")
def taken_over(tmp_path_factory):
    """A kernel that has taken over, for what comes after."""
    with stand_in(tmp_path_factory.mktemp("shared")) as kernel:
        kernel.say("go")
        kernel.client.wait_taken_over()
        yield kernel


def test_large_messages_pass_both_ways(taken_over):
    client = taken_over.client
    client.run(COMMS)
    client.send("comm_open", {"comm_id": "large", "target_name": "echo", "data": {}})
    large = os.urandom(50 << 20)
    client.send("comm_msg", {"comm_id": "large", "data": {}}, buffers=[large])
    assert client.until(lambda _: echoes(client))
    assert bytes(echoes(client)[0]["buffers"][0]) == large


def test_fast_output_is_complete(taken_over):
    outputs = taken_over.client.run("for i in range(800): print(i, flush=True)")
    assert text_of(outputs).split() == [str(number) for number in range(800)]


def test_debugger_can_be_attached(taken_over):
    pytest.importorskip("debugpy")
    client = taken_over.client
    for number, command in enumerate(("initialize", "attach"), 1):
        arguments = {"clientID": "tests", "adapterID": "", "pathFormat": "path"}
        content = {"type": "request", "seq": number, "command": command, "arguments": arguments}
        answer = client.reply(client.send("debug_request", content, "control"))
        assert answer["success"], answer
    assert client.until(lambda seen: any(one["msg_type"] == "debug_event" for one in seen))


COUNTING = """
import signal, time
caught = []
before = signal.signal(signal.SIGINT, lambda number, frame: caught.append(number))
print('begun', flush=True)
until = time.monotonic() + 30
while not caught and time.monotonic() < until: time.sleep(0.01)
time.sleep(0.2)
signal.signal(signal.SIGINT, before)
print(len(caught))
"""


@pytest.mark.parametrize("send", [os.killpg, os.kill], ids=["as Jupyter", "as VS Code"])
def test_interrupt_reaches_a_running_cell_once(taken_over, send):
    client = taken_over.client
    cell = client.execute(COUNTING)
    client.until(lambda _: "begun" in text_of(client.of(cell)))
    send(taken_over.process.pid, signal.SIGINT)
    assert text_of(client.outputs(cell)) == "begun\n1\n"


def test_interrupt_wakes_a_cell_that_sleeps(taken_over):
    client = taken_over.client
    cell = client.execute("print('asleep', flush=True); import time; time.sleep(60)")
    client.until(lambda _: "asleep" in text_of(client.of(cell)))
    os.killpg(taken_over.process.pid, signal.SIGINT)
    assert client.reply(cell)["ename"] == "KeyboardInterrupt"


def test_client_that_comes_late_is_greeted_and_served(taken_over):
    late = taken_over.connect()
    late.wait_ready()
    assert text_of(late.run("print('late')")) == "late\n"
    late.kernel.stop_channels()
    assert text_of(taken_over.client.run("print('still')")) == "still\n"


def test_heart_beats(tmp_path, taken_over):
    with stand_in(tmp_path) as before:
        for kernel in (before, taken_over):
            port = kernel.client.kernel.get_connection_info()["hb_port"]
            with zmq.Context() as context, context.socket(zmq.REQ) as heart:
                heart.linger = 0
                heart.connect(f"tcp://127.0.0.1:{port}")
                heart.send(b"ping")
                assert heart.poll(20_000)
                assert heart.recv() == b"ping"
