"""Interpreters that leave their place: copied, unpacked, put into a real store, started from there."""

import json
import os
import shutil
import subprocess
import sys
import tempfile
from dataclasses import replace
from pathlib import Path

import pytest

from nixlib.binaries.elf import read_elf
from nixlib.binaries.runpath import rewrite_run_path
from nixlib.errors import HashMismatchError, InterpreterError, NetworkError
from nixlib.interpreters.host_python import find_hosts, read_host
from nixlib.interpreters.host_tree import fingerprint, host_tree
from nixlib.interpreters.interpreter import lock_interpreter, realise_interpreter
from nixlib.interpreters.precompile import write_tree
from nixlib.interpreters.standalone import choose, known_releases
from nixlib.lock import Artifact, LockedInterpreter
from nixlib.nar import nar_hash
from nixlib.platforms import SYSTEMS, current_system, python_minor
from nixlib.settings import STANDALONE_MIRROR, Settings
from nixlib.store import open_store
from nixlib.testing.python_mirror import release_tarball, serve_mirror, write_mirror
from nixlib.tree import Regular, Symlink, tree_of, walk

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="`host` copies ELF files"),
]

NOBODY = 65534
DEAD_MIRROR = "http://127.0.0.1:9"

PROBE = """
import json, os, sys, sysconfig
import bz2, ctypes, hashlib, json.decoder, lzma, sqlite3, ssl, venv, zlib
sqlite3.connect(":memory:").execute("select 1")
ssl.create_default_context(); hashlib.new("sha256"); ctypes.CDLL(None)
with open("/proc/self/maps") as maps:
    mapped = sorted({line.split()[5] for line in maps if len(line.split()) > 5 and "/" in line})
files = [getattr(m, "__file__", None) for m in list(sys.modules.values())]
print(json.dumps({
    "version": ".".join(map(str, sys.version_info[:3])), "prefix": sys.prefix, "base": sys.base_prefix,
    "uid": os.getuid(), "path": sys.path, "executable": sys.executable, "paths": sysconfig.get_paths(),
    "suffix": sysconfig.get_config_var("EXT_SUFFIX"), "mapped": mapped, "cached": json.decoder.__cached__,
    "files": [f for f in files if f], "libdir": sysconfig.get_config_var("LIBDEST"),
}))
"""


@pytest.fixture(scope="module")
def place():
    """A folder that another user may read, which pytest's own are not."""
    folder = tempfile.mkdtemp(prefix="nixenv-test-")
    Path(folder).chmod(0o755)
    yield Path(folder)
    # Folders of a store are read-only, also for their owner; the tools are ten times as fast as rglob.
    subprocess.run(["chmod", "-R", "u+w", folder], check=True)
    subprocess.run(["rm", "-rf", folder], check=True)


@pytest.fixture(scope="module")
def store(place):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("NIX_CONFIG", "substituters =\nfsync-metadata = false")
        with open_store(str(place / "store")) as opened:
            yield opened


@pytest.fixture(scope="module")
def settings(place):
    return Settings(
        cache_dir=place / "cache", state_dir=place / "state", python_mirror=DEAD_MIRROR, timeout=2
    )


def host_named(version):
    return next(host for host in find_hosts() if host.version == version)


HOSTS = [host.version for host in find_hosts()] if sys.platform.startswith("linux") else []


def probe(program, *flags, as_nobody=True):
    done = subprocess.run(
        [program, *flags, "-c", PROBE],
        env={"PATH": "/usr/bin:/bin"},
        cwd="/",
        capture_output=True,
        text=True,
        user=NOBODY if as_nobody and os.getuid() == 0 else None,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def environment_of(store, path, version):
    """The shape of every environment, without packages."""
    minor = python_minor(version)
    tree = tree_of(
        {
            "pyvenv.cfg": "include-system-site-packages = false\n",
            "bin/python": Symlink(f"../../{path}/bin/python{minor}"),
            f"lib/python{minor}/site-packages/marker.py": "",
        }
    )
    return store.physical(store.add_tree(f"env-{version}", tree, [path]).path)


@pytest.mark.parametrize("version", HOSTS)
def test_host_copy_stands_alone_in_an_environment(version, store, settings):
    host = host_named(version)
    locked = lock_interpreter(version, "host", [current_system()], settings=settings)
    info = realise_interpreter(locked, store, settings=settings)
    env = environment_of(store, info.path, version)
    home, minor = str(store.physical(info.path)), python_minor(version)
    found = probe(env / "bin/python")

    assert found["version"] == version
    assert (found["prefix"], os.path.realpath(found["base"])) == (str(env), home)
    assert [p for p in found["path"] if "packages" in p] == [
        f"{env}/lib/python{minor}/site-packages"
    ]
    assert found["paths"]["purelib"] == f"{env}/lib/python{minor}/site-packages"
    assert found["suffix"].startswith(f".cpython-{minor.replace('.', '')}")
    assert os.path.realpath(found["cached"]).startswith(home)
    assert all(os.path.realpath(f).startswith((home, str(env))) for f in found["files"])
    own = [path for path in found["mapped"] if "python" in path.rpartition("/")[2]]
    assert own
    assert all(path.startswith(home) for path in own)
    assert not any(path.startswith(f"{host.prefix}/") for path in own)


@pytest.mark.parametrize("version", HOSTS)
def test_host_copy_makes_a_working_virtual_environment(version, store, settings, tmp_path):
    locked = lock_interpreter(version, "host", [current_system()], settings=settings)
    info = realise_interpreter(locked, store, settings=settings)
    program = environment_of(store, info.path, version) / "bin/python"
    subprocess.run([program, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True, env={})
    found = probe(tmp_path / "venv/bin/python", as_nobody=False)

    assert (found["version"], found["prefix"]) == (version, str(tmp_path / "venv"))


@pytest.mark.parametrize("version", [HOSTS[0], HOSTS[-1]] if HOSTS else [])
def test_one_link_gives_a_bytecode_prefix_the_whole_library(version, store, settings, tmp_path):
    locked = lock_interpreter(version, "host", [current_system()], settings=settings)
    home = store.physical(realise_interpreter(locked, store, settings=settings).path)
    minor = python_minor(version)
    place = tmp_path / "prefix" / home.relative_to("/") / "lib" / f"python{minor}"
    place.parent.mkdir(parents=True)
    place.symlink_to(home / "lib" / f"python{minor}" / "__pycache__")
    command = [
        home / f"bin/python{minor}",
        "-S",
        "-v",
        "-X",
        f"pycache_prefix={tmp_path / 'prefix'}",
    ]
    done = subprocess.run(
        [*command, "-c", "import email.mime.text, xml.etree.ElementTree, ssl"],
        env={},
        check=True,
        capture_output=True,
        text=True,
    )
    used = [line for line in done.stderr.splitlines() if line.startswith("# code object from")]

    assert any("email/mime/text.cpython-" in line for line in used)
    assert all(str(place) in line for line in used)


def moved_copy(host, folder):
    """The installation `host` in another place, without its packages."""
    ignored = shutil.ignore_patterns("site-packages", "test", "__pycache__", "config-3*")
    shutil.copytree(host.prefix, folder, symlinks=True, ignore=ignored)
    return read_host(folder / "bin" / f"python{python_minor(host.version)}")


def movable():
    """A host whose prefix is all its own."""
    found = [
        host for host in find_hosts() if "versions" in str(host.prefix) or "uv" in str(host.prefix)
    ]
    if not found:
        pytest.skip("no Python here but the distribution's")
    return found[-1]


def test_host_copy_is_the_same_from_two_places_and_survives_the_original(place):
    host = movable()
    moved = moved_copy(host, place / "moved")
    tree = host_tree(moved).tree
    alone = place / "alone"
    alone.mkdir()
    write_tree(tree, alone)
    digest = nar_hash(tree)
    shutil.rmtree(place / "moved")
    found = probe(alone / f"bin/python{python_minor(host.version)}")

    assert digest == nar_hash(host_tree(host).tree)
    assert found["prefix"] == str(alone)


def test_host_copy_brings_the_libraries_that_a_run_path_finds(place):
    """As in a conda prefix, where OpenSSL lies in `lib/` beside the interpreter."""
    moved = moved_copy(movable(), place / "bundled")
    [extension] = moved.extensions.glob("_ssl.*.so")
    maps = "import ssl; print(*sorted({l.split()[-1] for l in open('/proc/self/maps') if '/libssl' in l or '/libcrypto' in l}))"
    run = [moved.executable, "-c", maps]
    libraries = subprocess.run(run, check=True, capture_output=True, text=True).stdout.split()
    for library in libraries:
        shutil.copy(library, moved.prefix / "lib" / Path(library).name)
    for file in moved.extensions.glob("_[sh]*.so"):
        file.write_bytes(rewrite_run_path(file.read_bytes(), ["$ORIGIN/../.."]))
    copy = host_tree(read_host(moved.executable))
    alone = place / "with-libraries"
    alone.mkdir()
    write_tree(copy.tree, alone)
    shutil.rmtree(place / "bundled")
    found = probe(alone / f"bin/python{python_minor(moved.version)}")

    assert len(libraries) == 2
    assert not {Path(library).name for library in libraries} & set(copy.libraries)
    assert "libsqlite3.so.0" in copy.libraries
    assert read_elf(
        (
            alone / "lib" / f"python{python_minor(moved.version)}" / "lib-dynload" / extension.name
        ).read_bytes()
    ).run_path == ("$ORIGIN/../..",)
    assert {p for p in found["mapped"] if "/libssl" in p or "/libcrypto" in p} == {
        f"{alone}/lib/{Path(library).name}" for library in libraries
    }


def test_host_copy_spells_no_place_in_what_is_text(place):
    host = movable()
    for path, node in walk(host_tree(host).tree):
        if isinstance(node, Regular) and path.endswith((".py", ".pyc", ".h", ".so")):
            assert str(host.prefix).encode() not in b"".join(node.read()), path


def test_host_copy_changes_its_fingerprint_with_any_file(place):
    moved = moved_copy(movable(), place / "changing")
    before = fingerprint(moved)
    (moved.stdlib / "os.py").write_text("x = 1\n")

    assert fingerprint(moved) != before


def test_lock_takes_the_host_when_the_mirror_is_silent_and_remembers_it(settings, store):
    events = []
    wanted = python_minor(HOSTS[0])
    first = lock_interpreter(wanted, None, SYSTEMS, settings=settings, on_event=events.append)
    again = lock_interpreter(wanted, None, SYSTEMS, settings=settings, on_event=events.append)

    assert first == again
    assert first.source == "host"
    assert list(first.trees) == [current_system()]
    assert "does not answer" in events[0].text
    assert "lately" in events[1].text


def test_lock_fails_when_standalone_is_wanted_and_the_mirror_is_silent(settings):
    with pytest.raises(NetworkError):
        lock_interpreter("3.11", "standalone", SYSTEMS, settings=settings)


def test_lock_keeps_the_previous_interpreter_only_while_it_fits(settings):
    newest, oldest = HOSTS[0], HOSTS[-1]
    here = [current_system()]
    kept = lock_interpreter(oldest, "host", here, settings=settings)
    strange = replace(kept, trees={here[0]: "sha256-" + "A" * 43 + "="})

    assert lock_interpreter(">=3.8", None, here, settings=settings, previous=kept) is kept
    assert lock_interpreter(newest, None, here, settings=settings, previous=kept).version == newest
    assert lock_interpreter(oldest, None, here, settings=settings, previous=strange) == kept


def test_lock_of_what_is_not_here_offers_the_nearest(settings):
    with pytest.raises(InterpreterError) as error:
        lock_interpreter("3.7", "host", SYSTEMS, settings=settings)

    assert error.value.fields["wanted"] == "3.7"
    assert set(error.value.fields["found"]) == set(HOSTS)
    assert "--python" in error.value.hint


def test_realise_of_another_build_offers_the_nearest(settings, store):
    locked = lock_interpreter(HOSTS[0], "host", [current_system()], settings=settings)
    other = replace(locked, trees={current_system(): "sha256-" + "A" * 43 + "="})
    with pytest.raises(InterpreterError) as error:
        realise_interpreter(other, store, settings=settings)

    assert (error.value.fields["wanted"], error.value.fields["found"][0]) == (HOSTS[0], HOSTS[0])
    assert HOSTS[0] in error.value.hint


def test_wrong_memory_of_a_copy_is_found_out_and_mended(settings, store, place):
    settings = replace(settings, state_dir=place / "wrong")
    right = lock_interpreter(HOSTS[-1], "host", [current_system()], settings=settings)
    nar, lie = right.trees[current_system()], "sha256-" + "B" * 43 + "="
    file = settings.state_dir / "hosts.json"
    file.write_text(file.read_text().replace(nar, lie))
    wrong = lock_interpreter(HOSTS[-1], "host", [current_system()], settings=settings)
    with pytest.raises(InterpreterError):
        realise_interpreter(wrong, store, settings=settings)

    assert wrong.trees == {current_system(): lie}
    again = lock_interpreter(
        HOSTS[-1], "host", [current_system()], settings=settings, previous=wrong
    )
    assert again == right


def test_realise_names_the_libraries_that_are_missing(settings, store):
    locked = lock_interpreter(HOSTS[0], "host", [current_system()], settings=settings)
    with pytest.raises(InterpreterError) as error:
        realise_interpreter(
            replace(locked, libraries=("libc.so.6", "libnone.so.3")), store, settings=settings
        )

    assert error.value.fields["wanted"] == ("libnone.so.3",)


@pytest.fixture(scope="module")
def mirror(place):
    """A mirror with one release for each system, of which ours starts."""
    releases = known_releases()
    offered = {release.version for release in releases}
    hosts = [host for host in find_hosts() if host.version in offered]
    if not hosts:
        pytest.skip("no Python here is one that a mirror offers")
    host = hosts[-1]
    chosen = choose(host.version, releases, SYSTEMS, "3.11")
    here = current_system()
    tarball = release_tarball(host_tree(host).tree)
    write_mirror(
        place / "mirror", {r: tarball if s == here else s.encode() for s, r in chosen.items()}
    )
    with serve_mirror(place / "mirror") as (url, _):
        yield url, host.version


def test_standalone_goes_from_the_mirror_into_an_environment(mirror, settings, store):
    url, version = mirror
    settings = replace(settings, python_mirror=url)
    locked = lock_interpreter(version, None, SYSTEMS, settings=settings)
    info = realise_interpreter(locked, store, settings=settings)
    found = probe(environment_of(store, info.path, version) / "bin/python")
    again = realise_interpreter(
        locked,
        store,
        settings=settings,
        nar=nar_of(info),
        download=lambda _: pytest.fail("downloaded"),
    )

    assert locked.source == "standalone"
    assert set(locked.artifacts) == set(SYSTEMS)
    assert info.path.name == f"python-{version}"
    assert (found["version"], os.path.realpath(found["base"])) == (
        version,
        str(store.physical(info.path)),
    )
    assert again == info


def nar_of(info):
    from nixlib.sri import sri

    return sri(info.nar_sha256)


def test_standalone_that_was_altered_on_its_way_is_refused(mirror, settings, store):
    url, version = mirror
    settings = replace(settings, python_mirror=url)
    locked = lock_interpreter(version, None, SYSTEMS, settings=settings)
    here = current_system()
    other = Artifact(locked.artifacts[here].url, "0" * 64, locked.artifacts[here].size)
    with pytest.raises(HashMismatchError):
        realise_interpreter(replace(locked, artifacts={here: other}), store, settings=settings)


@pytest.mark.parametrize(
    "address",
    [
        "file:///tmp/20240101/python.tar.gz",
        "https://example.org/20240101/python.tar.gz",
        "{mirror}.example.org/20240101/python.tar.gz",
        "{mirror}/../../other/python.tar.gz",
        "{mirror}/20240101/..%2F..%2Fpython.tar.gz",
        "{upstream}/../../../../other/x/releases/download/1/python.tar.gz",
    ],
)
def test_standalone_of_a_strangers_place_is_neither_had_nor_started(
    mirror, settings, store, address
):
    settings = replace(settings, python_mirror=mirror[0])
    url = address.format(mirror=mirror[0], upstream=STANDALONE_MIRROR)
    artifacts = {current_system(): Artifact(url, "0" * 64, 1)}
    locked = LockedInterpreter(mirror[1], "standalone", artifacts)
    with pytest.raises(InterpreterError, match="takes none"):
        realise_interpreter(
            locked, store, settings=settings, download=lambda _: pytest.fail("downloaded")
        )


def test_standalone_of_other_systems_alone_is_refused(mirror, settings, store):
    url, version = mirror
    locked = lock_interpreter(version, None, SYSTEMS, settings=replace(settings, python_mirror=url))
    others = {s: a for s, a in locked.artifacts.items() if s != current_system()}
    with pytest.raises(InterpreterError) as error:
        realise_interpreter(replace(locked, artifacts=others), store, settings=settings)

    assert error.value.fields["found"] == tuple(sorted(others))
