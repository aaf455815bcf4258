"""A real Jupyter server, asked as each client asks it."""

from __future__ import annotations

import json
import signal
import socket
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from live_server import cell, live_server

pytestmark = [pytest.mark.daemon, pytest.mark.network]

WHERE = "import sys, os; print(*sys.version_info[:2], sys.prefix)"


@pytest.fixture(scope="module")
def server(engine_home, tmp_path_factory):
    with live_server(
        tmp_path_factory.mktemp("server") / "root", engine_home.process_env
    ) as running:
        yield running


@pytest.fixture
def folder(server):
    """A folder of its own for one test: its name in the server, and its path."""
    name = f"work-{uuid.uuid4().hex[:8]}"
    (server.root / name).mkdir()
    yield name
    for session in server.request("GET", "api/sessions"):
        if session["path"].startswith(name) or name in session["path"]:
            server.request("DELETE", f"api/sessions/{session['id']}")


def is_fallback(reply):
    return reply.status == "error" and reply.error is not None and reply.text == ""


def test_notebook_opens_in_its_own_environment(server, engine_home, folder):
    engine_home.notebook(server.root / folder / "a.ipynb")

    session = server.open_notebook(f"{folder}/a.ipynb")
    reply = server.run(session, WHERE)

    version, place = reply.text.rsplit(" ", 1)
    assert version == "3 11"
    assert str(engine_home.folder / "store") in place


def test_kernel_environment_is_scrubbed_and_its_own(server, engine_home, folder):
    engine_home.notebook(server.root / folder / "a.ipynb")

    session = server.open_notebook(f"{folder}/a.ipynb")
    reply = server.run(
        session,
        "import json, os, shutil, site, sys\n"
        "print(json.dumps([sorted(os.environ), shutil.which('python'), sys.prefix,"
        " site.ENABLE_USER_SITE, os.getcwd(), sys.path]))",
    )

    names, python, prefix, user_site, cwd, path = json.loads(reply.text)
    assert not [name for name in names if name.startswith(("PYTHON", "NIXENV_", "VIRTUAL_ENV"))]
    assert python == f"{prefix}/bin/python"
    assert not user_site
    assert cwd == str(server.root / folder)
    assert "" in path
    assert all(place == "" or place.startswith(str(engine_home.folder / "store")) for place in path)


def test_notebook_is_still_known_after_rename_and_restart(
    server, engine_home, folder, older_python
):
    engine_home.notebook(server.root / folder / "a.ipynb")
    session = server.open_notebook(f"{folder}/a.ipynb")

    (server.root / folder / "a.ipynb").rename(server.root / folder / "renamed.ipynb")
    change = {"path": f"{folder}/renamed.ipynb", "name": "renamed.ipynb"}
    server.request("PATCH", f"api/sessions/{session['id']}", change)
    engine_home.notebook(server.root / folder / "renamed.ipynb", python=older_python)
    server.restart(session)

    assert server.run(session, WHERE).text.startswith("3 9 ")


def test_classic_client_is_understood_from_the_restart_on(server, engine_home, folder):
    engine_home.notebook(server.root / folder / "a.ipynb")
    session = server.start_session(f"{folder}/a.ipynb", "")

    first = server.run(session, WHERE)
    server.restart(session)

    assert is_fallback(first)
    assert first.error["ename"] == "NotebookNotFoundError"
    assert "restart the kernel" in first.error["evalue"]
    assert server.run(session, WHERE).text.startswith("3 11 ")


def test_client_that_omits_the_name_is_understood(server, engine_home, folder):
    engine_home.notebook(server.root / folder / "a.ipynb")
    body = {"path": f"{folder}/a.ipynb", "type": "notebook", "kernel": {"name": "nixenv"}}

    session = server.request("POST", "api/sessions", body)

    assert server.run(session, WHERE).text.startswith("3 11 ")


def test_remote_vs_code_gets_no_environment_of_a_stranger(server, engine_home, folder):
    engine_home.notebook(server.root / folder / "a.ipynb")
    name = f"a-{uuid.uuid4()}.ipynb"

    session = server.start_session(f"{folder}/a-jvsc-{uuid.uuid4()}.ipynb", name)
    reply = server.run(session, WHERE)

    assert is_fallback(reply)
    assert f"{name}` does not exist on this machine" in reply.error["evalue"]


def test_console_runs_in_the_environment_of_its_project(server, engine_home, folder):
    _project(engine_home, server.root / folder)

    session = server.start_session(f"{folder}/{uuid.uuid4()}", "Console 1", kind="console")

    assert server.run(session, WHERE).text.startswith("3 11 ")


def test_kernel_without_a_session_runs_in_the_environment_of_its_project(
    server, engine_home, folder
):
    _project(engine_home, server.root / folder)

    kernel = server.request("POST", "api/kernels", {"name": "nixenv", "path": folder})

    assert server.run(kernel, WHERE).text.startswith("3 11 ")
    server.request("DELETE", f"api/kernels/{kernel['id']}")


def test_notebook_that_says_nothing_has_the_environment_of_its_project(server, engine_home, folder):
    _project(engine_home, server.root / folder)
    _plain(server.root / folder / "deep" / "a.ipynb")

    session = server.open_notebook(f"{folder}/deep/a.ipynb")

    assert server.run(session, WHERE).text.startswith("3 11 ")


def _project(engine_home, folder: Path) -> None:
    spec = json.loads((engine_home.folder / "3.11.ipynb").read_text())["metadata"]["nixenv"]
    (folder / "nixenv.toml").write_text(
        f'version = 1\npython = "{spec["python"]}"\nrequirements = []\ninterpreter = "host"\n'
    )
    (folder / "nixenv.lock").write_text(json.dumps(spec["lock"]))


def _plain(path: Path, **metadata: object) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    value = {"cells": [], "metadata": metadata, "nbformat": 4, "nbformat_minor": 5}
    path.write_text(json.dumps(value))
    return path


def test_kernels_of_different_pythons_run_side_by_side(server, engine_home, folder, older_python):
    engine_home.notebook(server.root / folder / "new.ipynb")
    engine_home.notebook(server.root / folder / "old.ipynb", python=older_python)
    new, old = (server.open_notebook(f"{folder}/{name}.ipynb") for name in ("new", "old"))

    texts = [server.run(session, WHERE).text for session in (new, old, new)]

    assert [text.rsplit(" ", 1)[0] for text in texts] == ["3 11", "3 9", "3 11"]


def test_restart_reads_the_metadata_again(server, engine_home, folder, older_python):
    path = engine_home.notebook(server.root / folder / "a.ipynb")
    session = server.open_notebook(f"{folder}/a.ipynb")
    before = server.run(session, WHERE).text

    engine_home.notebook(path, python=older_python)
    server.restart(session)

    assert before.startswith("3 11 ")
    assert server.run(session, WHERE).text.startswith("3 9 ")


def test_crash_restarts_in_the_environment_that_crashed(server, engine_home, folder, older_python):
    path = engine_home.notebook(server.root / folder / "a.ipynb")
    session = server.open_notebook(f"{folder}/a.ipynb")
    with server.channel(session) as channel:
        before = channel.run(WHERE + "; print(os.getpid())").text.split()
        engine_home.notebook(path, python=older_python)
        channel.send("execute_request", cell("import os; os.kill(os.getpid(), 9)"))
        after = _when_back(server, session)

    assert after[:3] == before[:3]
    assert after[3] != before[3]
    # What the user asks for comes after all, with the next restart that the user asks for.
    server.restart(session)
    assert server.run(session, WHERE).text.startswith("3 9 ")


def _when_back(server, session):
    """What the kernel says of itself after Jupyter has restarted it."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        time.sleep(0.5)
        try:
            return server.run(session, WHERE + "; print(os.getpid())", timeout=10).text.split()
        except Exception as error:
            last = error
    raise AssertionError from last


def test_interrupt_reaches_the_cell(server, engine_home, folder):
    engine_home.notebook(server.root / folder / "a.ipynb")
    session = server.open_notebook(f"{folder}/a.ipynb")
    with server.channel(session) as channel:
        code = "print('begun', flush=True)\nimport time\ntime.sleep(60)"
        number = channel.send("execute_request", cell(code))
        for message in channel.messages(number):
            if message["msg_type"] == "stream":
                break
        server.request("POST", f"api/kernels/{session['kernel']['id']}/interrupt")
        reply = channel.collect(number, timeout=20)

    assert reply.error["ename"] == "KeyboardInterrupt"


BAD = {
    "not an object": ([], "SpecError", "nixenv"),
    "unknown version": ({"version": 99}, "LockVersionError", "nixenv.version"),
    "unknown key": ({"version": 1, "requirments": []}, "SpecError", "requirments"),
    "wrong type": ({"version": 1, "requirements": "pandas"}, "SpecError", "nixenv.requirements"),
    "damaged lock": ({"version": 1, "lock": {"layout": 1}}, "LockError", "nixenv.lock"),
}


@pytest.mark.parametrize(("value", "kind", "key"), BAD.values(), ids=BAD)
def test_bad_metadata_gives_a_kernel_that_says_so(server, folder, value, kind, key):
    _plain(server.root / folder / "bad.ipynb", nixenv=value)

    reply = server.run(server.open_notebook(f"{folder}/bad.ipynb"), "print('never')")

    assert is_fallback(reply)
    assert reply.error["ename"] == kind
    assert key in reply.error["evalue"]
    assert "Traceback" not in "".join(reply.error["traceback"])


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("hello", "is not JSON"),
        ("[]", "is not an object"),
        ('{"metadata": 1}', "is not an object"),
        ("{", "is not JSON"),
    ],
    ids=["text", "list", "metadata", "half"],
)
def test_broken_notebook_gives_a_kernel_that_says_so(server, folder, content, says):
    (server.root / folder / "bad.ipynb").write_text(content)

    reply = server.run(server.open_notebook(f"{folder}/bad.ipynb"), "1")

    assert is_fallback(reply)
    assert reply.error["ename"] == "MetadataError"
    assert (
        "`bad.ipynb`" in reply.error["evalue"].splitlines()[0]
        or "`metadata`" in reply.error["evalue"]
    )
    assert says in reply.error["evalue"]


def test_stale_lock_is_mended_from_inside(server, engine_home, folder):
    engine_home.notebook(server.root / folder / "a.ipynb", requirements=["six"])
    session = server.open_notebook(f"{folder}/a.ipynb")

    with server.channel(session) as channel:
        stale = channel.run("import six")
        mended = channel.run("%nixenv lock", timeout=120)
    server.restart(session)

    assert stale.error["ename"] == "LockStaleError"
    assert mended.status == "ok", mended
    assert "restart the kernel" in mended.text
    assert server.run(session, "import six; six.__name__", timeout=120).text == "'six'"


def test_fallback_runs_no_code_and_completes_verbs(server, folder):
    _plain(server.root / folder / "a.ipynb")
    session = server.open_notebook(f"{folder}/a.ipynb")
    witness = server.root / folder / "witness"

    with server.channel(session) as channel:
        replies = [
            channel.run(code) for code in (f"open({str(witness)!r}, 'w')", f"!touch {witness}", "1")
        ]
        info = channel.ask("kernel_info_request", {})
        completion = channel.ask("complete_request", {"code": "%nixenv st", "cursor_pos": 10})
        usage = channel.run("%nixenv")
        wrong = channel.run("%nixenv explode")

    assert all(is_fallback(reply) for reply in replies)
    assert not witness.exists()
    assert info["language_info"]["name"] == "python"
    assert completion["matches"] == ["status"]
    assert "%nixenv add" in usage.text
    assert wrong.error["ename"] == "UsageError"


def test_server_answers_while_environments_are_built(engine_home, tmp_path):
    """Four kernels wait for one build; what everybody else waits for the server is milliseconds."""
    with live_server(tmp_path / "root", _fresh_store(engine_home, tmp_path)) as fresh:
        names = [f"{number}.ipynb" for number in range(4)]
        for name in names:
            engine_home.notebook(fresh.root / name)
        with ThreadPoolExecutor(len(names)) as pool:
            opening = [pool.submit(fresh.open_notebook, name) for name in names]
            waits, engines = [], set()
            while not all(one.done() for one in opening):
                waits.append(_status_wait(fresh))
                engines |= children(fresh.process.pid, "nixenv.cli")
                time.sleep(0.02)
        texts = [fresh.run(one.result(), WHERE).text for one in opening]

    assert len(waits) > 10
    assert sorted(waits)[len(waits) // 2] < 0.1, sorted(waits)
    assert max(waits) < 1.5, sorted(waits)
    assert len(engines) == 1
    assert len(texts) == 4
    assert all(text.startswith("3 11 ") for text in texts)


def _fresh_store(engine_home, tmp_path):
    return {
        **engine_home.process_env,
        "NIX_REMOTE": str(tmp_path / "store"),
        "XDG_STATE_HOME": str(tmp_path / "state"),
    }


def _status_wait(server) -> float:
    began = time.monotonic()
    try:
        server.request("GET", "api/status")
    except AssertionError as error:
        # jupyter_server 2.21 answers 500 while any kernel is between its launch and its first activity.
        if "api/status: 500" not in str(error):
            raise
    return time.monotonic() - began


def test_server_answers_while_a_huge_notebook_is_read(server, engine_home, folder):
    path = engine_home.notebook(server.root / folder / "huge.ipynb")
    notebook = json.loads(path.read_text())
    source = "x" * (1 << 20)
    notebook["cells"] = [
        {"cell_type": "raw", "id": f"c{number}", "metadata": {}, "source": source}
        for number in range(200)
    ]
    path.write_text(json.dumps(notebook))
    waits = []
    with ThreadPoolExecutor(1) as pool:
        opening = pool.submit(server.open_notebook, f"{folder}/huge.ipynb")
        while not opening.done():
            waits.append(_status_wait(server))
            time.sleep(0.02)

    assert path.stat().st_size > 200_000_000
    assert max(waits) < 0.5, sorted(waits)
    assert server.run(opening.result(), WHERE).text.startswith("3 11 ")


def test_build_ends_with_the_server(engine_home, tmp_path):
    """A server that is stopped in the middle of a build leaves no engine behind."""
    with live_server(tmp_path / "root", _fresh_store(engine_home, tmp_path)) as fresh:
        engine_home.notebook(fresh.root / "a.ipynb")
        with ThreadPoolExecutor(1) as pool:
            opening = pool.submit(fresh.open_notebook, "a.ipynb")
            engines = _wait(lambda: children(fresh.process.pid, "nixenv.cli"))
            fresh.process.send_signal(signal.SIGTERM)
            fresh.process.wait(30)
            assert opening.exception(30) is not None

    assert _wait(lambda: not any(Path(f"/proc/{engine}").exists() for engine in engines))


def _wait(condition, seconds: float = 30):
    """The first true value of `condition`."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if value := condition():
            return value
        time.sleep(0.02)
    raise AssertionError(condition)


def children(parent: int, word: str) -> frozenset[int]:
    """Processes of `parent` with `word` in their command line."""
    found = set()
    for place in Path("/proc").glob("[0-9]*"):
        try:
            command = (place / "cmdline").read_bytes().decode(errors="replace")
            ancestor = int((place / "stat").read_text().rpartition(")")[2].split()[1])
        except (OSError, ValueError):
            continue
        if ancestor == parent and word in command:
            found.add(int(place.name))
    return frozenset(found)


def test_verb_in_the_fallback_can_be_interrupted(server, engine_home, folder):
    with socket.create_server(("127.0.0.1", 0)) as silent:
        index = f"http://127.0.0.1:{silent.getsockname()[1]}/simple"
        path = engine_home.notebook(
            server.root / folder / "a.ipynb", requirements=["six"], indexes=[index]
        )
        before = path.read_bytes()
        session = server.open_notebook(f"{folder}/a.ipynb")
        with server.channel(session) as channel:
            number = channel.send("execute_request", cell("%nixenv lock"))
            engines = _wait(lambda: _engines_of(server))
            silent.settimeout(60)
            silent.accept()[0].close()
            server.request("POST", f"api/kernels/{session['kernel']['id']}/interrupt")
            reply = channel.collect(number, timeout=30)
            after = channel.run("1")

    assert reply.error["ename"] == "Interrupted"
    assert after.error["ename"] == "LockStaleError"
    assert path.read_bytes() == before
    assert _wait(lambda: not any(Path(f"/proc/{engine}").exists() for engine in engines))


def _engines_of(server) -> frozenset[int]:
    """Engines that kernels of this server have started."""
    kernels = children(server.process.pid, "nixenv.server.fallback")
    return frozenset().union(*(children(kernel, "nixenv.cli") for kernel in kernels))
