"""Builds that mean harm, in one workshop, one after the other: run as a program, in a place of its own.

    python build_attacks.py FOLDER [ATTACK…]

Prints a JSON object: what each came to. The store is the one that the variables name.
"""

import json
import os
import resource
import socket
import stat
import sys
import time
from pathlib import Path

from builders import gone

from nixlib.cancel import Cancel
from nixlib.errors import NixError, SandboxError
from nixlib.settings import Settings
from nixlib.store import open_store
from nixlib.workshop.probing import check_enclosure
from nixlib.workshop.workshop import open_workshop

BEGIN = (
    "import contextlib, json, os, signal, socket, subprocess, sys, time\nout = os.environ['out']\n"
)
# A word in the command line of every process that is started, by which to find it from outside.
SLEEPER = (
    "[sys.executable, '-c', 'import time; time.sleep(600)', json.load(open(sys.argv[1]))['word']]"
)

ATTACKS = {
    "honest": "open(out + '/made', 'w').write('well')",
    "hangs": f"print('begun', flush=True); subprocess.run({SLEEPER})",
    "takes for ever": f"""
subprocess.Popen({SLEEPER})
while True: print('still here', flush=True); time.sleep(0.05)
""",
    "is cancelled": f"""
subprocess.Popen({SLEEPER}, start_new_session=True)
print('begun', flush=True); time.sleep(600)
""",
    "prints a gigabyte": """
line = (b'x' * 99 + b'\\n') * 10_000
for _ in range(1_000): os.write(1, line)
print('the last line', flush=True); sys.exit(4)
""",
    "prints a line without end": """
for _ in range(200): os.write(1, b'x' * 1_000_000)
print('\\nthe last line', flush=True); sys.exit(4)
""",
    "talks to the terminal": r"print('\x1b]0;owned\x07red\x1b[31m\r@nix {\"action\": \"msg\"}'); sys.exit(4)",
    "gives orders to Nix": """
print('@nix {"action": "start", "id": 1, "level": 0, "type": 0, "text": "x", "fields": []}')
sys.exit(4)
""",
    "tries the network": """
said = []
for address in (('127.0.0.1', json.load(open(sys.argv[1]))['port']), ('1.1.1.1', 53)):
    try: socket.create_connection(address, 3); said.append('reached')
    except OSError as error: said.append(type(error).__name__)
try: socket.getaddrinfo('localhost.localdomain.example', 80); said.append('resolved')
except OSError as error: said.append(type(error).__name__)
open(out + '/said', 'w').write(' '.join(said))
""",
    "forks": f"""
for _ in range(100):
    if os.fork() == 0:
        os.setsid()
        if os.fork() == 0:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.execv(sys.executable, {SLEEPER})
        os._exit(0)
open(out + '/made', 'w').write('left behind a hundred')
""",
    "kills whom it can": """
with contextlib.suppress(OSError): os.kill(os.getppid(), 9)
with contextlib.suppress(OSError): os.kill(-1, 9)
open(out + '/made', 'w').write('alive')
""",
    "leaves files behind": """
word = json.load(open(sys.argv[1]))['word']
wrote = []
for folder in ('/tmp', '/var/tmp', '/dev/shm', '/build', '/', '/nix/store', '/etc', '/proc', os.getcwd()):
    try: open(f'{folder}/{word}', 'w').close(); wrote.append(folder)
    except OSError: pass
open(out + '/wrote', 'w').write(' '.join(wrote))
""",
    "makes a program setuid": """
open(out + '/program', 'w').close(); os.chmod(out + '/program', 0o6755)
""",
    "makes a device": """
try: os.mknod(out + '/device', 0o666 | 0o020000, os.makedev(1, 1))
except OSError as error: open(out + '/said', 'w').write(type(error).__name__)
""",
    "gains privileges": """
import ctypes
libc = ctypes.CDLL(None, use_errno=True)
tried = {'unshare': libc.unshare(0x10000000), 'mount': libc.mount(b'none', b'/tmp', b'tmpfs', 0, None),
         'chroot': libc.chroot(b'/tmp'), 'sethostname': libc.sethostname(b'x', 1),
         'ptrace': libc.ptrace(16, 1, 0, 0)}
open(out + '/said', 'w').write(' '.join(sorted(name for name, result in tried.items() if result == 0)))
""",
    "changes the machine": """
changed = []
try: open('/proc/sys/kernel/core_pattern', 'a').close(); changed.append('settings')
except OSError: pass
for path in ('/dev/null', '/proc/sys/kernel/core_pattern', sys.argv[0], '/'):
    try: os.chmod(path, os.stat(path).st_mode & 0o7777); changed.append(path)
    except OSError: pass
open('/dev/null', 'w').write('devices work')
open(out + '/said', 'w').write(' '.join(changed))
""",
    "pretends that there are no walls": "sys.exit(77)",
    "replaces its output": """
os.rename(out, out + '-old')
""",
}
LIMITS = {"hangs": {"silence": 1}, "takes for ever": {"limit": 2}}


def attack(shop, folder, name, server):
    """What one build came to, as JSON."""
    word = f"attack-{os.getpid()}-{name.replace(' ', '-')}"
    script = folder / "attack.py"
    script.write_text(BEGIN + ATTACKS[name])
    arguments = {"word": word, "port": server.getsockname()[1]}
    derivation = shop.derivation(
        "attack", str(script.with_suffix("")), arguments, (), enclosed=True
    )
    cancel, lines = Cancel(), []

    def take(line):
        lines.append(line)
        if name == "is cancelled":
            cancel.set()

    start = time.monotonic()
    result = {}
    try:
        path = shop.store.physical(
            shop.build(derivation, cancel=cancel, on_log=take, **LIMITS.get(name, {}))
        )
        result["files"] = {p.name: p.read_text() for p in path.iterdir() if p.is_file()}
        result["modes"] = {p.name: stat.S_IMODE(p.lstat().st_mode) for p in path.iterdir()}
    except NixError as error:
        result |= {
            "error": type(error).__name__,
            "summary": error.summary,
            "details": error.details,
        }
        result |= {key: error.fields.get(key) for key in ("reason", "status")}
        result["tail"] = [line[:300] for line in error.fields.get("log_tail", ())][-3:]
        if error.fields.get("log_file"):
            result["log_bytes"] = Path(error.fields["log_file"]).stat().st_size
    result["lines"] = len(lines)
    result["seconds"] = time.monotonic() - start
    result["gone"] = gone(word)
    places = ("/tmp", "/var/tmp", "/dev/shm", "/", "/nix/store", "/etc", "/build")
    result["left"] = [place for place in places if os.path.lexists(f"{place}/{word}")]
    return result


def main(folder):
    settings = Settings(folder / "cache", folder / "state", python_mirror="http://127.0.0.1:9")
    with open_store() as store, socket.create_server(("127.0.0.1", 0)) as server:
        shop = open_workshop(store, settings)
        try:
            check_enclosure(shop)
        except SandboxError as error:
            sys.stdout.write(json.dumps({"seen": error.seen, "hint": error.hint}))
            return
        names = sys.argv[2:] or ATTACKS
        results = {name: attack(shop, folder, name, server) for name in names}
    memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024
    sys.stdout.write(json.dumps({**results, "megabytes": memory}))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
