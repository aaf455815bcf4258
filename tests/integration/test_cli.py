"""Every verb of the command line, as a process, on a real store and a real registry."""

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
import time
from pathlib import Path

import nbformat
import pytest


@pytest.fixture
def notebook(engine_home, tmp_path):
    """A locked and built notebook without requirements."""
    return engine_home.notebook(tmp_path / "a b.ipynb", "1 + 1")


def spec_of(path):
    return json.loads(path.read_text())["metadata"]["nixenv"]


def result(engine_home, *arguments, **more):
    return json.loads(engine_home.engine(*arguments, "--json", **more).stdout)


def test_init_makes_a_valid_notebook_with_spec_lock_and_kernelspec(engine_home, tmp_path):
    path = tmp_path / "new.ipynb"
    told = result(engine_home, "init", path, "six", "--python", "3.11", "--interpreter", "host")
    made = nbformat.read(path, as_version=nbformat.NO_CONVERT)
    nbformat.validate(made)
    assert (made.nbformat, made.nbformat_minor) == (4, 5)
    assert made.metadata.kernelspec.name == "nixenv"
    spec = spec_of(path)
    assert (spec["requirements"], spec["python"]) == (["six"], "3.11")
    assert spec["lock"]["spec"] == told["spec"]
    assert "six" in [package["name"] for package in spec["lock"]["packages"]]


def test_init_keeps_the_cells_of_a_notebook_that_is_there(engine_home, tmp_path):
    path = tmp_path / "old.ipynb"
    cells = [
        nbformat.v4.new_code_cell("x = 1", id="one"),
        nbformat.v4.new_markdown_cell("hä", id="two"),
    ]
    nbformat.write(nbformat.v4.new_notebook(cells=cells, metadata={"title": "mine"}), path)
    engine_home.engine("init", path, "--python", "3.11", "--interpreter", "host")
    made = nbformat.read(path, as_version=4)
    assert [cell.source for cell in made.cells] == ["x = 1", "hä"]
    assert made.metadata.title == "mine"


def test_init_refuses_a_notebook_that_carries_an_environment(engine_home, notebook):
    before = notebook.read_bytes()
    run = engine_home.engine("init", notebook, "six", check=False)
    assert run.returncode == 2
    assert "carries an environment already" in run.stderr
    assert "--force" in run.stderr
    assert notebook.read_bytes() == before
    engine_home.engine("init", notebook, "--python", "3.11", "--interpreter", "host", "--force")


def test_add_then_remove_gives_the_same_environment_again(engine_home, notebook):
    first = result(engine_home, "build", notebook)
    more = result(engine_home, "add", notebook, "humanize==4.12.0")
    assert more["added"] == [{"name": "humanize", "version": "4.12.0"}]
    assert more["changed"] == more["removed"] == []
    assert more["env"] != first["env"]
    assert spec_of(notebook)["requirements"] == ["humanize==4.12.0"]
    assert Path(more["site_packages"], "humanize").exists()
    moved = result(engine_home, "add", notebook, "humanize==4.13.0")
    assert moved["changed"] == [{"name": "humanize", "from": "4.12.0", "to": "4.13.0"}]
    assert moved["added"] == moved["removed"] == []
    less = result(engine_home, "remove", notebook, "Humanize")
    assert less["removed"] == [{"name": "humanize", "version": "4.13.0"}]
    assert less["env"] == first["env"]


def test_add_starts_a_spec_where_there_is_none(engine_home, tmp_path):
    path = tmp_path / "plain.ipynb"
    kernelspec = {"name": "python3", "display_name": "Python 3"}
    nbformat.write(nbformat.v4.new_notebook(metadata={"kernelspec": kernelspec}), path)
    engine_home.engine("add", path, "six")
    assert spec_of(path)["requirements"] == ["six"]
    assert json.loads(path.read_text())["metadata"]["kernelspec"]["name"] == "nixenv"


def test_add_works_on_a_mailbox_and_leaves_what_else_is_in_it(engine_home, notebook, tmp_path):
    mailbox = tmp_path / "box.json"
    mailbox.write_text(json.dumps({"nixenv": spec_of(notebook), "notebook": "/x/a.ipynb"}))
    engine_home.engine("add", mailbox, "six")
    now = json.loads(mailbox.read_text())
    assert now["nixenv"]["requirements"] == ["six"]
    assert set(now) == {"nixenv", "notebook"}


def test_lock_changes_no_byte_when_nothing_has_moved(engine_home, notebook):
    engine_home.engine("lock", notebook)
    before = notebook.read_bytes()
    told = result(engine_home, "lock", notebook)
    assert notebook.read_bytes() == before
    assert told["added"] == told["removed"] == told["changed"] == []


def test_lock_upgrade_moves_only_what_is_named(engine_home, notebook):
    engine_home.engine("add", notebook, "six==1.16.0", "humanize==4.9.0")
    spec = json.loads(notebook.read_text())
    spec["metadata"]["nixenv"]["requirements"] = ["six", "humanize"]
    notebook.write_text(json.dumps(spec))
    assert result(engine_home, "lock", notebook)["changed"] == []
    (moved,) = result(engine_home, "lock", notebook, "--upgrade", "six")["changed"]
    assert (moved["name"], moved["from"]) == ("six", "1.16.0")


def test_lock_as_of_gives_what_there_was(engine_home, notebook):
    engine_home.engine("add", notebook, "humanize")
    (moved,) = result(
        engine_home, "lock", notebook, "--upgrade", "humanize", "--as-of", "2023-06-01"
    )["changed"]
    assert (moved["name"], moved["to"]) == ("humanize", "4.6.0")
    assert "exclude-newer" not in spec_of(notebook)


def test_lock_mends_a_damaged_lock(engine_home, notebook):
    damaged = json.loads(notebook.read_text())
    damaged["metadata"]["nixenv"]["lock"]["packages"][0]["version"] = 7
    notebook.write_text(json.dumps(damaged))
    assert engine_home.engine("build", notebook, check=False).returncode == 2
    engine_home.engine("lock", notebook)
    engine_home.engine("build", notebook)


def test_build_json_prints_what_machines_need(engine_home, notebook):
    told = result(engine_home, "build", notebook)
    assert {"env", "python", "spec", "lock", "seconds", "site_packages", "pycache_prefix"} <= set(
        told
    )
    assert os.access(told["python"], os.X_OK)
    assert told["seconds"] < 1


def test_build_of_a_folder_builds_every_notebook_that_carries_one(engine_home, tmp_path):
    first = engine_home.notebook(tmp_path / "in" / "one.ipynb")
    second = engine_home.notebook(tmp_path / "in" / "deep" / "two.ipynb")
    engine_home.notebook(tmp_path / "in" / ".ipynb_checkpoints" / "one-checkpoint.ipynb")
    nbformat.write(nbformat.v4.new_notebook(), tmp_path / "in" / "plain.ipynb")
    broken = engine_home.notebook(tmp_path / "in" / "broken.ipynb", pyhton="3.11")
    run = engine_home.engine("build", tmp_path / "in", "--json", check=False)
    told = json.loads(run.stdout)
    assert run.returncode == 2
    assert {one["notebook"] for one in told["notebooks"]} == {str(first), str(second)}
    assert [one["notebook"] for one in told["failed"]] == [str(broken)]


def test_build_writes_the_lock_of_a_notebook_that_has_none(engine_home, notebook):
    plain = json.loads(notebook.read_text())
    del plain["metadata"]["nixenv"]["lock"]
    notebook.write_text(json.dumps(plain))
    told = result(engine_home, "build", notebook)
    assert spec_of(notebook)["lock"]["spec"] == told["spec"]


def test_build_does_not_touch_a_locked_notebook(engine_home, notebook):
    before = notebook.stat()
    engine_home.engine("build", notebook)
    engine_home.engine("sync", notebook)
    after = notebook.stat()
    assert (after.st_ino, after.st_mtime_ns, after.st_ctime_ns) == (
        before.st_ino,
        before.st_mtime_ns,
        before.st_ctime_ns,
    )


def test_build_prints_events_as_json_lines(engine_home, notebook):
    run = engine_home.engine("build", notebook, "--json", "--events")
    assert [json.loads(line)["event"] for line in run.stderr.splitlines()] == ["phase"]


def test_cache_hit_imports_nothing_heavy(engine_home, notebook):
    engine_home.engine("build", notebook)
    run = subprocess.run(
        [sys.executable, "-X", "importtime", "-m", "nixenv", "build", notebook, "--json"],
        capture_output=True,
        text=True,
        env=engine_home.process_env,
        check=True,
    )
    imported = {line.rpartition("|")[2].strip() for line in run.stderr.splitlines()}
    heavy = {
        "httpx",
        "rich",
        "packaging",
        "traitlets",
        "sqlite3",
        "asyncio",
        "nixlib.realise",
        "nixlib.store",
    }
    assert not heavy & imported


def test_run_writes_outputs_and_leaves_the_input_alone(engine_home, tmp_path):
    path = engine_home.notebook(tmp_path / "in.ipynb", "import sys; sys.prefix", "print('é')")
    before = path.read_bytes()
    out = tmp_path / "out.ipynb"
    told = result(engine_home, "run", path, "--output", out)
    done = nbformat.read(out, as_version=4)
    nbformat.validate(done)
    assert told["env"] in done.cells[0].outputs[0].data["text/plain"]
    assert done.cells[1].outputs[0].text == "é\n"
    assert path.read_bytes() == before
    assert (told["cells"], told["failed"]) == (2, None)


def test_run_reports_the_failing_cell_and_still_writes_the_output(engine_home, tmp_path):
    path = engine_home.notebook(tmp_path / "in.ipynb", "x = 1", "1 / 0", "x = 2")
    run = engine_home.engine("run", path, "--output", tmp_path / "out.ipynb", check=False)
    assert run.returncode == 1
    assert "cell 2 of" in run.stdout
    assert "ZeroDivisionError: division by zero" in run.stdout
    assert "1 / 0" in run.stdout
    assert "Traceback" not in run.stdout + run.stderr
    done = nbformat.read(tmp_path / "out.ipynb", as_version=4)
    assert done.cells[1].outputs[0].ename == "ZeroDivisionError"
    assert done.cells[2].execution_count is None


@pytest.mark.parametrize(
    ("source", "options", "reason"),
    [
        ("import os; os._exit(3)", (), "the kernel died"),
        ("import time; time.sleep(60)", ("--timeout", "1"), "it took longer than 1 s"),
    ],
    ids=["dies", "too-long"],
)
def test_run_says_what_became_of_a_cell_that_did_not_end(
    engine_home, tmp_path, source, options, reason
):
    path = engine_home.notebook(tmp_path / "in.ipynb", source)
    run = engine_home.engine("run", path, *options, "--json", check=False)
    assert run.returncode == 1
    assert reason in json.loads(run.stdout)["failed"]["error"]


def test_run_goes_on_after_errors_when_allowed(engine_home, tmp_path):
    path = engine_home.notebook(tmp_path / "in.ipynb", "1 / 0", "print('on')")
    run = engine_home.engine("run", path, "--allow-errors", "--output", tmp_path / "out.ipynb")
    assert run.returncode == 0
    assert nbformat.read(tmp_path / "out.ipynb", as_version=4).cells[1].outputs[0].text == "on\n"


def test_run_puts_what_a_cell_adds_into_the_output_notebook(engine_home, tmp_path):
    path = engine_home.notebook(
        tmp_path / "in.ipynb", "%nixenv add six", "import six; six.__name__"
    )
    before = path.read_bytes()
    engine_home.engine("run", path, "--output", tmp_path / "out.ipynb")
    assert spec_of(tmp_path / "out.ipynb")["requirements"] == ["six"]
    assert path.read_bytes() == before


def test_shell_runs_a_command_in_the_environment(engine_home, notebook):
    env = result(engine_home, "build", notebook)["env"]
    code = "import ipykernel, sys; print(sys.prefix)"
    assert engine_home.engine("shell", notebook, "--", "python", "-c", code).stdout == f"{env}\n"


def test_shell_gives_the_commands_exit_code_and_variables_of_its_own(engine_home, notebook):
    run = engine_home.engine(
        "shell", notebook, "--", "sh", "-c", "env | grep -c ^NIXENV_DOCUMENT; exit 7", check=False
    )
    assert (run.returncode, run.stdout) == (7, "0\n")


def test_shell_says_when_there_is_no_such_command(engine_home, notebook):
    run = engine_home.engine("shell", notebook, "--", "no-such-command", check=False)
    assert run.returncode == 2
    assert "there is no `no-such-command`" in run.stderr


def test_status_tells_ready_stale_and_unlocked_apart(engine_home, notebook):
    assert result(engine_home, "status", notebook)["state"] == "ready"
    changed = json.loads(notebook.read_text())
    changed["metadata"]["nixenv"]["requirements"] = ["six"]
    notebook.write_text(json.dumps(changed))
    assert result(engine_home, "status", notebook)["state"] == "stale lock"
    del changed["metadata"]["nixenv"]["lock"]
    notebook.write_text(json.dumps(changed))
    assert result(engine_home, "status", notebook)["state"] == "no lock"
    assert "nixenv lock" in engine_home.engine("status", notebook).stdout


def test_list_and_tree_show_the_kernels_own_packages(engine_home, notebook):
    packages = {one["name"] for one in result(engine_home, "list", notebook)["packages"]}
    (root,) = result(engine_home, "tree", notebook)["tree"]
    assert root["name"] == "ipykernel"
    assert {one["name"] for one in root["dependencies"]} <= packages
    assert "ipykernel " in engine_home.engine("list", notebook).stdout


def test_tree_why_names_the_nearest_package(engine_home, notebook):
    text = engine_home.engine("tree", notebook, "--why", "traitlets").stdout
    assert text.startswith("ipykernel ")
    assert "pyzmq" not in text
    run = engine_home.engine("tree", notebook, "--why", "traitles", check=False)
    assert run.returncode == 2
    assert "did you mean `traitlets`?" in run.stderr


def test_diff_shows_what_differs(engine_home, tmp_path, notebook):
    other = engine_home.notebook(tmp_path / "other.ipynb")
    assert result(engine_home, "diff", notebook, other)["same"]
    engine_home.engine("add", other, "six==1.17.0")
    text = engine_home.engine("diff", notebook, other).stdout
    assert text.splitlines() == ["+ asks for six==1.17.0", "+ six 1.17.0"]


def test_config_shows_what_is_in_force_and_why(engine_home, tmp_path):
    told = result(engine_home, "config", "--store", tmp_path)["settings"]
    assert told["store"] == {"value": str(tmp_path), "source": "--store"}
    assert told["downloads"]["source"] == "default"


def test_kernelspec_is_installed_into_a_prefix_and_starts_this_python(engine_home, tmp_path):
    folder = result(engine_home, "kernelspec", "install", "--prefix", tmp_path)["kernelspec"]
    assert folder == str(tmp_path / "share/jupyter/kernels/nixenv")
    spec = json.loads((tmp_path / "share/jupyter/kernels/nixenv/kernel.json").read_text())
    assert spec["argv"][0] == sys.executable
    assert spec["metadata"]["kernel_provisioner"]["provisioner_name"] == "nixenv-provisioner"


@pytest.mark.parametrize(
    ("number", "after"),
    [(signal.SIGTERM, "resolve"), (signal.SIGINT, "download"), (signal.SIGTERM, "import")],
    ids=["resolve", "download", "import"],
)
def test_signal_stops_cleanly_at_each_phase(engine_home, tmp_path, number, after):
    path = engine_home.notebook(tmp_path / "a.ipynb")
    before = path.read_bytes()
    process = subprocess.Popen(
        # A store of its own, so that everything has to be downloaded again.
        [
            sys.executable,
            "-m",
            "nixenv",
            "add",
            path,
            "six",
            "--json",
            "--events",
            "--store",
            tmp_path / "s",
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=engine_home.process_env,
    )
    for line in process.stderr:
        event = json.loads(line)
        if (event.get("phase") or event.get("name")) == after:
            break
    process.send_signal(number)
    out, err = process.communicate(timeout=30)
    assert process.returncode == 130, out + err
    assert json.loads(out)["error"]["type"] in ("Cancelled", "RealisationCancelledError")
    assert "Traceback" not in err
    assert path.read_bytes() == before
    assert [one.name for one in tmp_path.iterdir() if one.name.startswith(".")] == []
    engine_home.engine("build", path, "--store", tmp_path / "s")


def test_signal_during_run_stops_the_kernel_too(engine_home, tmp_path):
    pid_file = tmp_path / "pid"
    source = (
        f"import os, time; open({str(pid_file)!r}, 'w').write(str(os.getpid())); time.sleep(60)"
    )
    path = engine_home.notebook(tmp_path / "a.ipynb", source)
    process = subprocess.Popen(
        [sys.executable, "-m", "nixenv", "run", path, "--output", tmp_path / "out.ipynb"],
        stderr=subprocess.PIPE,
        text=True,
        env=engine_home.process_env,
    )
    wait_until(lambda: pid_file.exists() and pid_file.read_text())
    process.send_signal(signal.SIGTERM)
    _, err = process.communicate(timeout=30)
    assert process.returncode == 130, err
    wait_until(lambda: not is_alive(int(pid_file.read_text())))
    assert not (tmp_path / "out.ipynb").exists()


def wait_until(condition, seconds=30):
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def is_alive(pid):
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_terminal_gets_bars_and_a_pipe_gets_lines(engine_home, tmp_path):
    path = engine_home.notebook(tmp_path / "a.ipynb")
    piped = engine_home.engine("build", path, "--store", tmp_path / "s").stderr
    assert "\x1b" not in piped
    assert re.search(r"downloading (\d+) of \1, [\d.]+ MB of", piped)
    shown = in_terminal(engine_home, "build", path, "--store", tmp_path / "t")
    assert "downloading" in shown
    assert "\x1b[" in shown


def in_terminal(engine_home, *arguments):
    parent, child = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "nixenv", *map(str, arguments)],
        stdin=child,
        stdout=child,
        stderr=child,
        env={**engine_home.process_env, "TERM": "xterm-256color"},
    )
    os.close(child)
    shown = b""
    while True:
        select.select([parent], [], [])
        try:
            piece = os.read(parent, 65536)
        except OSError:  # Linux says EIO when the last writer has gone
            break
        if not piece:
            break
        shown += piece
    os.close(parent)
    assert process.wait() == 0
    return shown.decode()


def test_quiet_prints_nothing_and_answers_all_the_same(engine_home, notebook):
    run = engine_home.engine("sync", notebook, "--quiet")
    assert (run.stdout, run.stderr) == ("", "")
    assert "ready" in engine_home.engine("status", notebook, "--quiet").stdout


def test_reader_that_goes_away_is_no_error(engine_home, notebook):
    command = f'"{sys.executable}" -m nixenv list "{notebook}" | head -n 1'
    run = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command],
        capture_output=True,
        text=True,
        env=engine_home.process_env,
        check=False,
    )
    assert run.stderr == ""


@pytest.mark.parametrize(
    ("words", "hint"),
    [(("sklearn",), "hint: `scikit-learn`"), (("--python", "3.99"), "hint: `--python 3.")],
)
def test_init_that_fails_names_what_to_type_and_leaves_nothing(engine_home, tmp_path, words, hint):
    """Not a verb that changes the notebook: there is none."""
    run = engine_home.engine("init", tmp_path / "new.ipynb", *words, check=False)

    assert run.returncode == 3
    assert hint in run.stderr.replace('"', "")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("encoding", ["utf-8:strict", "ascii:strict"])
def test_path_that_is_no_text_is_shown_and_obeyed_by_no_terminal(engine_home, tmp_path, encoding):
    name = os.fsdecode(b"n\xff \x1b[2J\xe2\x86\x92.ipynb")
    path = engine_home.notebook(tmp_path / name)
    home = type(engine_home)(
        engine_home.folder, {**engine_home.process_env, "PYTHONIOENCODING": encoding}
    )

    told = result(home, "build", path)
    shown = [home.engine("build", path).stdout, home.engine("status", path).stdout]

    assert told["notebook"] == str(path)
    assert all("\\x1b[2J" in text and "\x1b" not in text for text in shown)
