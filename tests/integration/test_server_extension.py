"""What pages say to a real Jupyter server, what they are told, and what kernels start in because of it."""

from __future__ import annotations

import http.client
import json
import re
import socket
import time
import urllib.parse
import uuid
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from pathlib import Path

import jsonschema
import pytest
import websocket
from live_server import TOKEN, live_server
from test_server import WHERE, _fresh_store, _plain, _wait, children, is_fallback

import nixenv.server

pytestmark = [pytest.mark.daemon, pytest.mark.network]

ENABLED = "--ServerApp.jpserver_extensions=nixenv=True"
DISABLED = "--ServerApp.jpserver_extensions=nixenv=False"
SERVED = Path(nixenv.server.__file__).parent
SCHEMA = json.loads((SERVED / "task-1.json").read_text())
OPENAPI = json.loads((SERVED / "openapi.json").read_text())


@pytest.fixture(scope="module")
def server(engine_home, tmp_path_factory):
    root = tmp_path_factory.mktemp("server") / "root"
    env = {**engine_home.process_env, "NIXENV_CACHE_DIR": str(root.parent / "cache")}
    with live_server(root, env, ENABLED) as running:
        yield running


@pytest.fixture
def folder(server):
    name = f"work-{uuid.uuid4().hex[:8]}"
    (server.root / name).mkdir()
    yield name
    for session in server.request("GET", "api/sessions"):
        if name in session["path"]:
            server.request("DELETE", f"api/sessions/{session['id']}")


@pytest.fixture(scope="module")
def spec(engine_home):
    """Spec and lock of an environment that is there."""
    return json.loads((engine_home.folder / "3.11.ipynb").read_text())["metadata"]["nixenv"]


def ask(server, method, path, body=None, headers=None):
    """Status, headers and JSON of an answer below `nixenv/api/`, whatever they are."""
    with closing(http.client.HTTPConnection(server.url.removeprefix("http://"), timeout=60)) as to:
        if headers is None:
            headers = {"Authorization": f"token {TOKEN}"}
        data = body if isinstance(body, bytes) or body is None else json.dumps(body).encode()
        to.request(method, f"/nixenv/api/{path}", data, headers)
        answer = to.getresponse()
        text = answer.read()
    is_json = text and "json" in answer.headers["Content-Type"]
    return answer.status, answer.headers, json.loads(text) if is_json else None


def announce(server, path, nixenv, *, dirty=True):
    quoted = urllib.parse.quote(path)
    status, _, said = ask(server, "PUT", f"documents/{quoted}", {"nixenv": nixenv, "dirty": dirty})
    assert status == 204, said


def start(server, path):
    """A task for the notebook at `path`."""
    status, headers, task = ask(server, "POST", "tasks", {"path": path})
    assert status == 202, task
    assert headers["Location"] == f"/nixenv/api/tasks/{task['id']}"
    jsonschema.validate(task, SCHEMA)
    return task


def ended(server, task):
    """The task when it runs no more."""
    return _wait(
        lambda: next(
            (
                now
                for now in [ask(server, "GET", f"tasks/{task['id']}")[2]]
                if now["state"] != "running"
            ),
            None,
        ),
        120,
    )


@contextmanager
def subscribed(server):
    """The tasks of the events that a page receives, with the moments when they came."""
    address = f"{server.url.replace('http', 'ws', 1)}/api/events/subscribe?token={TOKEN}"
    with closing(websocket.create_connection(address, timeout=60)) as page:

        def events(task=None):
            while True:
                said = json.loads(page.recv())
                if said.pop("schema_id") == SCHEMA["$id"] and task in (None, said["id"]):
                    jsonschema.validate(said, SCHEMA)
                    yield time.monotonic(), said
                    if said["state"] != "running":
                        return

        yield events


def mailboxes(server):
    return list((server.root.parent / "cache" / "mail").glob("*/mailbox.json"))


def test_kernel_starts_in_what_the_page_has_not_saved(server, folder, spec):
    path = _plain(server.root / folder / "a.ipynb")
    before = path.read_bytes()

    announce(server, f"{folder}/a.ipynb", spec)
    session = server.open_notebook(f"{folder}/a.ipynb")
    reply = server.run(session, WHERE)
    server.request("DELETE", f"api/sessions/{session['id']}")
    kept = mailboxes(server)
    ask(server, "DELETE", f"documents/{folder}/a.ipynb")

    assert reply.text.startswith("3 11 ")
    assert path.read_bytes() == before
    assert len(kept) == 1
    assert mailboxes(server) == []


@pytest.mark.parametrize("dirty", [False, True], ids=["saved", "unsaved"])
def test_page_gets_the_lock_that_was_made_for_its_kernel(server, folder, spec, engine_home, dirty):
    """The page is the only writer of its notebook: a file changed behind its back would be a conflict."""
    unlocked = {name: value for name, value in spec.items() if name != "lock"}
    notebook = engine_home.notebook(server.root / folder / "a.ipynb")
    value = json.loads(notebook.read_text())
    value["metadata"]["nixenv"] = unlocked
    notebook.write_text(json.dumps(value))
    before = notebook.read_bytes(), notebook.stat().st_mtime_ns
    announce(server, f"{folder}/a.ipynb", unlocked, dirty=dirty)
    session = server.open_notebook(f"{folder}/a.ipynb")

    with server.channel(session) as page:
        said = {"version": 1, "path": f"{folder}/a.ipynb", "nixenv": unlocked}
        comm = {"comm_id": "page", "target_name": "nixenv", "data": said}
        opened = page.send("comm_open", comm)
        change = next(
            message["content"]["data"]
            for message in page.messages(opened, 120)
            if message["msg_type"] == "comm_msg"
        )

    assert change["base"] == unlocked
    assert {**unlocked, "lock": change["nixenv"]["lock"]} == change["nixenv"]
    assert change["nixenv"]["lock"]["packages"]
    assert (notebook.read_bytes(), notebook.stat().st_mtime_ns) == before


def test_restart_follows_the_page_and_then_the_file(server, folder, spec, engine_home):
    engine_home.notebook(server.root / folder / "a.ipynb")
    path = f"{folder}/a.ipynb"
    announce(server, path, spec, dirty=False)
    session = server.open_notebook(path)
    kinds = [server.run(session, "print('fine')").text]

    announce(server, path, {"version": 99})
    server.restart(session)
    kinds.append(server.run(session, "print('never')").error["ename"])
    announce(server, path, spec, dirty=False)
    server.restart(session)
    kinds.append(server.run(session, "print('fine')").text)
    announce(server, path, {"version": 99})
    ask(server, "DELETE", f"documents/{path}")
    server.restart(session)
    kinds.append(server.run(session, "print('fine')").text)

    assert kinds == ["fine\n", "LockVersionError", "fine\n", "fine\n"]


def test_file_written_after_the_page_spoke_has_the_last_word(server, folder, engine_home):
    engine_home.notebook(server.root / folder / "a.ipynb")
    announce(server, f"{folder}/a.ipynb", {"version": 99})

    engine_home.notebook(server.root / folder / "a.ipynb", "1")
    reply = server.run(server.open_notebook(f"{folder}/a.ipynb"), WHERE)

    assert reply.text.startswith("3 11 ")


def test_requirements_removed_in_the_page_are_removed(server, folder, engine_home):
    engine_home.notebook(server.root / folder / "a.ipynb")
    announce(server, f"{folder}/a.ipynb", None)

    reply = server.run(server.open_notebook(f"{folder}/a.ipynb"), "print('never')")

    assert is_fallback(reply)
    assert reply.error["ename"] == "MetadataError"


def open_on_drive(server, path):
    """What JupyterLab does with a drive's notebook; the folder is lost on the way."""
    folder, _, name = path.rpartition("/")
    session = server.start_session(f"{folder}/{uuid.uuid4()}", name)
    return server.request("PATCH", f"api/sessions/{session['id']}", {"path": path, "name": name})


def test_notebook_on_a_drive_is_known_by_what_its_page_said(server, folder, spec, engine_home):
    name = f"{uuid.uuid4().hex}.ipynb"
    engine_home.notebook(server.root / folder / name)
    announce(server, f"RTC:{folder}/{name}", spec, dirty=False)

    session = open_on_drive(server, f"RTC:{folder}/{name}")
    first = server.run(session, WHERE)
    server.restart(session)

    assert first.text.startswith("3 11 ")
    assert server.run(session, WHERE).text.startswith("3 11 ")


def test_notebooks_that_cannot_be_told_apart_get_no_environment_by_chance(server, folder, spec):
    name = f"{uuid.uuid4().hex}.ipynb"
    for drive in ("RTC", "other"):
        announce(server, f"{drive}:{folder}/{name}", spec)

    session = open_on_drive(server, f"other:{folder}/{name}")
    first = server.run(session, WHERE)
    server.restart(session)

    assert is_fallback(first)
    assert f"RTC:{folder}/{name}" in first.error["evalue"]
    assert "restart the kernel" in first.error["evalue"]
    assert server.run(session, WHERE).text.startswith("3 11 ")


def test_renamed_notebook_is_known_by_its_new_path(server, folder, spec):
    _plain(server.root / folder / "a.ipynb")
    announce(server, f"{folder}/a.ipynb", spec)
    session = server.open_notebook(f"{folder}/a.ipynb")

    change = {"path": f"{folder}/b.ipynb", "name": "b.ipynb"}
    server.request("PATCH", f"api/contents/{folder}/a.ipynb", {"path": change["path"]})
    server.request("PATCH", f"api/sessions/{session['id']}", change)
    ask(server, "DELETE", f"documents/{folder}/a.ipynb")
    announce(server, change["path"], spec)
    server.restart(session)

    assert server.run(session, WHERE).text.startswith("3 11 ")


@pytest.mark.parametrize("name", ["a b", 'it\'s "quoted"', "日本語", "50% #1?", "two\nlines"])
def test_task_of_a_notebook_with_a_strange_name(server, folder, spec, name):
    path = f"{folder}/{name}.ipynb"
    _plain(server.root / path)
    announce(server, path, spec)

    task = ended(server, start(server, path))

    assert (task["path"], task["state"], task["error"]) == (path, "done", None)
    assert re.fullmatch(r"ready in \d+\.\d s", task["message"])


def test_task_and_kernel_wait_for_one_build(engine_home, tmp_path):
    with live_server(tmp_path / "root", _fresh_store(engine_home, tmp_path), ENABLED) as fresh:
        engine_home.notebook(fresh.root / "a.ipynb")
        with subscribed(fresh) as events, ThreadPoolExecutor(1) as pool:
            task = start(fresh, "a.ipynb")
            opening = pool.submit(fresh.open_notebook, "a.ipynb")
            engines, seen = set(), []
            for moment, said in events(task["id"]):
                seen.append((moment, said))
                engines |= children(fresh.process.pid, "nixenv.cli")
            text = fresh.run(opening.result(), WHERE).text

    moments, said = zip(*seen, strict=True)
    running = [task for task in said if task["state"] == "running"]
    assert text.startswith("3 11 ")
    assert len(engines) == 1
    assert said[-1]["state"] == "done"
    # What comes late of what was sent in time is caught up with, so all of them together are counted.
    assert len(running) <= 2 + 4 * (moments[-1] - moments[0])
    assert {task["phase"] for task in running} & {"download", "import"}
    counted = [task for task in running if task["total_bytes"]]
    assert all(task["message"].startswith("downloading ") for task in counted)
    assert all(" · " in task["message"] for task in counted)


@contextmanager
def silent_index():
    """A package index that takes connections and never answers."""
    with socket.create_server(("127.0.0.1", 0), backlog=64) as silent:
        yield f"http://127.0.0.1:{silent.getsockname()[1]}/simple"


def test_cancelled_task_leaves_the_build_to_others_and_the_last_one_stops_it(server, folder):
    with silent_index() as index, subscribed(server) as events:
        unsaved = {"version": 1, "requirements": ["six"], "indexes": [index]}
        announce(server, f"{folder}/a.ipynb", unsaved)
        before = children(server.process.pid, "nixenv.cli")
        first, second = (start(server, f"{folder}/a.ipynb") for _ in range(2))
        engines = _wait(lambda: children(server.process.pid, "nixenv.cli") - before)
        statuses = [ask(server, "DELETE", f"tasks/{first['id']}")[0] for _ in range(2)]
        *_, (_, last) = events(first["id"])
        other = ask(server, "GET", f"tasks/{second['id']}")[2]
        is_alive = all(Path(f"/proc/{engine}").exists() for engine in engines)
        ask(server, "DELETE", f"tasks/{second['id']}")
        ended(server, second)

    assert len(engines) == 1
    assert statuses == [204, 204]
    assert (last["state"], last["message"]) == ("cancelled", "stopped on request")
    assert last["error"] is None
    assert (other["state"], is_alive) == ("running", True)
    assert not any(Path(f"/proc/{engine}").exists() for engine in engines)
    assert ask(server, "GET", f"tasks/{first['id']}")[2] == last
    assert ask(server, "DELETE", f"tasks/{first['id']}")[0] == 204


def test_cancelled_task_of_a_kernel_gives_the_kernel_that_says_so(server, folder):
    path = f"{folder}/a.ipynb"
    _plain(server.root / path)
    with silent_index() as index, ThreadPoolExecutor(1) as pool:
        announce(server, path, {"version": 1, "requirements": ["six"], "indexes": [index]})
        before = children(server.process.pid, "nixenv.cli")
        opening = pool.submit(server.open_notebook, path)
        task = _wait(lambda: next(iter(running_at(server, path)), None))
        joined = start(server, path)
        engines = _wait(lambda: children(server.process.pid, "nixenv.cli") - before)
        ask(server, "DELETE", f"tasks/{joined['id']}")
        ended(server, joined)
        ask(server, "DELETE", f"tasks/{task['id']}")
        session = opening.result(60)
        reply = server.run(session, "print('never')")

    assert len(engines) == 1
    assert task["kernel_id"] == session["kernel"]["id"]
    assert ended(server, task)["state"] == "cancelled"
    assert is_fallback(reply)
    assert "stopped on request" in reply.error["evalue"]


def running_at(server, path):
    tasks = ask(server, "GET", "tasks")[2]["tasks"]
    return [task for task in tasks if task["path"] == path and task["state"] == "running"]


def test_failed_task_says_what_to_do(server, folder):
    announce(server, f"{folder}/a.ipynb", {"version": 1, "requirments": ["six"]})

    task = ended(server, start(server, f"{folder}/a.ipynb"))

    assert task["state"] == "failed"
    assert task["error"]["type"] == "SpecError"
    assert task["message"] == task["error"]["message"]
    assert "requirments" in task["error"]["message"]
    assert "requirements" in " ".join([*task["error"]["details"], task["error"]["hint"]])


def test_engines_failure_keeps_its_evidence(server, folder):
    with socket.create_server(("127.0.0.1", 0)) as closed:
        index = f"http://127.0.0.1:{closed.getsockname()[1]}/simple"
    unsaved = {"version": 1, "requirements": ["six"], "indexes": [index]}
    announce(server, f"{folder}/a.ipynb", unsaved)

    error = ended(server, start(server, f"{folder}/a.ipynb"))["error"]

    assert error["type"].endswith("Error")
    assert "\n" not in error["message"]
    assert error["details"]


DEEP = b'{"dirty": true, "nixenv": ' + b"[" * 40 + b"]" * 40 + b"}"
DEEPER = b'{"dirty": true, "nixenv": ' + b"[" * 100_000 + b"]" * 100_000 + b"}"
LONG = b'{"dirty": true, "nixenv": "' + b"x" * (1 << 20) + b'"}'
WRONG = {
    "no body": ("PUT", "documents/a.ipynb", None, 400, "is not JSON"),
    "not JSON": ("PUT", "documents/a.ipynb", b"{", 400, "is not JSON"),
    "not a number": ("PUT", "documents/a.ipynb", b'{"dirty": NaN}', 400, "is not JSON"),
    "not UTF-8": ("PUT", "documents/a.ipynb", b'"\xff"', 400, "is not JSON"),
    "a list": ("PUT", "documents/a.ipynb", [], 400, "not a list"),
    "unknown field": ("PUT", "documents/a.ipynb", {"nixenv": {}, "durty": 1}, 400, "`durty`"),
    "missing field": ("PUT", "documents/a.ipynb", {"nixenv": {}}, 400, "`dirty`"),
    "wrong type": ("PUT", "documents/a.ipynb", {"nixenv": {}, "dirty": 1}, 400, "not a number"),
    "deep": ("PUT", "documents/a.ipynb", DEEP, 400, "nested"),
    "deeper": ("PUT", "documents/a.ipynb", DEEPER, 400, "nested"),
    "long": ("PUT", "documents/a.ipynb", LONG, 413, "1.0 MB is the limit"),
    "traversal": ("PUT", "documents/..%2f..%2fa.ipynb", {"nixenv": {}, "dirty": True}, 400, "`../"),
    "traversal, closed": ("DELETE", "documents/a/%2e%2e/%2e%2e/b.ipynb", None, 400, "`a/../.."),
    "nul": ("DELETE", "documents/a%00.ipynb", None, 400, "\\x00"),
    "long path": ("DELETE", "documents/" + "a" * 4097, None, 400, "4,096"),
    "no path": ("POST", "tasks", {}, 400, "`path`"),
    "path of another type": ("POST", "tasks", {"path": 7}, 400, "not a number"),
    "task out of the root": ("POST", "tasks", {"path": "../../etc/a.ipynb"}, 400, "../../etc"),
    "surrogate": ("POST", "tasks", b'{"path": "\\ud800"}', 400, "UTF-8"),
    "no such notebook": ("POST", "tasks", {"path": "gone 100%.ipynb"}, 404, "gone 100%.ipynb`"),
    "a name too long": ("POST", "tasks", {"path": "a" * 300 + ".ipynb"}, 404, "no notebook"),
    "no such task": ("GET", "tasks/1", None, 404, "no such task"),
    "no such task to cancel": ("DELETE", "tasks/1", None, 404, "no such task"),
}


@pytest.mark.parametrize(("method", "path", "body", "status", "says"), WRONG.values(), ids=WRONG)
def test_wrong_request_is_refused_in_one_sentence(server, method, path, body, status, says):
    found, _, said = ask(server, method, path, body)

    assert found == status
    assert says in said["message"]
    assert "\n" not in said["message"]
    assert len(said["message"]) < 400


def test_hidden_notebook_is_not_there(server, folder, engine_home):
    engine_home.notebook(server.root / folder / ".hidden.ipynb")

    assert ask(server, "POST", "tasks", {"path": f"{folder}/.hidden.ipynb"})[0] == 404


def route(path, method, operation):
    filled = path.replace("{path}", "a/b.ipynb").replace("{id}", "none")
    return pytest.param(method.upper(), filled[1:], operation, id=f"{method} {path}")


# Every path and method of the API's description, with a value for each parameter.
ROUTES = [
    route(path, method, operation)
    for path, operations in OPENAPI["paths"].items()
    for method, operation in operations.items()
    if method != "parameters"
]


@pytest.mark.parametrize(("method", "path", "operation"), ROUTES)
def test_description_is_of_what_answers(server, method, path, operation):
    bodies = {"PUT": {"nixenv": None, "dirty": False}, "POST": {"path": "a/b.ipynb"}}

    status, _, said = ask(server, method, path, bodies.get(method))

    assert str(status) in operation["responses"]
    described = operation["responses"][str(status)].get("content")
    assert (said is None) == (described is None)
    if described:
        schema = {**described["application/json"]["schema"], "components": OPENAPI["components"]}
        jsonschema.validate(said, schema)


@pytest.mark.parametrize(("method", "path", "operation"), ROUTES)
def test_nobody_is_let_in_without_a_login(server, method, path, operation):
    assert operation["responses"]["403"]
    for headers in ({}, {"Authorization": "token wrong"}):
        assert ask(server, method, path, {}, headers)[0] == 403


def test_cookie_alone_changes_nothing(server):
    """A page of another site can make a browser send a cookie, but not the XSRF token."""
    with closing(http.client.HTTPConnection(server.url.removeprefix("http://"))) as to:
        to.request("GET", f"/api/status?token={TOKEN}")
        login = to.getresponse().headers.get_all("Set-Cookie")
    cookie = {"Cookie": "; ".join(line.partition(";")[0] for line in login)}

    assert ask(server, "GET", "tasks", headers=cookie)[0] == 200
    assert ask(server, "PUT", "documents/a.ipynb", {}, cookie)[0] == 403
    assert ask(server, "POST", "tasks", {}, cookie)[0] == 403


def test_description_is_served(server):
    assert ask(server, "GET", "openapi.json")[2] == OPENAPI


REFUSING = """
from jupyter_server.auth import Authorizer
class Refusing(Authorizer):
    def is_authorized(self, handler, user, action, resource):
        return resource != "nixenv"
"""


def test_authorizer_is_asked(engine_home, tmp_path):
    (tmp_path / "refusing.py").write_text(REFUSING)
    env = {**engine_home.process_env, "PYTHONPATH": str(tmp_path)}
    option = "--ServerApp.authorizer_class=refusing.Refusing"

    with live_server(tmp_path / "root", env, ENABLED, option) as refusing:
        found = {
            (method, path): ask(refusing, method, path, {})[0]
            for method, path, _ in (one.values for one in ROUTES)
        }
        status = refusing.request("GET", "api/status")

    assert set(found.values()) == {403}, found
    assert status["kernels"] == 0


def test_server_without_the_extension_starts_kernels(engine_home, tmp_path):
    with live_server(tmp_path / "root", engine_home.process_env, DISABLED) as plain:
        engine_home.notebook(plain.root / "a.ipynb")
        session = plain.open_notebook("a.ipynb")
        reply = plain.run(session, WHERE)
        found = ask(plain, "GET", "tasks")[0]

    assert reply.text.startswith("3 11 ")
    assert found == 404
