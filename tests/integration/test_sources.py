"""Packages that come as source, opened and built by a real Nix in a chroot store; nothing is downloaded."""

import hashlib
import os
import subprocess
import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest
from daemons import needs_nix, remove_tree

from nixlib.cancel import Cancel
from nixlib.composition.package import FACTS_NAME, parse_facts
from nixlib.errors import (
    HashMismatchError,
    RealisationCancelledError,
    SourceBuildError,
    SourceError,
    WheelError,
)
from nixlib.interpreters.interpreter import lock_interpreter
from nixlib.ledger import Ledger
from nixlib.lock import Artifact, Lock, LockedPackage
from nixlib.lock.packages import LockedSource
from nixlib.platforms import current_system
from nixlib.progress import Phase
from nixlib.settings import Settings
from nixlib.sources.builder import SourceBuilder
from nixlib.sources.realising import realise_source
from nixlib.sources.site import BuildSite
from nixlib.sources.source import SourceWanted
from nixlib.store import open_store
from nixlib.testing.sources import project, sdist

pytestmark = [pytest.mark.daemon, needs_nix]
HERE = current_system()
C_MODULE = """
#include <Python.h>
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "fast", 0, -1, 0};
PyMODINIT_FUNC PyInit_fast(void) { return PyModule_Create(&definition); }
"""


class Desk:
    """One user with a store; `phases` has what their builds said."""

    def __init__(self, folder, settings, python):
        self.folder, self.settings = folder, settings
        self.base = Lock("0" * 64, python, (), (HERE,))
        self.phases = []

    def sdist(self, name, version, files):
        data = sdist(name, version, files)
        place = self.folder / f"{name}-{version}.tar.gz"
        place.write_bytes(data)
        return Artifact(place.as_uri(), hashlib.sha256(data).hexdigest(), len(data))

    def wanted(self, files, name="thing", version="1.0"):
        artifact = self.sdist(name, version, project(name, version, files))
        return SourceWanted("sdist", artifact=artifact, name=name, version=version)

    def builder(self, *inputs, cancel=None):
        return SourceBuilder(
            self.base,
            settings=self.settings,
            folder=self.folder,
            build_inputs=inputs,
            on_event=self._note,
            cancel=cancel,
        )

    def _note(self, event):
        if isinstance(event, Phase):
            self.phases.append(event.name)

    def build(self, wanted, *inputs, cancel=None):
        with self.builder(*inputs, cancel=cancel) as builder:
            wheel = builder.build(builder.open(wanted), ())
            return wheel, wheel.data.read_bytes()

    def realise(self, package, *, build_packages=(), built=()):
        """The store object of a locked package, as a function of its relative paths; and the warnings."""
        base = replace(self.base, build_packages=build_packages, built=dict(built))
        with (
            Ledger(self.settings.state_dir / "ledger.sqlite") as ledger,
            open_store(self.settings.store) as store,
        ):
            site = BuildSite(store, ledger, self.settings, base, (), self.folder, HERE, self._note)
            found = realise_source(package, site)
            return store.physical(found.path), found


@pytest.fixture(scope="module")
def workplace(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sources")
    settings = Settings(folder / "cache", folder / "state", store=str(folder / "store"))
    python = lock_interpreter(None, "host", (HERE,), settings=settings)
    yield settings, python
    remove_tree(folder / "store")


@pytest.fixture
def desk(tmp_path, workplace):
    return Desk(tmp_path, *workplace)


def locked(wanted, **fields):
    source = LockedSource("sdist", artifact=wanted.artifact, **fields)
    return LockedPackage(wanted.name, wanted.version, source=source)


def test_sdist_is_built_once_and_found_again(desk):
    package = locked(desk.wanted({"thing.py": "x = 1\n"}))
    place, first = desk.realise(package)
    assert (place / "site-packages/thing.py").read_text() == "x = 1\n"
    assert parse_facts((place / FACTS_NAME).read_bytes()).name == "thing"
    assert desk.phases == ["build"]
    _, second = desk.realise(package, built={f"thing {HERE}": first.nar})
    assert second == first
    assert desk.phases == ["build"]


def test_what_was_built_for_the_lock_is_not_built_again(desk):
    wanted = desk.wanted({"thing.py": "x = 2\n"})
    with desk.builder() as builder:
        opened = builder.open(wanted)
        assert (opened.requires, opened.backend, opened.backend_path) == ((), "backend", (".",))
        assert builder.more_requirements(opened, ()) == ()
        wheel = builder.build(opened, ())
    desk.phases.clear()
    _, found = desk.realise(LockedPackage("thing", "1.0", source=opened.source))
    assert found.nar == wheel.nar
    assert desk.phases == []


def test_same_source_gives_the_same_wheel(desk):
    with desk.builder() as builder:
        opened = builder.open(desk.wanted({"thing.py": "x = 3\n"}))
        assert builder.build(opened, ()).nar == builder.rebuild(opened, ()).nar


def test_build_that_differs_from_the_locks_is_said(desk):
    before = "members['n.py'] = repr(os.urandom(8)).encode()"
    wanted = desk.wanted({"before.sh": before})
    with desk.builder() as builder:
        opened = builder.open(wanted)
        first, second = builder.build(opened, ()), builder.rebuild(opened, ())
    assert first.nar != second.nar
    _, found = desk.realise(locked(wanted), built={f"thing {HERE}": second.nar})
    assert "cannot be reproduced" in found.warnings[0]


def test_build_sees_nothing_of_this_machine(desk):
    desk.folder.chmod(0o755)
    before = f"""
import socket
assert not os.path.exists({str(desk.folder)!r})
assert not os.path.exists("/root") and not os.path.exists("/etc/shadow")
assert len([n for n in os.listdir("/proc") if n.isdigit()]) < 8
try:
    socket.create_connection(("1.1.1.1", 53), 3)
except OSError:
    pass
else:
    raise AssertionError("the network is there")
assert os.getcwd() == "/build/source" and os.environ["SOURCE_DATE_EPOCH"] == "315532800"
assert not [name for name in os.environ if name.startswith("NIX_") or name == "USER"]
subprocess.Popen(["/bin/sh", "-c", "sleep 1000"]) if os.path.exists("/bin/sh") else os.fork() or __import__("time").sleep(1000)
"""
    start = time.monotonic()
    desk.build(desk.wanted({"before.sh": before}))
    assert time.monotonic() - start < 60


def test_compiled_module_needs_the_compiler_and_says_so(desk):
    wanted = desk.wanted({"fast.c": C_MODULE})
    with pytest.raises(SourceBuildError) as caught:
        desk.build(wanted)
    assert caught.value.missing == ("host#cc",)
    assert caught.value.hint.startswith('`"build-inputs": ["host#cc"]`, beside')
    assert Path(caught.value.log_file).is_file()
    wheel, data = desk.build(wanted, "host#cc")
    assert wheel.filename.endswith("-linux_x86_64.whl")
    assert b"PyInit_fast" in data


def test_header_that_is_missing_is_named(desk):
    wanted = desk.wanted({"fast.c": "#include <openssl/ssl.h>\n" + C_MODULE})
    with pytest.raises(SourceBuildError) as caught:
        desk.build(wanted, "host#cc")
    assert caught.value.missing == ("nixpkgs#openssl",)
    assert caught.value.hint.startswith('`"build-inputs": ["host#cc", "nixpkgs#openssl"]`, beside')


def test_build_that_hangs_ends_with_the_cancel(desk):
    cancel = Cancel()
    threading.Timer(3, cancel.set).start()
    start = time.monotonic()
    with pytest.raises(RealisationCancelledError):
        desk.build(desk.wanted({"before.sh": "__import__('time').sleep(1000)"}), cancel=cancel)
    assert time.monotonic() - start < 30


def test_failure_shows_the_end_of_the_log_only(desk):
    before = "print('noise\\n' * 5000); raise ValueError('the reason')"
    with pytest.raises(SourceBuildError) as caught:
        desk.build(desk.wanted({"before.sh": before}))
    shown = caught.value.render()
    assert "ValueError: the reason" in shown
    assert len(shown.splitlines()) < 25
    assert Path(caught.value.log_file).read_text().count("noise") >= 5000


def test_wheel_of_another_package_is_refused(desk):
    artifact = desk.sdist("thing", "1.0", project("other", "1.0", {"x.py": "x"}))
    wanted = SourceWanted("sdist", artifact=artifact, name="thing", version="1.0")
    with pytest.raises(WheelError, match="gives the wheel of another"):
        desk.build(wanted)


def test_sdist_of_another_package_is_not_opened(desk):
    artifact = desk.sdist("other", "1.0", project("other", "1.0"))
    with desk.builder() as builder, pytest.raises(SourceError, match="calls itself `other`"):
        builder.open(SourceWanted("sdist", artifact=artifact, name="thing"))


def test_build_requirement_may_come_as_source_itself(desk):
    tool = desk.wanted({"tool.py": "ANSWER = 42\n"}, name="tool")
    files = {"before.sh": "import tool; members['n.py'] = repr(tool.ANSWER).encode()"}
    package = locked(desk.wanted(files), build=("tool 1.0",))
    place, _ = desk.realise(package, build_packages=(locked(tool),))
    assert (place / "site-packages/n.py").read_text() == "42"


def write(folder, files):
    for name, text in files.items():
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


def test_folder_is_built_as_it_was_locked_or_not_at_all(desk):
    write(desk.folder / "project", project("thing", "1.0", {"thing.py": "x = 1\n"}))
    with desk.builder() as builder:
        opened = builder.open(SourceWanted("path", location="./project"))
        assert builder.build(opened, ()).name == "thing"
    package = LockedPackage("thing", "1.0", source=opened.source)
    (desk.folder / "project" / "note.ipynb").write_text("the notebook may be saved")
    desk.realise(package)
    (desk.folder / "project" / "thing.py").write_text("x = 2\n")
    (desk.settings.state_dir / "ledger.sqlite").unlink()
    with pytest.raises(HashMismatchError, match="has changed since"):
        desk.realise(package)


@pytest.mark.parametrize(
    "wanted",
    [
        SourceWanted("path", location="/home/ana/secret"),
        SourceWanted("editable", location="~/secret"),
        SourceWanted("git", location="file:///home/ana/secret", commit="main"),
        SourceWanted("git", location="ext::sh -c id", commit="main"),
    ],
    ids=["folder", "home", "repository", "command"],
)
def test_lock_of_a_stranger_reaches_nothing_elsewhere(desk, wanted):
    with desk.builder() as builder, pytest.raises(SourceError):
        builder.open(wanted)


def test_editable_folder_is_used_where_it_is(desk):
    write(desk.folder / "project", project("thing", "1.0", {"thing.py": "x = 1\n"}))
    with desk.builder() as builder:
        opened = builder.open(SourceWanted("editable", location="./project"))
        builder.build(opened, ())
    assert opened.source.tree == ""
    place, found = desk.realise(LockedPackage("thing", "1.0", source=opened.source))
    text = (place / "site-packages/_thing.pth").read_text()
    assert text == f"{desk.folder / 'project'}\n"
    assert found.warnings == ()


def test_editable_folder_that_compiles_is_refused(desk):
    files = project("thing", "1.0")
    files["backend.py"] += (
        "\ndef build_editable(folder, s=None, m=None):\n"
        "    open('fast.so', 'w').close()\n"
        "    return _write(folder, {}, 'py3-none-any')\n"
    )
    write(desk.folder / "project", files)
    with desk.builder() as builder, pytest.raises(SourceBuildError, match=r"`fast\.so`"):
        builder.build(builder.open(SourceWanted("editable", location="./project")), ())


def test_backend_that_knows_no_editable_is_said(desk):
    files = project("thing", "1.0")
    files["backend.py"] = files["backend.py"].replace("def build_editable", "def no")
    write(desk.folder / "project", files)
    with desk.builder() as builder, pytest.raises(SourceBuildError, match="PEP 660"):
        builder.build(builder.open(SourceWanted("editable", location="./project")), ())


def test_commit_is_built_and_told_its_tag(desk):
    folder = desk.folder / "repository"
    before = "members['v.py'] = os.environ['SETUPTOOLS_SCM_PRETEND_VERSION'].encode()"
    write(folder, project("thing", "1.0", {"before.sh": before}))
    env = {**os.environ, "GIT_CONFIG_GLOBAL": os.devnull}
    for role in ("AUTHOR", "COMMITTER"):
        env |= {f"GIT_{role}_NAME": "a", f"GIT_{role}_EMAIL": "a@b"}
    for argv in (["init", "-q"], ["add", "."], ["commit", "-qm", "x"], ["tag", "v1.0"]):
        subprocess.run(["git", *argv], cwd=folder, env=env, check=True)
    with desk.builder() as builder:
        wanted = SourceWanted("git", location=f"git+{folder.as_uri()}", commit="v1.0")
        opened = builder.open(wanted)
        builder.build(opened, ())
    assert len(opened.source.commit) == 40
    assert opened.source.tree.startswith("sha256-")
    place, _ = desk.realise(LockedPackage("thing", "1.0", source=opened.source))
    assert (place / "site-packages/v.py").read_text() == "1.0"
    wrong = replace(opened.source, tree="sha256-" + "A" * 43 + "=")
    with pytest.raises(HashMismatchError, match="another tree"):
        desk.realise(LockedPackage("thing", "1.0", source=wrong))
