"""Real Nix for tests: private chroot stores, a private daemon, and a user without rights.

Nothing here touches the machine's own store. The fixtures are for any test module:

    from daemons import chroot_store, private_daemon  # noqa: F401
"""

import contextlib
import os
import pwd
import shutil
import signal
import socket as socketlib
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest

import nixlib

USER = "nobody"
NIX_MISSING = shutil.which("nix-daemon") is None

needs_nix = pytest.mark.skipif(NIX_MISSING, reason="there is no `nix-daemon` on PATH")
needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")


@dataclass(frozen=True)
class PrivateDaemon:
    """A running daemon with a store of its own."""

    root: Path
    socket: Path
    process: subprocess.Popen[bytes]
    log: Path

    @property
    def uri(self) -> str:
        return f"unix://{self.socket}?root={self.root}"


def nix_env(root: Path, **more: str) -> dict[str, str]:
    """The environment in which Nix's own tools work on the chroot store at `root`."""
    env = {k: v for k, v in os.environ.items() if not k.startswith("NIX_")}
    return {**env, "NIX_REMOTE": f"local?root={root}", **more}


def nix(root: Path, *argv: str, env: Mapping[str, str] | None = None) -> str:
    """Run one of Nix's own tools on the chroot store at `root`; its output."""
    variables = nix_env(root, **(env or {}))
    done = subprocess.run(argv, env=variables, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{argv}: {done.stderr}"
    return done.stdout


def verify(root: Path) -> None:
    """Nix itself finds every object of the store whole."""
    nix(root, "nix-store", "--verify", "--check-contents")


def remove_tree(root: Path) -> None:
    """Delete a store, whose directories nobody may write."""
    for folder, folders, _ in os.walk(root):
        for name in folders:
            path = Path(folder, name)
            if not path.is_symlink():
                path.chmod(0o755)
    shutil.rmtree(root, ignore_errors=True)


def start_daemon(root: Path, socket: Path, **settings: str) -> PrivateDaemon:
    """Start a daemon on the chroot store at `root`.

    Args:
        root: The store.
        socket: Where it shall listen; any user can connect.
        **settings: Lines of its `nix.conf`, with `_` for `-`.
    """
    socket.parent.mkdir(parents=True, exist_ok=True)
    conf = socket.with_name("conf")
    conf.mkdir(exist_ok=True)
    lines = {"substituters": "", "sandbox": "false", "build-users-group": ""}
    lines |= {key.replace("_", "-"): value for key, value in settings.items()}
    (conf / "nix.conf").write_text("".join(f"{k} = {v}\n" for k, v in lines.items()))
    nix(root, "nix-store", "--init")  # two workers of one daemon would race to create it
    log = socket.with_name("daemon.log")
    env = nix_env(root, NIX_DAEMON_SOCKET_PATH=str(socket), NIX_CONF_DIR=str(conf))
    with log.open("wb") as out:
        process = subprocess.Popen(
            ["nix-daemon"], env=env, stdout=out, stderr=out, start_new_session=True
        )
    deadline = time.monotonic() + 20
    while not _listens(socket):
        assert process.poll() is None, log.read_text()
        assert time.monotonic() < deadline, "the daemon did not listen within 20 s"
        time.sleep(0.01)
    return PrivateDaemon(root, socket, process, log)


def _listens(path: Path) -> bool:
    # The file is there before anybody listens.
    with socketlib.socket(socketlib.AF_UNIX) as line:
        return line.connect_ex(str(path)) == 0


def stop_daemon(daemon: PrivateDaemon) -> None:
    """Stop it with the workers it has forked."""
    for pid in [*workers(daemon), daemon.process.pid]:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    daemon.process.wait()


def workers(daemon: PrivateDaemon) -> list[int]:
    """The processes that it has forked, one for each connection."""
    pid = daemon.process.pid
    return [int(child) for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@pytest.fixture
def open_dir() -> Iterator[Path]:
    """A directory that any user may enter, which pytest's own are not; a short path, for sockets."""
    place = Path(tempfile.mkdtemp(prefix="nixlib-"))
    place.chmod(0o755)
    yield place
    remove_tree(place)


@pytest.fixture
def chroot_store(open_dir: Path) -> Path:
    """The root of an empty chroot store."""
    return open_dir / "store"


@pytest.fixture
def private_daemon(open_dir: Path) -> Iterator[PrivateDaemon]:
    """A daemon of root's, with a store and a socket of its own, that lets everybody in."""
    daemon = start_daemon(open_dir / "store", open_dir / "run" / "socket")
    yield daemon
    stop_daemon(daemon)


@dataclass(frozen=True)
class Unprivileged:
    """A user without rights, with a home of its own and a Python that it may run."""

    name: str
    home: Path
    python: str
    library: Path

    def run(self, code: str, *argv: str, **env: str) -> str:
        """Run Python code as that user, with `nixlib` on its path; what it printed."""
        done = self.start(code, *argv, **env)
        out, err = done.communicate(timeout=120)
        assert done.returncode == 0, err.decode()
        return out.decode()

    def start(self, code: str, *argv: str, **env: str) -> "subprocess.Popen[bytes]":
        """The same, not waited for."""
        variables = {
            "PATH": os.environ["PATH"],
            "HOME": str(self.home),
            "USER": self.name,
            "PYTHONPATH": str(self.library),
            **env,
        }
        return subprocess.Popen(
            [self.python, "-c", code, *argv],
            env=variables,
            cwd=self.home,
            user=self.name,
            group=pwd.getpwnam(self.name).pw_gid,
            extra_groups=[],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )


@pytest.fixture
def unprivileged(open_dir: Path) -> Unprivileged:
    """The user `nobody`."""
    user = pwd.getpwnam(USER)
    home = open_dir / "home"
    home.mkdir()
    os.chown(home, user.pw_uid, user.pw_gid)
    # A checkout under /root cannot be read by others.
    library = open_dir / "library"
    shutil.copytree(Path(nixlib.__file__).parent, library / "nixlib")
    return Unprivileged(USER, home, _python_for(user), library)


def _python_for(user: pwd.struct_passwd) -> str:
    for candidate in (sys.executable, "/usr/bin/python3", "/usr/local/bin/python3"):
        if _may_run(user, candidate):
            return candidate
    pytest.skip(f"user `{user.pw_name}` can run no Python 3.10 or newer here")


def _may_run(user: pwd.struct_passwd, python: str) -> bool:
    argv = [python, "-c", "import sys; sys.exit(sys.version_info < (3, 10))"]
    try:
        done = subprocess.run(
            argv,
            user=user.pw_uid,
            group=user.pw_gid,
            extra_groups=[],
            cwd="/",
            capture_output=True,
            check=False,
        )
    except OSError:
        return False
    return done.returncode == 0
