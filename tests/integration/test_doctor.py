"""`nixenv doctor` on machines that really have what it looks for."""

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from contextlib import contextmanager
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from namespaces import in_namespace

NOBODY = 65534

ONE_CHECK = """
import json, sys
from dataclasses import asdict
from nixenv import doctor
from nixenv.cli.command import Context
from nixenv.cli.doctor import surroundings
from nixenv.config import load_settings
from nixlib.cancel import Cancel
from nixlib.progress import ignore
around = surroundings(Context(load_settings(), ignore, Cancel()))
check = next(one for one in doctor.CHECKS if one.__name__ == sys.argv[1])
print(json.dumps([asdict(finding) for finding in check(around)]))
"""


@pytest.fixture
def folder():
    """A folder that other users can enter, which pytest's own are not."""
    place = Path(tempfile.mkdtemp(prefix="nixenv-doctor-"))
    place.chmod(0o755)
    yield place
    shutil.rmtree(place)


def findings_of(check, *, prefix=(), **variables):
    """What one check finds in a process with these variables, by finding name; the last of a name."""
    return {one["name"]: one for one in all_findings_of(check, prefix=prefix, **variables)}


def all_findings_of(check, *, prefix=(), **variables):
    """Everything that one check finds in a process with these variables."""
    environ = {**os.environ, **{name: str(value) for name, value in variables.items()}}
    answer = subprocess.run(
        [*prefix, sys.executable, "-c", ONE_CHECK, check],
        capture_output=True,
        text=True,
        env={name: value for name, value in environ.items() if value},
        cwd="/",
        check=False,
    )
    assert answer.returncode == 0, answer.stderr
    return json.loads(answer.stdout)


def test_nix_is_found_when_it_is_there():
    found = findings_of("check_nix")["nix"]
    assert found["state"] == "ok"
    assert found["what"].startswith("Nix 2.")


def test_nix_is_missed_when_it_is_not_on_this_machine(folder):
    places = "/nix/var/nix/profiles /run/current-system"
    hide = f"for place in {places}; do [ ! -d $place ] || mount -t tmpfs none $place; done"
    (folder / "unshare").symlink_to(shutil.which("unshare"))
    for name in ("sh", "mount"):
        (folder / name).symlink_to(shutil.which(name))
    found = findings_of(
        "check_nix", prefix=in_namespace(hide, own_users=True), PATH=folder, HOME=folder
    )["nix"]
    assert found["state"] == "problem"
    assert found["command"].endswith("| sh -s -- --daemon")


def test_store_is_missed_when_there_is_no_nix(folder):
    found = findings_of("check_store", PATH=folder, HOME=folder, NIX_REMOTE=folder / "store")[
        "store"
    ]
    assert found["state"] == "problem"
    assert found["command"]


def test_install_command_is_the_distributions_where_it_has_one(folder):
    from nixenv.doctor.nix import _install_command

    (folder / "apt-get").touch(mode=0o755)
    around = type("Around", (), {"environ": {"PATH": str(folder)}})
    assert _install_command(around) == "sudo apt-get install nix-bin"


def test_daemon_is_not_needed_for_a_chroot_store(folder):
    found = findings_of("check_daemon", NIX_REMOTE=folder / "store")["daemon"]
    assert found["state"] == "ok"
    assert "no Nix daemon is needed" in found["what"]


@contextmanager
def listening(path):
    with socket.socket(socket.AF_UNIX) as server:
        server.bind(str(path))
        server.listen()
        yield


def test_daemon_that_this_user_may_not_ask_is_a_problem_with_its_group(folder):
    import grp

    # Root without its capabilities is a user like any other, and can still read this installation.
    powerless = ["setpriv", "--bounding-set", "-all"] if os.geteuid() == 0 else []
    with listening(folder / "socket"):
        (folder / "socket").chmod(0o060)
        if os.geteuid() == 0:
            os.chown(folder / "socket", NOBODY, NOBODY)
        found = findings_of(
            "check_daemon",
            prefix=powerless,
            NIX_REMOTE="daemon",
            NIX_DAEMON_SOCKET_PATH=folder / "socket",
        )["daemon"]
        group = grp.getgrgid((folder / "socket").stat().st_gid).gr_name
    assert found["state"] == "problem"
    assert f"usermod --append --groups {group} " in found["command"]


def test_daemon_socket_nobody_answers_is_a_problem(folder):
    with listening(folder / "socket"):
        pass
    found = findings_of("check_daemon", NIX_REMOTE=f"unix://{folder}/socket")["daemon"]
    assert found["state"] == "problem"
    assert "nobody answers" in found["what"]
    assert found["command"] == "sudo systemctl start nix-daemon.socket"


def test_daemon_that_is_not_there_is_a_problem_when_it_is_named(folder):
    found = findings_of("check_daemon", NIX_REMOTE=f"unix://{folder}/socket")["daemon"]
    assert found["state"] == "problem"
    assert "is not there" in found["what"]


def test_store_answers_when_it_is_asked(folder):
    assert findings_of("check_store", NIX_REMOTE=folder / "store")["store"]["state"] == "ok"


def test_store_on_a_full_disk_is_a_problem(folder):
    full = in_namespace(f"mount -t tmpfs -o size=1M none {folder}", own_users=True)
    found = findings_of("check_store_disk", prefix=full, NIX_REMOTE=folder)["store-disk"]
    assert found["state"] == "problem"
    assert "full" in found["what"]
    assert found["command"] == "nixenv gc && nix-collect-garbage"


def test_store_on_a_disk_without_inodes_is_a_problem(folder):
    full = in_namespace(f"mount -t tmpfs -o size=4G,nr_inodes=1 none {folder}", own_users=True)
    found = findings_of("check_store_disk", prefix=full, NIX_REMOTE=folder)["store-disk"]
    assert found["state"] == "problem"
    assert "inodes" in found["what"]


def test_store_on_a_small_disk_is_a_warning(folder):
    small = in_namespace(f"mount -t tmpfs -o size=500M none {folder}", own_users=True)
    found = findings_of("check_store_disk", prefix=small, NIX_REMOTE=folder)["store-disk"]
    assert found["state"] == "warning"


def test_store_on_a_read_only_disk_is_a_problem(folder):
    read_only = in_namespace(f"mount -t tmpfs -o ro none {folder}", own_users=True)
    found = findings_of("check_store_disk", prefix=read_only, NIX_REMOTE=folder)["store-disk"]
    assert found["state"] == "problem"
    assert found["command"] == f"sudo mount -o remount,rw {folder}"


def test_state_folder_on_a_full_disk_is_a_problem(folder):
    script = (
        f"mount -t tmpfs -o size=64k none {folder}; head -c 1M /dev/zero > {folder}/fill || true"
    )
    found = findings_of(
        "check_folders", prefix=in_namespace(script, own_users=True), NIXENV_STATE_DIR=folder
    )
    assert found["state-folder"]["state"] == "problem"
    assert "no room" in found["state-folder"]["what"]
    assert found["cache-folder"]["state"] != "problem"


def test_cache_folder_on_a_read_only_disk_is_a_problem(folder):
    read_only = in_namespace(f"mount -t tmpfs -o ro none {folder}", own_users=True)
    found = findings_of("check_folders", prefix=read_only, NIXENV_CACHE_DIR=folder / "cache")
    assert found["cache-folder"]["state"] == "problem"
    assert "read-only" in found["cache-folder"]["what"]
    assert "NIXENV_CACHE_DIR" in found["cache-folder"]["command"]


def test_namespaces_that_can_be_made_are_ok():
    in_namespace("", own_users=True)
    assert findings_of("check_namespaces")["namespaces"]["state"] == "ok"


def test_namespaces_that_are_off_are_a_warning_with_their_switch():
    off = in_namespace("echo 0 > /proc/sys/user/max_user_namespaces", own_users=True)
    found = findings_of("check_namespaces", prefix=off)["namespaces"]
    assert found["state"] == "warning"
    assert found["command"] == "sudo sysctl -w user.max_user_namespaces=15000"


@pytest.mark.parametrize("value", ["true", "relaxed", "false"])
def test_sandbox_is_seen_as_nix_is_set(value):
    found = findings_of("check_sandbox", NIX_CONFIG=f"sandbox = {value}")["sandbox"]
    assert found["state"] == "ok"
    assert f"`sandbox = {value}`" in found["what"]


@pytest.mark.parametrize(("value", "state"), [("true", "ok"), ("false", "warning")])
def test_where_builds_cannot_make_a_sandbox_the_line_for_nix_is_shown(value, state):
    off = in_namespace("echo 0 > /proc/sys/user/max_user_namespaces", own_users=True)
    env = {"NIX_CONFIG": f"sandbox = {value}"}
    found = findings_of("check_sandbox", prefix=off, **env)["sandbox"]
    assert found["state"] == state
    assert ("sandbox = true" in found["command"]) == (state == "warning")


@pytest.mark.parametrize(("value", "state"), [("1", "warning"), ("", "ok")])
def test_bytecode_forbidden_by_the_environment_is_a_warning(value, state):
    assert (
        findings_of("check_bytecode", PYTHONDONTWRITEBYTECODE=value)["bytecode"]["state"] == state
    )


class Registry(BaseHTTPRequestHandler):
    """Answers as its server says: status, seconds that its clock is off, seconds that it thinks."""

    def do_HEAD(self):
        self.server.gate.wait(self.server.thinks)
        self.send_response(self.server.status)
        self.end_headers()

    def date_time_string(self, timestamp=None):  # noqa: ARG002
        import time

        return formatdate(time.time() + self.server.clock_off, usegmt=True)

    def log_message(self, *args):
        pass


@contextmanager
def registry(*, status=200, clock_off=0.0, thinks=0.0):
    with ThreadingHTTPServer(("127.0.0.1", 0), Registry) as server:
        server.status, server.clock_off, server.thinks = status, clock_off, thinks
        server.gate = threading.Event()
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}/simple"
        finally:
            server.gate.set()
            server.shutdown()
            thread.join()


def registries(url, **variables):
    return findings_of("check_registries", UV_DEFAULT_INDEX=url, NO_PROXY="127.0.0.1", **variables)


def test_registry_that_answers_is_ok_and_so_is_the_clock():
    with registry() as url:
        found = registries(url)
    assert {one["state"] for one in found.values()} == {"ok"}
    assert set(found) == {"registry", "clock"}


@pytest.mark.parametrize(
    ("clock_off", "state", "words"),
    [
        (3600.0, "warning", "60 minutes behind"),
        (-3 * 3600.0, "warning", "3 hours ahead of"),
        (400 * 86400.0, "problem", "400 days behind"),
    ],
)
def test_clock_that_is_off_is_found(clock_off, state, words):
    with registry(clock_off=clock_off) as url:
        found = registries(url)["clock"]
    assert found["state"] == state
    assert words in found["what"]
    assert found["command"] == "sudo timedatectl set-ntp true"


@pytest.mark.parametrize("status", [500, 503, 403, 401])
def test_registry_that_refuses_is_a_problem(status):
    with registry(status=status) as url:
        found = registries(url)["registry"]
    assert found["state"] == "problem"
    assert f"answers {status}" in found["what"]
    assert ("wants a valid login" in found["what"]) == (status in (401, 403))
    assert ".netrc" in found["why"] or status not in (401, 403)
    assert "--head http://127.0.0.1:" in found["command"]


def test_registry_that_is_slow_is_a_problem():
    with registry(thinks=30) as url:
        found = registries(url, NIXENV_TIMEOUT="0.3")["registry"]
    assert found["state"] == "problem"
    assert "timed out" in found["what"]


def test_registry_that_is_not_there_is_a_problem():
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{unused.getsockname()[1]}/simple"
        found = registries(url)["registry"]
    assert found["state"] == "problem"


def test_registry_password_is_not_shown():
    with registry(status=503) as url:
        found = registries(url.replace("//", "//ana:hunter2@"))
    assert "hunter2" not in json.dumps(found)


def site_packages_of(python):
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    return Path(
        subprocess.run(
            [python, "-c", code], capture_output=True, text=True, check=True
        ).stdout.strip()
    )


@pytest.fixture
def other_jupyter(tmp_path):
    """Another installation with this one's packages, but without nixenv; its `jupyter-lab` is on PATH."""
    place = tmp_path / "other"
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", place], check=True)
    python = place / "bin" / "python"
    there = site_packages_of(python)
    for entry in site_packages_of(sys.executable).iterdir():
        if "nixenv" not in entry.name:
            (there / entry.name).symlink_to(entry)
    script = place / "bin" / "jupyter-lab"
    script.write_text(f"#!{python}\nprint('never run')\n")
    script.chmod(0o755)
    return place


def in_path(place):
    return f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"


def jupyter_findings(place, name):
    answer = subprocess.run(
        [sys.executable, "-c", ONE_CHECK, "check_jupyter"],
        capture_output=True,
        text=True,
        env={**os.environ, "PATH": in_path(place)},
        check=True,
    )
    found = [one for one in json.loads(answer.stdout) if one["name"] == name]
    return [one for one in found if str(place) in one["what"]]


def test_provisioner_is_missed_in_a_jupyter_without_nixenv(other_jupyter):
    (found,) = jupyter_findings(other_jupyter, "provisioner")
    assert found["state"] == "problem"
    assert found["command"] == f"{other_jupyter}/bin/python -m pip install nixenv"


def test_provisioner_that_cannot_be_imported_is_a_problem(other_jupyter):
    there = site_packages_of(other_jupyter / "bin" / "python")
    (broken,) = site_packages_of(sys.executable).glob("nixenv-*.dist-info")
    shutil.copytree(broken, there / broken.name)
    (found,) = jupyter_findings(other_jupyter, "provisioner")
    assert found["state"] == "problem"
    assert "ModuleNotFoundError" in found["what"]


def test_jupyter_too_old_is_a_problem(other_jupyter):
    there = site_packages_of(other_jupyter / "bin" / "python")
    for name, version in (("jupyter_server", "2.8.0"), ("jupyter_client", "8.4.0")):
        (link,) = there.glob(f"{name}-*.dist-info")
        facts = (link / "METADATA").read_text().splitlines()
        link.unlink()
        old = there / f"{name}-{version}.dist-info"
        old.mkdir()
        lines = [f"Version: {version}" if line.startswith("Version:") else line for line in facts]
        (old / "METADATA").write_text("\n".join(lines))
    (server,) = jupyter_findings(other_jupyter, "jupyter-server")
    (client,) = jupyter_findings(other_jupyter, "jupyter-client")
    assert (server["state"], client["state"]) == ("problem", "problem")
    assert server["command"].endswith("pip install --upgrade 'jupyter_server>=2.9'")
    assert client["command"].endswith("pip install --upgrade 'jupyter_client>=8.5'")


def test_kernelspec_that_starts_a_vanished_python_is_a_problem(tmp_path):
    spec = tmp_path / "share" / "jupyter" / "kernels" / "nixenv"
    spec.mkdir(parents=True)
    (spec / "kernel.json").write_text(
        json.dumps({"argv": [str(tmp_path / "gone" / "python"), "-m", "x"]})
    )
    answer = all_findings_of("check_jupyter", JUPYTER_DATA_DIR=tmp_path / "share" / "jupyter")
    # Another one may be installed beside the Python of the tests.
    (found,) = (one for one in answer if str(tmp_path) in one["what"])
    assert found["state"] == "problem"
    assert found["command"] == f"nixenv kernelspec install --prefix {tmp_path}"


def test_kernelspec_that_is_not_there_is_a_problem(tmp_path):
    from nixenv.doctor.jupyter import Installation, _check_kernelspec

    (found,) = _check_kernelspec([Installation("/python", {"kernels": [str(tmp_path)]})])
    assert found.state == "problem"
    assert found.command == "nixenv kernelspec install --user"


def test_doctor_exits_with_1_when_there_is_a_problem(tmp_path):
    with registry(status=503) as url:
        answer = subprocess.run(
            [sys.executable, "-m", "nixenv", "doctor", "--json", "--store", tmp_path / "store"],
            capture_output=True,
            text=True,
            env={**os.environ, "UV_DEFAULT_INDEX": url, "NO_PROXY": "127.0.0.1"},
            check=False,
        )
    told = json.loads(answer.stdout)
    assert answer.returncode == 1
    assert "registry" in [one["name"] for one in told["findings"] if one["state"] == "problem"]
    assert told["problems"] == sum(one["state"] == "problem" for one in told["findings"])


SUBJECTS = {
    "nix": "Nix",
    "daemon": "Nix daemon",
    "store": "the store",
    "sandbox": "sandbox",
    "namespaces": "namespaces",
    "provisioner": "the Jupyter in",
    "server-extension": "server extension",
    "kernelspec": "kernelspec",
    "registry": "package registry",
    "clock": "clock",
    "bytecode": "bytecode",
}


def test_every_line_can_be_read_alone(tmp_path):
    with registry() as url:
        answer = subprocess.run(
            [sys.executable, "-m", "nixenv", "doctor", "--json", "--store", tmp_path / "store"],
            capture_output=True,
            text=True,
            env={**os.environ, "UV_DEFAULT_INDEX": url, "NO_PROXY": "127.0.0.1"},
            check=False,
        )
    told = json.loads(answer.stdout)["findings"]
    assert {one["name"] for one in told} >= {"daemon", "store", "provisioner", "registry", "clock"}
    for one in told:
        assert SUBJECTS.get(one["name"], "").lower() in one["what"].lower(), one
        assert one["what"][0] != "`" or one["state"] != "ok", one


def test_every_finding_that_is_not_ok_says_why_or_how():
    answer = subprocess.run(
        [sys.executable, "-m", "nixenv", "doctor", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    for one in json.loads(answer.stdout)["findings"]:
        assert one["state"] == "ok" or one["why"] or one["command"], one
