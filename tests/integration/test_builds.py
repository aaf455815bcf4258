"""Builds that mean harm: whatever they do, it ends with them, and the error says what happened.

In three places, each with a real Nix: a store at `/nix` with Nix's sandbox off (as Debian has it) and on,
and a chroot store, where Nix always uses its sandbox. As root, and as a user without rights.
"""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import certifi
import packaging
import pytest
from build_attacks import ATTACKS
from builders import gone
from daemons import (
    needs_nix,
    needs_root,
    open_dir,  # noqa: F401
    private_daemon,  # noqa: F401
    remove_tree,
    unprivileged,  # noqa: F401
)
from namespaces import in_namespace

from nixlib.daemon.building import SILENCE
from nixlib.errors import BuildError
from nixlib.settings import Settings
from nixlib.store import open_store
from nixlib.tree import Symlink, tree_of
from nixlib.workshop.buildlog import MAX_BYTES
from nixlib.workshop.probing import check_enclosure
from nixlib.workshop.workshop import open_workshop

TESTS = Path(__file__).parents[1]
pytestmark = [pytest.mark.daemon, needs_nix]
# Users of its own: those of the machine's Nix may be at work, and Nix kills what runs as one of them.
OWN_STORE = """
mount -t tmpfs none /nix
cp /etc/group /etc/passwd "$PLACE"
for n in 1 2; do echo "attackbld$n:x:3900$n:39000::/var/empty:/bin/false" >> "$PLACE/passwd"; done
echo "attackbld:x:39000:attackbld1,attackbld2" >> "$PLACE/group"
mount --bind "$PLACE/group" /etc/group
mount --bind "$PLACE/passwd" /etc/passwd
"""


def run_attacks(prefix, folder, *names, **env):
    argv = [*prefix, sys.executable, str(TESTS / "build_attacks.py"), str(folder), *names]
    done = subprocess.run(
        argv, env={**os.environ, **env}, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


@pytest.fixture(
    scope="module",
    params=[
        pytest.param("sandbox off", marks=needs_root),
        pytest.param("sandbox on", marks=needs_root),
        "chroot store",
    ],
)
def came_to(request, tmp_path_factory):
    """What each attack came to."""
    folder = tmp_path_factory.mktemp("attacks")
    if request.param == "chroot store":
        yield run_attacks((), folder, NIX_REMOTE=str(folder / "store"))
        remove_tree(folder / "store")
        return
    sandbox = "true" if request.param == "sandbox on" else "false"
    config = f"sandbox = {sandbox}\nbuild-users-group = attackbld\nsubstituters =\n"
    # Builders work below TMPDIR, which here must be open to other users.
    env = {"NIX_CONFIG": config, "PLACE": str(folder), "NIX_REMOTE": "", "TMPDIR": "/tmp"}
    yield run_attacks(in_namespace(OWN_STORE), folder, **env)


def test_honest_build_makes_its_output(came_to):
    assert came_to["honest"]["files"] == {"made": "well"}


@pytest.mark.parametrize("name", ATTACKS)
def test_nothing_is_left_of_it(came_to, name):
    assert came_to[name]["gone"]
    assert came_to[name]["left"] == []


def test_one_that_hangs_is_killed(came_to):
    assert came_to["hangs"]["reason"] == "silent"
    assert came_to["hangs"]["tail"] == ["begun"]
    assert came_to["hangs"]["seconds"] < SILENCE / 10


def test_one_that_takes_for_ever_is_killed(came_to):
    assert came_to["takes for ever"]["reason"] == "too-long"


def test_one_that_is_cancelled_ends(came_to):
    assert came_to["is cancelled"]["error"] == "RealisationCancelledError"


@pytest.mark.parametrize("name", ["prints a gigabyte", "prints a line without end"])
def test_a_long_log_is_cut_and_its_end_kept(came_to, name):
    assert came_to[name]["status"] == 4
    assert came_to[name]["tail"][-1] == "the last line"
    assert 1_000_000 < came_to[name]["log_bytes"] <= MAX_BYTES
    assert came_to["megabytes"] < 500


def test_a_log_cannot_move_the_cursor(came_to):
    said = "".join(came_to["talks to the terminal"]["details"])
    assert said.isprintable()
    assert came_to["talks to the terminal"]["status"] == 4


def test_a_log_gives_no_orders_to_nix(came_to):
    assert "action" in came_to["gives orders to Nix"]["tail"][-1]


def test_there_is_no_network(came_to):
    said = came_to["tries the network"]["files"]["said"].split()
    assert {"reached", "resolved"}.isdisjoint(said)


def test_forks_end_with_the_build(came_to):
    assert came_to["forks"]["files"] == {"made": "left behind a hundred"}


def test_one_that_kills_reaches_only_its_own(came_to):
    assert came_to["kills whom it can"]["files"] == {"made": "alive"}


def test_files_are_written_nowhere_but_in_its_own_folders(came_to):
    wrote = set(came_to["leaves files behind"]["files"]["wrote"].split())
    assert wrote <= {"/tmp", "/dev/shm", "/build"}


def test_no_program_is_setuid(came_to):
    modes = came_to["makes a program setuid"].get("modes", {})
    assert not any(mode & 0o6000 for mode in modes.values())


def test_no_device_is_made(came_to):
    assert came_to["makes a device"]["files"] == {"said": "PermissionError"}


def test_no_privilege_is_gained(came_to):
    assert came_to["gains privileges"]["files"] == {"said": ""}


def test_nothing_of_the_machine_is_changed(came_to):
    """In a chroot store of root's the builder is root itself, as far as the kernel's files know."""
    assert came_to["changes the machine"]["files"] == {"said": ""}


def test_status_of_a_missing_wall_is_no_builders_to_give(came_to):
    assert came_to["pretends that there are no walls"]["error"] == "BuildError"


def test_what_a_builder_says_of_a_disk_is_not_taken_for_nix(came_to):
    """Its last words are `Read-only file system`, which is what Nix says of a store on such a disk."""
    assert came_to["replaces its output"]["error"] == "BuildError"


@pytest.mark.parametrize("sandbox", ["false", "true"])
def test_where_nothing_isolates_builds_nothing_is_built(tmp_path, sandbox):
    """With namespaces forbidden, Nix turns its sandbox off by itself, whatever its setting says."""
    script = "mount -t tmpfs none /nix; echo 0 > /proc/sys/user/max_user_namespaces"
    config = f"sandbox = {sandbox}\nbuild-users-group =\nsubstituters =\n"
    env = {"NIX_CONFIG": config, "NIX_REMOTE": "", "TMPDIR": "/tmp"}
    refused = run_attacks(in_namespace(script, own_users=True), tmp_path, **env)
    assert "sandbox = true" in refused["hint"]
    assert any("cannot unshare namespaces" in line for line in refused["seen"])
    assert "Nix's sandbox is off: there is a route into a network" in refused["seen"]


@pytest.fixture(scope="module")
def shop(tmp_path_factory):
    """A workshop in a chroot store, where Nix's own sandbox is always on."""
    folder = tmp_path_factory.mktemp("shop")
    settings = Settings(folder / "cache", folder / "state", python_mirror="http://127.0.0.1:9")
    with open_store(str(folder / "store")) as store:
        yield open_workshop(store, settings)
    remove_tree(folder / "store")


def script(tmp_path, text):
    (tmp_path / "script.py").write_text(f"import json, os, sys\n{text}")
    return str(tmp_path / "script")


# Laying out the file system fails here, as mounting may where namespaces are allowed.
HALF_ENCLOSED = """
import json, sys
from dataclasses import replace
from pathlib import Path
from nixlib.settings import Settings
from nixlib.store import open_store
from nixlib.storepath import StorePath
from nixlib.workshop.workshop import open_workshop

folder = Path(sys.argv[1])
settings = Settings(folder / "cache", folder / "state", python_mirror="http://127.0.0.1:9")
with open_store() as store:
    shop = open_workshop(store, settings)
    whole = shop.derivation("walls", str(folder / "script"), {}, (), enclosed=True)
    fence, walls = whole.args[-2:]
    orders = json.loads(store.physical(StorePath.parse(walls)).read_bytes())
    broken = shop.add_file("broken.json", json.dumps({**orders, "layers": ["/absent"]}).encode())
    args = (*whole.args[:-2], fence, broken.in_dir())
    half = replace(whole, args=args, sources=whole.sources | {broken})
    print((store.physical(shop.build(half)) / "seen").read_text())
"""


@needs_root
def test_where_only_nix_isolates_builds_they_run(tmp_path):
    script(
        tmp_path,
        "json.dump([os.getcwd(), os.listdir('/')], open(os.environ['out'] + '/seen', 'w'))",
    )
    config = "sandbox = true\nbuild-users-group = attackbld\nsubstituters =\n"
    env = {"NIX_CONFIG": config, "PLACE": str(tmp_path), "NIX_REMOTE": "", "TMPDIR": "/tmp"}
    done = subprocess.run(
        [*in_namespace(OWN_STORE), sys.executable, "-c", HALF_ENCLOSED, str(tmp_path)],
        env={**os.environ, **env},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    cwd, root = json.loads(done.stdout)
    assert cwd == "/build/build"
    assert "lib64" not in root


def test_build_that_is_not_enclosed_runs_by_the_runtimes_loader(shop, tmp_path):
    work = "open(os.environ['out'], 'w').write(json.load(open(sys.argv[1]))['say'])"
    derivation = shop.derivation("said", script(tmp_path, work), {"say": "ünï\udc80"}, ())
    assert shop.physical_dir == shop.settings.state_dir.parent / "store/nix/store"
    with pytest.raises(BuildError):  # a surrogate is no text: the builder's own error, not ours
        shop.build(derivation)
    derivation = shop.derivation("said", script(tmp_path, work), {"say": "ünï"}, ())
    assert shop.store.physical(shop.build(derivation)).read_text() == "ünï"


def test_layers_are_found_at_the_root_the_first_before_the_next(shop, tmp_path):
    one = shop.store.add_tree("one", tree_of({"usr/bin/env": "1", "usr/a": "1", "lib/own": "1"}))
    two = shop.store.add_tree(
        "two", tree_of({"usr/bin/env": "2", "usr/b": "2", "bin": Symlink("x")})
    )
    work = """
read = lambda path: open(path).read()
found = [read('/usr/bin/env'), read('/usr/a'), read('/usr/b'), read('/lib/own'), os.readlink('/bin')]
json.dump(found, open(os.environ['out'] + '/found', 'w'))
"""
    layers = (one.path, two.path)
    built = shop.derivation("l", script(tmp_path, work), {}, (), enclosed=True, layers=layers)
    found = json.loads((shop.store.physical(shop.build(built)) / "found").read_bytes())
    assert found == ["1", "1", "2", "1", f"{two.path.in_dir()}/bin"]


def test_a_build_sees_what_it_was_given_and_what_that_needs(shop, tmp_path):
    needed = shop.store.add_tree("needed", tree_of({"a": "b"})).path
    given = shop.store.add_tree("given", tree_of({"l": Symlink(f"../{needed}/a")}), [needed]).path
    other = shop.add_file("other", b"x")
    work = "json.dump(os.listdir('/nix/store'), open(os.environ['out'] + '/seen', 'w'))"
    built = shop.derivation("seen", script(tmp_path, work), {}, (given,), enclosed=True)
    seen = json.loads((shop.store.physical(shop.build(built)) / "seen").read_bytes())
    assert {str(given), str(needed), str(built.output())} <= set(seen)
    assert str(other) not in seen


def test_workshop_is_found_again(shop):
    again = open_workshop(shop.store, shop.settings)
    assert (again.python, again.runtime) == (shop.python, shop.runtime)


def test_probe_is_remembered(shop):
    check_enclosure(shop)
    before = set(shop.physical_dir.iterdir())
    check_enclosure(shop)
    assert set(shop.physical_dir.iterdir()) == before


@needs_root
def test_user_without_rights_builds_in_a_store_of_their_own(unprivileged):  # noqa: F811
    folder = unprivileged.home
    for file in (TESTS / "build_attacks.py", TESTS / "builders.py"):
        shutil.copy(file, unprivileged.library)
    for package in (packaging, certifi):
        place = Path(package.__file__).parent
        shutil.copytree(place, unprivileged.library / place.name)
    # Our own uv may lie where only root can read; without it, the Python is this machine's.
    (unprivileged.library / "uv.py").write_text("find_uv_bin = lambda: '/bin/false'")
    names = ("honest", "hangs", "forks", "leaves files behind", "tries the network")
    code = "import sys, build_attacks, pathlib; build_attacks.main(pathlib.Path(sys.argv[1]))"
    said = unprivileged.run(code, str(folder), *names, NIX_REMOTE=str(folder / "store"))
    came_to = json.loads(said)
    assert came_to["honest"]["files"] == {"made": "well"}
    assert came_to["hangs"]["reason"] == "silent"
    assert all(came_to[name]["gone"] and not came_to[name]["left"] for name in names)


@needs_root
def test_untrusted_user_builds_through_a_daemon(private_daemon, unprivileged):  # noqa: F811
    shutil.copy(TESTS / "builders.py", unprivileged.library)
    code = """
from builders import shell_build
from nixlib.errors import BuildError
from nixlib.store import open_store
with open_store() as store:
    print(store.physical(store.build(shell_build(store, 'echo made > "$out"'))).read_text().strip())
    try:
        store.build(shell_build(store, 'while :; do :; done', name='hangs'), silence=1)
    except BuildError as error:
        print(error.reason)
"""
    assert unprivileged.run(code, NIX_REMOTE=private_daemon.uri) == "made\nsilent\n"


def test_build_ends_when_we_are_killed(tmp_path):
    word = f"orphan-{os.getpid()}"
    code = f"""
from builders import shell_build
from nixlib.store import open_store
with open_store() as store:
    script = 'echo begun; while :; do :; done # {word}'
    store.build(shell_build(store, script), on_log=lambda line: print(line, flush=True))
"""
    env = {**os.environ, "NIX_REMOTE": str(tmp_path / "store"), "PYTHONPATH": str(TESTS)}
    with subprocess.Popen([sys.executable, "-c", code], env=env, stdout=subprocess.PIPE) as process:
        assert process.stdout.readline() == b"begun\n"
        process.kill()
    assert gone(word)
    remove_tree(tmp_path / "store")
