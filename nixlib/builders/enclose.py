# ruff: noqa: PTH102, PTH103, PTH110, PTH112, PTH114, PTH115, PTH118, PTH120, PTH123, PTH208, PTH211 - pathlib is not worth its import
"""Run a command where it sees the store, a folder to work in, and nothing else of this machine.

Run by Nix as a builder (Python 3.8 and later, no packages); the argument is a JSON file with `command`,
`layers` (store objects whose contents are also found at `/`), `store` and `loader` (what starts a program
where there is no `/lib64`). The command's output `$out` is a folder that exists, empty.

Four processes. The first waits outside. The second makes namespaces of its own: user, mount, process,
network, IPC, host name. The third is the first inside: it lays out the file system, gives up every
privilege, and takes everything with it when the command ends. The fourth is the command. Whoever dies,
those inside die too. Where no namespaces can be had, the command still runs if Nix's own sandbox is
seen to hold; else nothing is run, and the exit status is 77.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import resource
import select
import shutil
import signal
import socket
import struct
import sys

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from typing import Any, NoReturn

CANNOT = 77
_NOT_STARTED = 127
PROCESSES = 8192

# Numbers of clone(2): user, mount, process, network, IPC and host name.
_NAMESPACES = 0x10000000 | 0x00020000 | 0x20000000 | 0x40000000 | 0x08000000 | 0x04000000
# Numbers of mount(2).
_RDONLY, _NOSUID, _NODEV, _NOEXEC, _REMOUNT, _BIND = 1, 2, 4, 8, 32, 4096
_REC, _PRIVATE = 1 << 14, 1 << 18
# Of statvfs(3), the flags that only whoever set them may take away, most with the numbers of mount(2).
_KEPT, _ST_RELATIME, _RELATIME = 1 | 2 | 4 | 8 | 1024 | 2048, 4096, 1 << 21
_DETACH = 2
# System calls that glibc has no function for: pivot_root(2), keyctl(2).
_PIVOT_ROOT, _KEYCTL = {"x86_64": 155, "aarch64": 41}, {"x86_64": 250, "aarch64": 219}
_JOIN_SESSION_KEYRING = 1
# Numbers of prctl(2) and capset(2).
_DEATH_SIGNAL, _DUMPABLE, _DROP_BOUND, _NO_NEW_PRIVILEGES = 1, 4, 24, 38
_CAPABILITIES, _CAPABILITY_VERSION = 64, 0x20080522
# Numbers of netdevice(7).
_GET_FLAGS, _SET_FLAGS, _UP = 0x8913, 0x8914, 1
_UID, _GID = 1000, 100  # what Nix's sandbox uses
_DEVICES = ("null", "zero", "full", "random", "urandom", "tty")
_FOLDERS = ("build", "tmp", "shm", "root")
_MERGE_DEPTH = 12
_NIX_PROCESSES = 8  # at most, in its sandbox: its own, and ours

_FILES = {
    "passwd": "root:x:0:0::/build:/bin/sh\nbuild:x:1000:100::/build:/bin/sh\n",
    "group": "root:x:0:\nbuild:x:100:\n",
    "hosts": "127.0.0.1 localhost\n::1 localhost\n",
}


class CannotEncloseError(Exception):
    """The kernel, or whoever configured it, does not let us."""


class Kernel:
    """The system calls that `os` does not have."""

    def __init__(self) -> None:
        self._libc = ctypes.CDLL(None, use_errno=True)

    def unshare(self, flags: int) -> None:
        """Leave the namespaces that we share with others."""
        self._check(self._libc.unshare(flags), "unshare namespaces")

    def mount(self, source: str, target: str, kind: str, flags: int, options: str = "") -> None:
        """Make `source` appear at `target`."""
        done = self._libc.mount(
            os.fsencode(source),
            os.fsencode(target),
            kind.encode() or None,
            ctypes.c_ulong(flags),
            options.encode() or None,
        )
        self._check(done, f"mount `{kind or source}`")

    def make_root(self, path: str) -> None:
        """Make `path` the root of everything, and what was it before unreachable."""
        os.chdir(path)
        number = _PIVOT_ROOT.get(os.uname().machine)
        if number is None:
            raise CannotEncloseError("pivot_root is not known for " + os.uname().machine)
        self._check(self._libc.syscall(ctypes.c_long(number), b".", b"."), "change the root")
        self._check(self._libc.umount2(b".", _DETACH), "let go of the old root")
        os.chdir("/")

    def forget_keys(self) -> None:
        """Leave the keyring of whoever started us; a kernel without keyrings has none to leave."""
        number = _KEYCTL[os.uname().machine]
        self._libc.syscall(ctypes.c_long(number), ctypes.c_long(_JOIN_SESSION_KEYRING), None)

    def control(self, option: int, value: int) -> None:
        """prctl(2)."""
        self._check(self._libc.prctl(option, ctypes.c_ulong(value), 0, 0, 0), "give up privileges")

    def give_up_capabilities(self) -> None:
        """For this process, and for whatever it will ever start."""
        for number in range(_CAPABILITIES):
            self._libc.prctl(_DROP_BOUND, ctypes.c_ulong(number), 0, 0, 0)  # fails above the last
        self.control(_NO_NEW_PRIVILEGES, 1)
        self.control(_DUMPABLE, 0)  # no command may attach to us, who report how it ended
        header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION, 0)
        self._check(self._libc.capset(header, (ctypes.c_uint32 * 6)()), "give up capabilities")

    def _check(self, result: int, action: str) -> None:
        if result != 0:
            raise CannotEncloseError(f"cannot {action}: {os.strerror(ctypes.get_errno())}")


def enter_namespaces(kernel: Kernel) -> None:
    """Leave everybody else; the next child is the first process of its own world."""
    uid, gid = os.geteuid(), os.getegid()
    kernel.unshare(_NAMESPACES)
    write("/proc/self/setgroups", "deny")
    write("/proc/self/uid_map", f"{_UID} {uid} 1")
    write("/proc/self/gid_map", f"{_GID} {gid} 1")


def write(path: str, text: str) -> None:
    """Write a file of the kernel's, or a new one."""
    with open(path, "w") as file:
        file.write(text)


def lay_out(kernel: Kernel, orders: dict[str, Any], top: str, out: str) -> str:
    """Build the file system that the command sees, in `top`; the place of its root."""
    kernel.mount("none", "/", "", _REC | _PRIVATE)
    root = os.path.join(top, "root")
    kernel.mount("tmpfs", root, "tmpfs", _NOSUID | _NODEV, "mode=755,size=64m")
    for path in closure(top):
        bind(kernel, path, root + path, read_only=True)
    for source, target in ((out, out), (top + "/build", "/build"), (top + "/tmp", "/tmp")):  # noqa: S108
        bind(kernel, source, root + target)
    os.mkdir(root + "/proc")
    kernel.mount("proc", root + "/proc", "proc", _NOSUID | _NODEV | _NOEXEC)
    with contextlib.suppress(OSError):  # a kernel that has no such limit
        write(root + "/proc/sys/user/max_user_namespaces", "0")
    # Where root builds as itself, the settings of the kernel are the builder's own files.
    make_read_only(kernel, root + "/proc")
    lay_out_devices(kernel, root, top)
    os.mkdir(root + "/etc")
    for name, text in _FILES.items():
        write(root + "/etc/" + name, text)
    merge(orders["layers"], root)
    make_read_only(kernel, root)
    return root


def closure(top: str) -> list[str]:
    """The store objects that Nix says belong to this build.

    Nix manual, `exportReferencesGraph`: for each a line with its path, its derivation, the number of
    its references, and then those.
    """
    found = set()
    for name in os.listdir(top):
        if name.startswith("closure-"):
            with open(os.path.join(top, name), encoding="utf-8") as file:
                lines = file.read().splitlines()
            while lines:
                found.add(lines[0])
                lines = lines[3 + int(lines[2]) :]
    return sorted(found)


def bind(kernel: Kernel, source: str, target: str, *, read_only: bool = False) -> None:
    """Make a folder or file appear at another place too."""
    if os.path.islink(source):
        os.symlink(os.readlink(source), target)
        return
    if os.path.isdir(source):
        os.makedirs(target, exist_ok=True)
    elif not os.path.exists(target):
        os.makedirs(os.path.dirname(target), exist_ok=True)
        write(target, "")
    kernel.mount(source, target, "", _BIND)
    if read_only:
        make_read_only(kernel, target)


def make_read_only(kernel: Kernel, target: str) -> None:
    """Let nobody write through the mount at `target`; devices still work."""
    flags = os.statvfs(target).f_flag
    kept = flags & _KEPT | (_RELATIME if flags & _ST_RELATIME else 0)
    kernel.mount("none", target, "", _REMOUNT | _BIND | _RDONLY | kept)


def lay_out_devices(kernel: Kernel, root: str, top: str) -> None:
    """The devices that any program may expect, and none that leads to hardware."""
    os.mkdir(root + "/dev")
    for name in _DEVICES:
        if os.path.exists("/dev/" + name):
            bind(kernel, "/dev/" + name, root + "/dev/" + name, read_only=True)
    bind(kernel, top + "/shm", root + "/dev/shm")  # noqa: S108 - its name is what programs know
    for name, target in (("fd", "fd"), ("stdin", "fd/0"), ("stdout", "fd/1"), ("stderr", "fd/2")):
        os.symlink("/proc/self/" + target, root + "/dev/" + name)


def merge(sources: Sequence[str], target: str, depth: int = 0) -> None:
    """Link what is in `sources` into `target`; of two, the first; folders that several have, merged."""
    for name in sorted({name for source in sources for name in os.listdir(source)}):
        place = os.path.join(target, name)
        have = [path for path in (os.path.join(s, name) for s in sources) if os.path.lexists(path)]
        folders = list(
            {os.path.realpath(path): path for path in have if os.path.isdir(path)}.values()
        )
        if os.path.isdir(place) or (len(folders) > 1 and folders[0] == have[0]):
            if depth < _MERGE_DEPTH and folders:
                os.makedirs(place, exist_ok=True)
                merge(folders, place, depth + 1)
        elif not os.path.lexists(place):
            os.symlink(have[0], place)


def settle_in(kernel: Kernel, root: str) -> None:
    """Enter `root`, and become nobody."""
    loopback_up()
    socket.sethostname("localhost")
    kernel.make_root(root)
    kernel.forget_keys()
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    hard = resource.getrlimit(resource.RLIMIT_NPROC)[1]
    processes = PROCESSES if hard == resource.RLIM_INFINITY else min(PROCESSES, hard)
    resource.setrlimit(resource.RLIMIT_NPROC, (processes, processes))
    os.umask(0o022)
    os.setsid()
    kernel.give_up_capabilities()


def loopback_up() -> None:
    """Programs talk to themselves over 127.0.0.1; there is nobody else there."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as line:
        request = struct.pack("16sH14x", b"lo", 0)
        flags = struct.unpack("16sH14x", fcntl.ioctl(line, _GET_FLAGS, request))[1]
        fcntl.ioctl(line, _SET_FLAGS, struct.pack("16sH14x", b"lo", flags | _UP))


def environment(out: str, home: str, temp: str) -> dict[str, str]:
    """The command's variables: nothing of this machine but the number of its cores."""
    return {
        "HOME": home,
        "LANG": "C.UTF-8",
        "NIX_BUILD_CORES": os.environ.get("NIX_BUILD_CORES", "1"),
        "PATH": "/usr/local/bin:/usr/bin:/bin",
        "SHELL": "/bin/sh",
        "TMPDIR": temp,
        "TZ": "UTC",
        "out": out,
    }


def run(command: Sequence[str], env: dict[str, str], folder: str) -> int:
    """Start the command, reap whatever becomes an orphan, and return the command's exit status."""

    def start() -> int:
        os.chdir(folder)
        os.closerange(3, 1024)
        try:
            os.execve(command[0], list(command), env)  # noqa: S606 - no shell is meant
        except OSError as error:
            say(f"cannot start `{command[0]}`: {error.strerror}")
        return _NOT_STARTED

    child = os.fork()
    if child == 0:
        last_act(start)
    while True:
        pid, status = os.wait()
        if pid == child:
            return exit_status(status)


def exit_status(status: int) -> int:
    """The exit status that tells of `status`; ours for "nothing was run" is no command's."""
    if os.WIFSIGNALED(status):
        return 128 + os.WTERMSIG(status)
    code = os.WEXITSTATUS(status)
    return 1 if code == CANNOT else code


def last_act(work: Callable[[], int]) -> NoReturn:
    """What a forked process does, until it ends: it never returns into its parent's code."""
    try:
        status = work()
    except BaseException as error:  # noqa: BLE001 - as said
        name = "" if isinstance(error, CannotEncloseError) else f"{type(error).__name__}: "
        say(f"no namespaces of our own: {name}{error}")
        status = CANNOT
    os._exit(status)


def say(text: str) -> None:
    """Write a line to the log, past every buffer."""
    with contextlib.suppress(OSError):
        os.write(2, (text + "\n").encode("utf-8", "backslashreplace"))


def forked(work: Callable[[], int]) -> int:
    """The exit status of a process that does `work` and that ends when we do."""
    life, keep = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(keep)
        ctypes.CDLL(None).prctl(_DEATH_SIGNAL, ctypes.c_ulong(signal.SIGKILL), 0, 0, 0)
        if select.select([life], [], [], 0)[0]:
            os._exit(CANNOT)  # our parent was gone before the kernel knew that it matters
        last_act(work)
    os.close(life)
    status = os.waitpid(child, 0)[1]
    os.close(keep)
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def enclosed(orders: dict[str, Any], top: str, out: str) -> int:
    """Run the command in namespaces of our own."""
    kernel = Kernel()

    def second() -> int:
        enter_namespaces(kernel)
        return forked(third)

    def third() -> int:
        settle_in(kernel, lay_out(kernel, orders, top, out))
        return run(orders["command"], environment(out, "/build", "/tmp"), "/build")  # noqa: S108

    return forked(second)


def in_nix_sandbox(orders: dict[str, Any], top: str, out: str) -> int:
    """Run the command where we are, if that is Nix's sandbox."""
    leaks = list(holes())
    if leaks:
        for leak in leaks:
            say("Nix's sandbox is off: " + leak)
        return CANNOT
    env = environment(out, top + "/build", top + "/tmp")  # noqa: S108
    return run([*orders["loader"], *orders["command"]], env, top + "/build")


def holes() -> Iterator[str]:
    """What can be seen here and could not be seen in Nix's sandbox."""
    for path in ("/home", "/root", "/sys", "/var/lib", "/run", "/etc/hostname", "/etc/machine-id"):
        if os.path.lexists(path):
            yield f"`{path}` is there"
    if os.access("/proc/sys/kernel/core_pattern", os.W_OK):
        yield "the kernel's settings can be changed"
    with open("/proc/net/route") as table:
        if len(table.readlines()) > 1:
            yield "there is a route into a network"
    others = [name for name in os.listdir("/proc") if name.isdigit()]
    if len(others) > _NIX_PROCESSES:
        yield f"{len(others)} processes are there"


def main() -> NoReturn:
    """Run what the orders say, behind one wall or the other."""
    with open(sys.argv[1], encoding="utf-8") as file:
        orders = json.load(file)
    top, out = os.path.realpath(os.environ["NIX_BUILD_TOP"]), os.environ["out"]  # noqa: SIM112
    os.mkdir(out)
    status = CANNOT
    for way in (enclosed, in_nix_sandbox):
        for name in _FOLDERS:
            os.mkdir(os.path.join(top, name))
        status = way(orders, top, out)
        if status != CANNOT:
            break
        for name in _FOLDERS:
            shutil.rmtree(os.path.join(top, name))
    sys.exit(status)


if __name__ == "__main__":
    main()
