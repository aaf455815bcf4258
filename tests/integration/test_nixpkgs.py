"""Attributes of a small tree of nixpkgs' shape: locked, realised, run, by a real Nix."""

import os
import shutil
import socket
import subprocess
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import certifi
import packaging
import pytest
from daemons import (  # noqa: F401 - fixtures
    Unprivileged,
    needs_nix,
    needs_root,
    nix,
    open_dir,
    remove_tree,
    unprivileged,
)
from live_kernel import close_event_loop, kernel_for  # noqa: F401 - a fixture
from namespaces import in_namespace
from newest_nix import newest_nix

from nixlib.cancel import Cancel
from nixlib.composition.compose import compose
from nixlib.composition.package import Package, StoreListing, no_facts
from nixlib.errors import (
    BuildError,
    EvaluationError,
    HashMismatchError,
    InterpreterError,
    NativeLibraryError,
    NetworkError,
    RealisationCancelledError,
    StoreError,
)
from nixlib.ledger import Ledger
from nixlib.nixpkgs.evaluating import Asked, Evaluator
from nixlib.nixpkgs.joining import nixpkgs_interpreter, packages_of
from nixlib.nixpkgs.realising import realise_attributes
from nixlib.nixpkgs.repository import Repository
from nixlib.nixpkgs.revisions import Revisions
from nixlib.nixpkgs.supply import supply
from nixlib.platforms import current_system
from nixlib.requirements import parse_line
from nixlib.resolvers.nixpkgs import (
    AttributeRequest,
    AttributeResolution,
    names_in_nixpkgs,
    resolve_attributes,
)
from nixlib.settings import Settings
from nixlib.store import Store, open_store
from nixlib.testing.compiled import extension_module, shared_library
from nixlib.testing.fileserver import FileServer
from nixlib.testing.nixpkgs import BRANCH, COMMIT, local_nixpkgs, small_tree, write_revision
from nixlib.tree import Regular, tree_of

pytestmark = [
    needs_nix,
    pytest.mark.daemon,
    pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler"),
]

HERE = current_system()
OTHER = "aarch64-darwin"
EVERYTHING = ("nixpkgs#graphviz", "nixpkgs#libgreet", "nixpkgs#python3Packages.tinygreet")


@dataclass(frozen=True)
class World:
    """A store of its own, and the folder where revisions are."""

    folder: Path
    settings: Settings

    def resolve(self, *lines: str, settings: Settings | None = None, **more) -> AttributeResolution:
        requirements = tuple(parse_line(line) for line in lines)
        more = {"systems": (HERE, OTHER), **more}
        request = AttributeRequest(requirements=requirements, **more)
        return resolve_attributes(request, settings=settings or self.settings)

    def realise(self, attributes, store: Store, **more):
        return realise_attributes(
            attributes, store, settings=more.pop("settings", self.settings), system=HERE, **more
        )

    def unreachable(self) -> Settings:
        """The same where no revision can be had."""
        return replace(self.settings, repositories="http://127.0.0.1:9", timeout=2)

    def elsewhere(self, name: str, **more) -> "World":
        """The same with another store, and nothing remembered."""
        folder = self.folder / name
        folders = {
            "cache_dir": folder / "cache",
            "state_dir": folder / "state",
            "store": str(folder / "store"),
        }
        return World(folder, replace(self.settings, **{**folders, **more}))


def configure(folder: Path, **settings: str) -> Path:
    """A folder for `NIX_CONF_DIR`."""
    lines = {"substituters": "", "sandbox": "false", **settings}
    folder.mkdir(parents=True, exist_ok=True)
    text = "".join(f"{key.replace('_', '-')} = {value}\n" for key, value in lines.items())
    (folder / "nix.conf").write_text(text)
    return folder


@pytest.fixture(scope="module")
def world(tmp_path_factory) -> Iterator[World]:
    folder = tmp_path_factory.mktemp("nixpkgs")
    here = local_nixpkgs()
    settings = Settings(
        folder / "cache",
        folder / "state",
        store=str(folder / "store"),
        repositories=here.url,
        nixpkgs=here.branch,
    )
    with pytest.MonkeyPatch.context() as patch:
        # No cache of the world is asked, which would cost seconds of waiting where there is no network.
        patch.setenv("NIX_CONF_DIR", str(configure(folder / "conf")))
        yield World(folder, settings)
    remove_tree(folder)


@pytest.fixture(scope="module")
def locked(world) -> AttributeResolution:
    return world.resolve(*EVERYTHING)


@pytest.fixture(scope="module")
def opened(world, locked) -> Iterator[Store]:
    """The world's store, with all of `locked` in it."""
    with open_store(world.settings.store) as store:
        world.realise(locked.attributes, store)
        yield store


def by_name(attributes):
    return {attribute.attribute: attribute for attribute in attributes}


# Locking


def test_attribute_is_locked_with_its_outputs_on_every_system(locked):
    graphviz = by_name(locked.attributes)["graphviz"]
    assert (graphviz.source, graphviz.revision, graphviz.branch) == ("nixpkgs", COMMIT, BRANCH)
    assert set(graphviz.outputs) == {HERE, OTHER}
    out, library = graphviz.outputs[HERE]
    assert out.endswith("-graphviz-9.9.9")  # the documentation does not join
    assert library.endswith("-graphviz-9.9.9-lib")
    assert not set(graphviz.outputs[HERE]) & set(graphviz.outputs[OTHER])


def test_python_package_moves_the_notebook_to_its_python(locked):
    found = by_name(locked.attributes)
    version = local_nixpkgs().python
    assert (locked.interpreter.source, locked.interpreter.version) == ("nixpkgs", version)
    assert found["python3Packages.tinygreet"].python == version
    assert len(found["python3Packages.tinygreet"].outputs[HERE]) == 2  # with what it needs
    assert dict(locked.provided) == {"tinybase": "1.0", "tinygreet": "2.0"}
    roles = {attribute.role for attribute in locked.attributes}
    assert roles == {"requirement", "interpreter", "library"}


def test_python_of_nixpkgs_is_locked_without_any_package(world):
    found = world.resolve(interpreter="nixpkgs", python=local_nixpkgs().python.rpartition(".")[0])
    assert found.interpreter.source == "nixpkgs"
    assert found.provided == {}


@pytest.mark.parametrize("more", [{"interpreter": "host"}, {"python": "3.2"}])
def test_python_package_for_another_python_is_refused(world, more):
    with pytest.raises(InterpreterError):
        world.resolve("nixpkgs#python3Packages.tinygreet", **more)


def test_answers_are_kept_and_need_neither_network_nor_evaluation(world, locked, monkeypatch):
    with monkeypatch.context() as patch:
        patch.setenv("PATH", "/absent")  # no `nix-instantiate`; the store's own program neither
        again = world.resolve(
            "nixpkgs#graphviz", settings=world.unreachable(), previous=locked.attributes[:1]
        )
    assert again.attributes == locked.attributes[:1]
    again = world.resolve(*EVERYTHING, settings=world.unreachable(), previous=locked.attributes)
    assert (again.attributes, again.provided) == (locked.attributes, locked.provided)


def test_system_without_the_attribute_is_left_out_and_said(world):
    found = world.resolve("nixpkgs#linuxOnly", "nixpkgs#graphviz")
    assert found.systems == (HERE,)
    assert all(set(attribute.outputs) == {HERE} for attribute in found.attributes)
    assert any(OTHER in note for note in found.notes)


def test_one_output_can_be_asked_for(world):
    (attribute,) = world.resolve("nixpkgs#graphviz.doc").attributes
    assert [path.rpartition("-")[2] for path in attribute.outputs[HERE]] == ["doc"]


def test_build_inputs_are_locked_with_what_builds_need(world):
    (attribute,) = world.resolve(build=(parse_line("nixpkgs#graphviz"),)).attributes
    assert attribute.role == "build"
    assert len(attribute.outputs[HERE]) == 2


def test_names_are_looked_up_among_its_python_packages(world):
    request = AttributeRequest(systems=(HERE,))
    names = {"tinygreet", "numpy", 'a"b'}
    assert names_in_nixpkgs(names, request, settings=world.settings) == {"tinygreet"}


@pytest.mark.parametrize(
    ("line", "part"),
    [
        ("nixpkgs#graphvis", "did you mean `nixpkgs#graphviz`"),
        ("nixpkgs#python3Packages.tinygret", "`nixpkgs#python3Packages.tinygreet`"),
        ("nixpkgs#unfree", "unfree license"),
        ("nixpkgs#number", "it is a int"),
        ("nixpkgs#python3Packages", "it is a set"),
        ("nixpkgs#loops", "infinite recursion"),
        ("nixpkgs#python30", "python30 has been removed"),
    ],
)
def test_attribute_that_is_no_package_says_what_it_is(world, line, part):
    with pytest.raises(EvaluationError) as caught:
        world.resolve("nixpkgs#graphviz", line)
    assert part in caught.value.render()
    assert caught.value.attribute == line.partition("#")[2]


def test_branch_moves_only_when_it_is_asked_to(world, tmp_path):
    shutil.copytree(local_nixpkgs().folder, tmp_path / "mirror")
    settings = replace(world.settings, repositories=(tmp_path / "mirror").as_uri())
    first = world.resolve("nixpkgs#graphviz", settings=settings)
    newer = "f" * 40
    write_revision(tmp_path / "mirror", small_tree({}, "3.11.7"), newer, branches=(BRANCH,))
    kept = world.resolve(
        "nixpkgs#graphviz", "nixpkgs#libgreet", settings=settings, previous=first.attributes
    )
    assert {attribute.revision for attribute in kept.attributes} == {COMMIT}
    moved = world.resolve(
        "nixpkgs#graphviz",
        settings=settings,
        previous=first.attributes,
        upgrade=frozenset({"nixpkgs"}),
    )
    assert [attribute.revision for attribute in moved.attributes] == [newer]
    pinned = world.resolve(
        f"nixpkgs/{COMMIT}#graphviz", settings=settings, previous=moved.attributes
    )
    assert [(a.revision, a.branch) for a in pinned.attributes] == [(COMMIT, "")]
    assert pinned.attributes[0].outputs == first.attributes[0].outputs


def test_revision_comes_over_http_once(world):
    other = world.elsewhere("over-http")
    with FileServer(local_nixpkgs().files()) as server:
        settings = replace(other.settings, repositories=server.url("").rstrip("/"))
        found = other.resolve("nixpkgs#graphviz", settings=settings)
        other.resolve("nixpkgs#libgreet", settings=settings, previous=found.attributes)
        asked = {path.rpartition("/")[2]: count for path, count in server.asked.items()}
    assert asked == {f"{BRANCH}.tar.gz": 1, f"{COMMIT}.tar.gz": 1}


def test_archive_of_another_commit_is_refused(world, tmp_path):
    shutil.copytree(local_nixpkgs().folder, tmp_path / "mirror")
    archives = tmp_path / "mirror/NixOS/nixpkgs/archive"
    (archives / f"{COMMIT}.tar.gz").rename(archives / f"{'a' * 40}.tar.gz")
    settings = replace(world.settings, repositories=(tmp_path / "mirror").as_uri())
    with pytest.raises(HashMismatchError) as caught:
        world.resolve(f"nixpkgs/{'a' * 40}#graphviz", settings=settings)
    assert (caught.value.expected, caught.value.actual) == ("a" * 40, COMMIT)


# Strangers' revisions

HOSTILE = {
    "file": "builtins.readFile /etc/passwd",
    "text": '"${/etc/passwd}"',
    "above": "builtins.readDir ../.",
    "root": "builtins.readDir /.",
    "import": "import /etc/passwd",
    "url": 'builtins.fetchurl "http://127.0.0.1:@PORT@/x"',
    "tarball": 'fetchTarball { url = "http://127.0.0.1:@PORT@/x"; sha256 = "sha256-AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="; }',
    "git": 'builtins.fetchGit "http://127.0.0.1:@PORT@/x"',
    "path": "<nixpkgs>",
    "building": 'import (derivation { name = "x"; inherit system; builder = "/bin/sh"; args = [ "-c" "echo 1 > $out" ]; })',
    "store": "builtins.storePath /nix/store/00000000000000000000000000000000-x",
    "native": 'builtins.exec [ "touch" "@MARK@" ]',
    "much": '{ type = "derivation"; outPath = "/nix/store/" + builtins.concatStringsSep "" (builtins.genList (_: "0123456789") 10000000); name = "x"; }',
    "outside": '{ type = "derivation"; outPath = "/etc/passwd"; name = "x"; }',
    "traversal": '{ type = "derivation"; outPath = "/nix/store/../../etc"; name = "x"; }',
    "name": '{ type = "derivation"; name = "a\\nb"; outPath = "/nix/store/00000000000000000000000000000000-x"; }',
}


@pytest.mark.parametrize("kind", sorted(HOSTILE))
def test_revision_of_a_stranger_reaches_nothing(world, tmp_path, kind):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.settimeout(0.1)
        mark = tmp_path / "mark"
        text = (
            HOSTILE[kind]
            .replace("@PORT@", str(listener.getsockname()[1]))
            .replace("@MARK@", str(mark))
        )
        tree = tree_of({"default.nix": f"{{ system, ... }}: {{ bad = {text}; }}"})
        commit = f"{sorted(HOSTILE).index(kind):040x}"
        write_revision(tmp_path, tree, commit, repository="a/stranger")
        settings = replace(world.settings, repositories=tmp_path.as_uri())
        with pytest.raises(EvaluationError):
            world.resolve(f"github:a/stranger/{commit}#bad", settings=settings)
        with pytest.raises(TimeoutError):
            listener.accept()
    assert not mark.exists()


def test_variables_and_the_clock_are_not_there(world, tmp_path):
    expression = 'builtins.getEnv "HOME" + (builtins.currentSystem or "") + toString (builtins.currentTime or "") + toString builtins.nixPath'
    package = f'{{ type = "derivation"; name = "x"; version = {expression}; outPath = "/nix/store/00000000000000000000000000000000-x"; }}'
    write_revision(
        tmp_path,
        tree_of({"default.nix": f"{{ a = {package}; }}"}),
        "b" * 40,
        repository="a/stranger",
    )
    settings = replace(world.settings, repositories=tmp_path.as_uri())
    with open_store(settings.store) as store, Ledger(tmp_path / "ledger") as ledger:
        revisions = Revisions(store, ledger, settings, Cancel())
        revision = revisions.revision(Repository("a/stranger"), "b" * 40)
        evaluator = Evaluator(revision, HERE, settings, Cancel(), store.store_dir, revisions.ensure)
        assert evaluator.outputs([Asked("a")])[Asked("a")].version == ""


@pytest.mark.parametrize(
    "attribute",
    [
        'a"; builtins.abort "x',
        "a.${builtins.abort}",
        "a b",
        "--version",
        "",
        "a..b",
        "a\nb",
        "a'b",
        "a;b",
        "ä",
    ],
)
def test_attribute_that_would_break_out_is_refused_before_anything_runs(world, attribute):
    other = world.elsewhere("never-made")
    from nixlib.errors import RequirementError
    from nixlib.nixpkgs.revisions import Revision

    with pytest.raises(RequirementError):
        parse_line(f"nixpkgs#{attribute}")
    revision = Revision(Repository("NixOS/nixpkgs"), COMMIT, "sha256-" + "A" * 43 + "=")
    evaluator = Evaluator(revision, HERE, other.settings, Cancel(), "/nix/store", pytest.fail)
    with pytest.raises(EvaluationError):
        evaluator.outputs([Asked(attribute)])


def test_endless_evaluation_ends_with_a_cancel(world):
    cancel = Cancel()
    threading.Timer(1.5, cancel.set).start()
    start = time.monotonic()
    request = AttributeRequest((parse_line("nixpkgs#forever"),), systems=(HERE,))
    with pytest.raises(RealisationCancelledError):
        resolve_attributes(request, settings=world.settings, cancel=cancel)
    assert time.monotonic() - start < 30


# Realising


def test_realised_attributes_are_what_the_lock_says(world, locked, opened):
    realised = {r.locked.attribute: r for r in world.realise(locked.attributes, opened)}
    assert [str(path) for path in realised["graphviz"].paths] == list(
        by_name(locked.attributes)["graphviz"].outputs[HERE]
    )
    dot = opened.physical(realised["graphviz"].paths[0]) / "bin" / "dot"
    done = subprocess.run([dot, "-V"], capture_output=True, text=True, check=True)
    assert done.stdout == "dot - graphviz version 9.9.9\n"


def test_what_is_valid_needs_no_revision_and_no_program(world, locked, opened, monkeypatch):
    monkeypatch.setenv("PATH", "/absent")
    elsewhere = replace(world.unreachable(), cache_dir=Path("/absent"), state_dir=Path("/absent"))
    assert len(world.realise(locked.attributes, opened, settings=elsewhere)) == 5


def test_what_a_cache_has_is_not_built(world, locked, opened, monkeypatch):
    other = world.elsewhere("substituted")
    graphviz = by_name(locked.attributes)["graphviz"]
    paths = [f"/nix/store/{path}" for path in graphviz.outputs[HERE]]
    cache = world.folder / "binary-cache"
    root = Path(world.settings.store)
    features = ("--extra-experimental-features", "nix-command")
    nix(root, "nix", *features, "copy", "--to", cache.as_uri(), *paths)
    conf = configure(other.folder / "conf", substituters=cache.as_uri(), require_sigs="false")
    monkeypatch.setenv("NIX_CONF_DIR", str(conf))
    with open_store(other.settings.store) as store:
        (found,) = other.realise(
            [graphviz],
            store,
            settings=replace(other.settings, repositories=world.unreachable().repositories),
        )
        assert (store.physical(found.paths[0]) / "bin/dot").exists()


def test_without_cache_and_revision_it_says_which_revision(world, locked):
    other = world.elsewhere("nothing")
    settings = replace(other.settings, repositories="http://127.0.0.1:9", timeout=2)
    with open_store(settings.store) as store, pytest.raises(NetworkError) as caught:
        other.realise([by_name(locked.attributes)["graphviz"]], store, settings=settings)
    assert COMMIT in caught.value.url


def test_false_tree_in_a_lock_is_found(world, locked):
    other = world.elsewhere("false-tree")
    false = replace(by_name(locked.attributes)["graphviz"], tree="sha256-" + "A" * 43 + "=")
    with open_store(other.settings.store) as store, pytest.raises(HashMismatchError) as caught:
        other.realise([false], store)
    assert caught.value.expected == false.tree


def test_false_store_path_in_a_lock_is_found(world, locked):
    graphviz = by_name(locked.attributes)["graphviz"]
    false = replace(graphviz, outputs={HERE: ("0" * 32 + "-graphviz-9.9.9",)})
    with open_store(world.settings.store) as store, pytest.raises(EvaluationError) as caught:
        world.realise([false], store)
    assert caught.value.attribute == "graphviz"


def test_builder_that_fails_is_named(world):
    found = world.resolve("nixpkgs#failing", systems=(HERE,))
    with open_store(world.settings.store) as store, pytest.raises(BuildError) as caught:
        world.realise(found.attributes, store)
    assert caught.value.reason == "failed"
    assert "failing-1.0" in caught.value.summary
    assert any("/absent" in line for line in caught.value.log_tail)
    assert "/absent" in Path(caught.value.log_file).read_text()


def test_builder_that_hangs_dies_with_a_cancel(world):
    found = world.resolve("nixpkgs#slow", systems=(HERE,))
    cancel = Cancel()

    def stop_when_it_sleeps() -> None:
        deadline = time.monotonic() + 120
        while not sleepers() and time.monotonic() < deadline:
            time.sleep(0.05)
        cancel.set()

    threading.Thread(target=stop_when_it_sleeps).start()
    with open_store(world.settings.store) as store, pytest.raises(RealisationCancelledError):
        world.realise(found.attributes, store, cancel=cancel)
    deadline = time.monotonic() + 10
    while sleepers():
        assert time.monotonic() < deadline
        time.sleep(0.05)


def sleepers() -> list[str]:
    """Processes that are the builder of `slow`."""
    found = []
    for process in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            words = process.read_bytes().split(b"\0")
        except OSError:
            continue
        if words[0].rpartition(b"/")[2] == b"copy" and words[1:2] == [b"sleep"]:
            found.append(process.parent.name)
    return found


# The machine's own store and a daemon that does not isolate, in a namespace; then the code of a user.
UNISOLATED = """
import os, subprocess, sys, time
library, home, conf, mirror = sys.argv[1:]
daemon = subprocess.Popen(["nix-daemon"], env={**os.environ, "NIX_CONF_DIR": conf})
while not os.path.exists("/nix/var/nix/daemon-socket/socket"):
    time.sleep(0.05)
env = {"PATH": os.environ["PATH"], "HOME": home, "PYTHONPATH": library, "NIX_REMOTE": "daemon", "NIX_CONF_DIR": conf}
try:
    argv = [sys.executable, "-c", open(home + "/code.py").read(), mirror]
    sys.exit(subprocess.run(argv, env=env, cwd=home, user="nobody", group="nogroup", extra_groups=[]).returncode)
finally:
    daemon.kill()
    daemon.wait()
"""
UNPRIVILEGED = """
import sys
from pathlib import Path
from nixlib.errors import SandboxError
from nixlib.nixpkgs.realising import realise_attributes
from nixlib.platforms import current_system
from nixlib.requirements import parse_line
from nixlib.resolvers.nixpkgs import AttributeRequest, resolve_attributes
from nixlib.settings import Settings
from nixlib.store import open_store
folders = Path.home() / "cache", Path.home() / "state"
settings = Settings(*folders, repositories=sys.argv[1], nixpkgs="NixOS/nixpkgs/nixpkgs-unstable")
request = AttributeRequest((parse_line("nixpkgs#graphviz"),), systems=(current_system(),))
found = resolve_attributes(request, settings=settings)
with open_store() as store:
    try:
        realise_attributes(found.attributes, store, settings=settings, system=current_system())
    except SandboxError as error:
        print("refused:", *error.seen, sep="\\n")
"""


@needs_root
def test_nothing_is_built_where_a_daemon_does_not_isolate(unprivileged: Unprivileged):  # noqa: F811
    home, library = unprivileged.home, unprivileged.library
    # The user's Python has the standard library alone; our own uv may lie where only root can read.
    for package in (packaging, certifi):
        place = Path(package.__file__).parent
        shutil.copytree(place, library / place.name)
    # What unpacks Zstandard may be compiled for another Python than this user's, and nothing here is so packed.
    (library / "backports").mkdir()
    (library / "backports" / "zstd.py").write_text("ZstdError, ZstdDecompressor = OSError, None")
    (library / "uv.py").write_text("find_uv_bin = lambda: '/bin/false'")
    (home / "code.py").write_text(UNPRIVILEGED)
    shutil.copytree(local_nixpkgs().folder, home / "mirror")
    # No build users: Nix kills all processes of one when a build ends, also those of other tests' stores.
    conf = configure(home / "conf", allowed_users="*", build_users_group="")
    argv = [*in_namespace("mount -t tmpfs none /nix"), unprivileged.python, "-c", UNISOLATED]
    argv += [str(library), str(home), str(conf), (home / "mirror").as_uri()]
    env = {key: value for key, value in os.environ.items() if not key.startswith("NIX_")}
    done = subprocess.run(argv, capture_output=True, text=True, env=env, check=False)
    said = done.stdout.splitlines()
    assert said[:1] == ["refused:"], done.stderr
    assert "the machine's files can be seen" in said


def test_output_that_looks_for_the_store_elsewhere_is_refused(world):
    found = world.resolve("nixpkgs#referring", systems=(HERE,))
    with open_store(world.settings.store) as store, pytest.raises(StoreError) as caught:
        world.realise(found.attributes, store)
    assert caught.value.reason == "place"


# In an environment


@dataclass(frozen=True)
class Made:
    """An environment in the store."""

    root: Path
    warnings: tuple[str, ...]

    def python(self, code: str) -> str:
        env = {k: v for k, v in os.environ.items() if not k.startswith(("PYTHON", "LD_"))}
        env["PATH"] = f"{self.root}/bin:{env['PATH']}"
        done = subprocess.run(
            [self.root / "bin/python", "-c", code],
            capture_output=True,
            text=True,
            env=env,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


def make(world, store, attributes, wheels=()) -> Made:
    version = local_nixpkgs().python
    realised = world.realise([a for a in attributes if a.role != "library"], store)
    python = next(
        nixpkgs_interpreter(r, version, store) for r in realised if r.locked.role == "interpreter"
    )
    packages = [*wheels]
    for each in realised:
        if each.locked.role == "requirement":
            packages += packages_of(each, store, python=version)
    found = supply(wheels, python, realised, store=store, cache=world.settings.cache_dir)
    composition = compose(packages, python, libraries=found.libraries)
    info = store.add_tree(composition.name, composition.tree, composition.references)
    return Made(store.physical(info.path), found.warnings)


def native_wheel(store) -> Package:
    greet = shared_library("libgreet.so.1", "int greet(void) { return 1; }")
    module = Regular.of(extension_module("native", greet))
    path = store.add_tree("native-1.0", tree_of({"site-packages/native.abi3.so": module})).path
    return Package(
        "native", "1.0", path, StoreListing(store.physical(path)), no_facts("native", "1.0")
    )


def test_programs_and_packages_of_nixpkgs_are_in_the_environment(world, locked, opened):
    made = make(world, opened, locked.attributes)
    assert made.python(
        "import tinygreet, sys; tinygreet.main(); print(sys.prefix)"
    ).splitlines() == [
        "hello from nixpkgs",
        str(made.root),
    ]
    # The package's own command would start a Python that knows nothing of this environment.
    done = subprocess.run([made.root / "bin/tinygreet"], capture_output=True, text=True, check=True)
    assert done.stdout == "hello from nixpkgs\n"
    assert made.python(
        "import subprocess; print(subprocess.check_output('dot', text=True))"
    ).startswith("dot - ")
    assert not (made.root / "bin" / ".dot-wrapped").exists()
    versions = (
        "import importlib.metadata as m; print(m.version('tinygreet'), m.version('tinybase'))"
    )
    assert made.python(versions) == "2.0 1.0\n"


CHILDREN = """
import native, os, subprocess, sys
print(native.answer)
print(subprocess.check_output([sys.executable, "-c", "import native; print(native.answer)"], text=True).strip())
assert "LD_LIBRARY_PATH" not in os.environ and "LD_PRELOAD" not in os.environ
print("libgreet" in open("/proc/self/maps").read(), "libgreet" in subprocess.check_output(["cat", "/proc/self/maps"], text=True))
print(os.system("ls / > /dev/null"), os.system("git --version > /dev/null"))
"""


def test_library_reaches_the_python_and_its_pythons_and_nothing_else(world, locked, opened):
    made = make(world, opened, locked.attributes, [native_wheel(opened)])
    assert made.warnings == ()
    assert made.python(CHILDREN).split() == ["42", "42", "True", "False", "0", "0"]


def test_missing_library_is_named_before_anything_starts(world, locked, opened):
    without = [a for a in locked.attributes if a.attribute != "libgreet"]
    made = make(world, opened, without, [native_wheel(opened)])
    (warning,) = made.warnings
    assert all(
        part in warning for part in ("native.abi3.so", "`libgreet.so.1`", "`nixpkgs#libgreet`")
    )


def test_library_for_a_newer_c_library_is_refused(world, locked, opened):
    future = world.resolve("nixpkgs#libfuture", systems=(HERE,))
    with pytest.raises(NativeLibraryError) as caught:
        make(world, opened, [*locked.attributes, *future.attributes])
    assert (caught.value.library, caught.value.package) == ("libfuture.so.1", "nixpkgs#libfuture")


def test_newest_nix_says_and_builds_the_same(world, locked, monkeypatch):
    newest = newest_nix()
    env = newest.env()
    with newest.place() as folder, monkeypatch.context() as patch:
        for name in ("PATH", "NIX_CONFIG"):
            patch.setenv(name, env[name])
        folders = {"cache_dir": folder / "cache", "state_dir": folder / "state"}
        settings = replace(world.settings, **folders, store=str(folder / "store"))
        found = world.resolve(*EVERYTHING, settings=settings)
        assert found.attributes == locked.attributes
        assert [a.outputs for a in found.attributes] == [a.outputs for a in locked.attributes]
        with open_store(settings.store) as store:
            graphviz = by_name(found.attributes)["graphviz"]
            (realised,) = world.realise([graphviz], store, settings=settings)
            assert (store.physical(realised.paths[0]) / "bin/dot").exists()


CELL = """
import os
print(os.environ.get("LD_LIBRARY_PATH"), "libgreet" in open("/proc/self/maps").read())
!ls / > /dev/null && echo listed
!git --version
!dot
!cat /proc/self/maps | grep -c libgreet
!python -c "print('libgreet' in open('/proc/self/maps').read())"
"""


def test_kernel_has_programs_and_libraries_and_its_shell_is_unharmed(engine_home, tmp_path):
    engine = replace(engine_home, process_env={**engine_home.process_env, **as_settings()})
    engine.notebook(
        tmp_path / "a.ipynb", CELL, requirements=["nixpkgs#graphviz", "nixpkgs#libgreet"]
    )
    engine.engine("lock", tmp_path / "a.ipynb")
    with kernel_for(tmp_path / "a.ipynb", engine) as kernel:
        cell = kernel.run(CELL)
    assert not cell.error
    said = cell.stream.splitlines()
    assert said[:2] == ["None True", "listed"]
    assert said[2].startswith("git version ")
    assert said[3:6] == ["dot - graphviz version 9.9.9", "0", "True"]


def as_settings() -> dict[str, str]:
    """The variables with which the engine takes its nixpkgs from the small tree."""
    here = local_nixpkgs()
    return {"NIXENV_REPOSITORIES": here.url, "NIXENV_NIXPKGS": here.branch}
