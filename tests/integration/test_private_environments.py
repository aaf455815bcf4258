"""Environments with private groups, in a real store, looked into by a real Python."""

import json
import shutil
import subprocess
import sys
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path

import pytest

from nixlib.composition.bytecode import (
    COMPLETE,
    compile_in_background,
    prepare_pycache,
    sweep,
)
from nixlib.engine import build
from nixlib.environment import find_environment, groups_folder, process_environments
from nixlib.errors import CollisionError, PrivateGroupError
from nixlib.interpreters.host_python import find_hosts
from nixlib.interpreters.host_tree import host_tree
from nixlib.lock import (
    Artifact,
    Lock,
    LockedGroup,
    LockedInterpreter,
    LockedPackage,
    LockedSource,
    parse_lock,
)
from nixlib.nar import nar_hash
from nixlib.platforms import current_system
from nixlib.progress import Phase
from nixlib.settings import Settings
from nixlib.spec import PrivateGroup, Spec
from nixlib.sri import sri
from nixlib.store import open_store
from nixlib.storepath import StorePath
from nixlib.testing.fileserver import FileServer
from nixlib.testing.sources import project, sdist
from nixlib.testing.wheels import make_wheel

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.slow,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="`host` copies ELF files"),
    pytest.mark.skipif(shutil.which("nix-daemon") is None, reason="Nix is not installed"),
]

NAR = f"sha256-{'A' * 43}="
WHEELS = {
    "dates-1.0-py3-none-any.whl": make_wheel("dates", "1.0"),
    "frames-1.0-py3-none-any.whl": make_wheel("frames", "1.0", {"frames/__init__.py": "V = 1"}),
    "frames-2.0-py3-none-any.whl": make_wheel("frames", "2.0", {"frames/__init__.py": "V = 2"}),
    "zones-1.0-py3-none-any.whl": make_wheel("zones", "1.0", {"zones/__init__.py": "V = 1"}),
    "evil-1.0-py3-none-any.whl": make_wheel("evil", "1.0", {"IPython/__init__.py": ""}),
    "twin-1.0-py3-none-any.whl": make_wheel("twin", "1.0", {"frames/__init__.py": "V = 3"}),
    "other-1.0-py3-none-any.whl": make_wheel("other", "1.0", {"dates.py": "V = 3"}),
    "starts-1.0-py3-none-any.whl": make_wheel(
        "starts", "1.0", {"starts.py": "", "starts.pth": "import sys; sys.started = 1"}
    ),
}


@dataclass
class Place:
    """A store with a Python, a server of wheels."""

    folder: Path
    server: FileServer
    python: LockedInterpreter
    store: Path

    @property
    def settings(self):
        return Settings(
            self.folder / "cache", self.folder / "state", store=str(self.store), timeout=5
        )

    def package(self, name, version, *requires):
        filename = f"{name}-{version}-py3-none-any.whl"
        data = WHEELS[filename]
        artifact = Artifact(self.server.url(filename), sha256(data).hexdigest(), len(data))
        return LockedPackage(name, version, (artifact,), requires=requires)

    def lock(self, spec, *packages, groups=()):
        return Lock(spec.digest, self.python, packages, (current_system(),), private=groups)


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    folder = tmp_path_factory.mktemp("private")
    host = next(h for h in find_hosts() if h.version.startswith("3.11."))
    tree = host_tree(host).tree
    with open_store(str(folder / "store")) as store:
        store.add_tree(f"python-{host.version}", tree)
    python = LockedInterpreter(
        host.version, "host", trees={current_system(): sri(nar_hash(tree)[0])}
    )
    with FileServer(WHEELS) as server:
        yield server, python, folder / "store"
    subprocess.run(["chmod", "-R", "u+w", folder / "store"], check=True)


@pytest.fixture
def place(base, tmp_path):
    return Place(tmp_path, *base)


OLD = PrivateGroup("old", ("frames<2",))


def with_old(place):
    spec = Spec(requirements=("frames", "dates"), private=(OLD,))
    group = LockedGroup("old", (place.package("frames", "1.0", "dates"),), ("dates",))
    public = place.package("frames", "2.0", "dates"), place.package("dates", "1.0")
    return spec, place.lock(spec, *public, groups=(group,))


def groups_of(environment):
    return json.loads((environment / "share/nixenv/private/groups.json").read_text())["groups"]


def test_group_is_a_folder_of_links_that_groups_json_describes(place):
    spec, lock = with_old(place)
    built = build(spec, lock, settings=place.settings)
    environment = built.environment.path
    assert groups_of(environment) == [
        {
            "name": "old",
            "mode": "import",
            "folders": ["old"],
            "owned": ["frames"],
            "distributions": {"dates": "1.0", "frames": "1.0"},
            "public": ["dates"],
            "lent": {},
            "exposed": [],
        }
    ]
    folder = environment / "share/nixenv/private/old"
    assert (folder / "frames/__init__.py").read_text() == "V = 1"
    assert built.environment.warnings == ()
    code = "import frames, dates; print(frames.V, dates.VERSION)"
    done = subprocess.run(
        [environment / "bin/python", "-c", code], capture_output=True, text=True, check=True
    )
    assert done.stdout == "2 1.0\n"
    assert find_environment(built.lock, place.settings).path == environment


def with_process(place, group_lock=None):
    legacy = PrivateGroup("legacy", ("frames<2",), mode="process")
    # What settles a collision among the notebook's packages is nothing to warn a process of.
    spec = Spec(requirements=("frames",), private=(legacy,), collisions={"dates": "dates"})
    inner = place.lock(spec.of_process(legacy), place.package("frames", "1.0"))
    group = LockedGroup("legacy", process=group_lock(inner) if group_lock else inner)
    public = place.package("dates", "1.0"), place.package("frames", "2.0")
    return spec, place.lock(spec, *public, groups=(group,))


def output(program, *argv):
    done = subprocess.run([program, *argv], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_process_has_an_environment_of_its_own(place):
    spec, lock = with_process(place)
    built = build(spec, lock, settings=place.settings)
    (entry,) = groups_of(built.environment.path)
    assert entry == {
        "name": "legacy",
        "mode": "process",
        "environment": "legacy",
        "distributions": {"frames": "1.0"},
    }
    processes = process_environments(built.environment.path)
    inner = processes["legacy"]
    link = built.environment.path / "share/nixenv/private/legacy"
    assert inner.is_dir()
    assert link.resolve() == inner.resolve()
    code = "import frames; print(frames.V)"
    assert output(inner / "bin/python", "-c", code) == "1"
    assert output(built.environment.path / "bin/python", "-c", code) == "2"
    assert built.environment.warnings == ()


def test_collision_within_a_process_is_settled_by_any_spelling_of_the_name(place):
    legacy = PrivateGroup("legacy", ("frames", "twin"), mode="process")
    spec = Spec(private=(legacy,), collisions={"frames": "Twin"})
    packages = place.package("frames", "1.0"), place.package("twin", "1.0")
    group = LockedGroup("legacy", process=place.lock(spec.of_process(legacy), *packages))
    built = build(spec, place.lock(spec, groups=(group,)), settings=place.settings)
    inner = process_environments(built.environment.path)["legacy"]
    assert output(inner / "bin/python", "-c", "import frames; print(frames.V)") == "3"
    assert built.environment.warnings == ()


def test_hints_of_a_process_are_in_its_own_lock_and_the_environment_is_found_again(place):
    spec, lock = with_process(place)
    built = build(spec, lock, settings=place.settings)
    inner = built.lock.private[0].process
    assert set(inner.hints) == {inner.packages[0].wheels[0].sha256}
    assert set(built.lock.hints) == {p.wheels[0].sha256 for p in built.lock.packages}
    assert built.lock.digest == lock.digest
    assert parse_lock(json.loads(json.dumps(built.lock.to_json()))) == built.lock
    assert find_environment(built.lock, place.settings) is not None


def test_everything_is_downloaded_once_and_never_again(place):
    spec, lock = with_old(place)
    events = []
    build(spec, lock, settings=place.settings, on_event=events.append)
    downloads = [e for e in events if isinstance(e, Phase) and e.name == "download"]
    assert len(downloads) <= 1
    events.clear()
    shutil.rmtree(place.settings.environments_dir)
    again = build(spec, lock, settings=place.settings, on_event=events.append)
    assert [e.name for e in events if isinstance(e, Phase)] == ["plan", "compose", "ready"]
    assert again.environment.path.is_dir()


def test_groups_objects_are_in_the_closure_of_the_environment(place):
    spec, lock = with_old(place)
    environment = build(spec, lock, settings=place.settings).environment.path
    with open_store(str(place.store)) as store:
        references = store.query_path_info(StorePath.parse(environment.name)).references
    target = (environment / "share/nixenv/private/old").resolve()
    assert target.parents[2].name in {str(path) for path in references}


def test_group_stays_the_same_files_when_the_notebook_changes(place):
    spec, lock = with_old(place)
    more = spec.with_requirements((*spec.requirements, "zones"))
    packages = (*lock.packages, place.package("zones", "1.0"))
    bigger = replace(lock, spec=more.digest, packages=packages)
    places = [
        build(*pair, settings=place.settings).environment.path
        for pair in ((spec, lock), (more, bigger))
    ]
    assert places[0] != places[1]
    one, other = [(path / "share/nixenv/private/old").resolve() for path in places]
    assert one == other


def test_what_an_earlier_group_has_is_lent(place):
    groups = PrivateGroup("a", ("zones",)), PrivateGroup("b", ("frames<2",))
    spec = Spec(requirements=("dates",), private=groups)
    locked = (
        LockedGroup("a", (place.package("zones", "1.0"),)),
        LockedGroup("b", (place.package("frames", "1.0", "zones"),), lent={"zones": "a"}),
    )
    lock = place.lock(spec, place.package("dates", "1.0"), groups=locked)
    a, b = groups_of(build(spec, lock, settings=place.settings).environment.path)
    assert (a["owned"], b["owned"], b["lent"]) == (["zones"], ["frames"], {"zones": "a"})
    assert b["distributions"] == {"frames": "1.0", "zones": "1.0"}


def exposing(place, name, *public, lines=("frames",)):
    spec = Spec(requirements=lines, private=(PrivateGroup("some", package=name),))
    group = LockedGroup("some", (place.package(name, "1.0"),), package=name)
    return spec, place.lock(spec, *public, groups=(group,))


def test_package_of_a_group_for_it_is_exposed(place):
    spec, lock = exposing(place, "zones", place.package("frames", "2.0"))
    (entry,) = groups_of(build(spec, lock, settings=place.settings).environment.path)
    assert entry["exposed"] == ["zones"]


def refusal(place, spec, lock):
    with pytest.raises(PrivateGroupError) as caught:
        build(spec, lock, settings=place.settings)
    return caught.value


def test_name_that_the_notebook_has_too_cannot_be_exposed(place):
    found = refusal(place, *exposing(place, "twin", place.package("frames", "2.0")))
    assert found.group == "some"
    assert "`frames`" in found.reasons[0]


def test_module_of_the_kernel_cannot_be_a_groups(place):
    spec = Spec(private=(PrivateGroup("bad", ("evil",)),))
    lock = place.lock(spec, groups=(LockedGroup("bad", (place.package("evil", "1.0"),)),))
    found = refusal(place, spec, lock)
    assert "`IPython`" in found.reasons[0]


def test_two_packages_of_a_group_with_one_module_are_refused(place):
    spec = Spec(requirements=("frames",), private=(PrivateGroup("both", ("dates", "other")),))
    own = place.package("dates", "1.0"), place.package("other", "1.0")
    group = LockedGroup("both", own)
    lock = place.lock(spec, place.package("frames", "2.0"), groups=(group,))
    with pytest.raises(CollisionError) as caught:
        build(spec, lock, settings=place.settings)
    assert caught.value.packages == ("dates", "other")


def test_code_at_start_of_a_group_is_not_run_and_the_user_is_told(place):
    spec = Spec(requirements=("frames",), private=(PrivateGroup("s", ("starts",)),))
    group = LockedGroup("s", (place.package("starts", "1.0"),))
    lock = place.lock(spec, place.package("frames", "2.0"), groups=(group,))
    environment = build(spec, lock, settings=place.settings).environment
    assert any("`starts.pth`" in warning for warning in environment.warnings)
    code = "import sys; print(hasattr(sys, 'started'))"
    assert output(environment.path / "bin/python", "-c", code) == "False"


def test_bytecode_of_a_group_is_compiled_beside_the_notebooks_and_shared(place):
    spec, lock = with_old(place)
    environment = build(spec, lock, settings=place.settings).environment.path
    cache = place.settings.cache_dir
    prefix = prepare_pycache(environment, cache)
    compile_in_background(environment, cache).wait(120)
    folder = (environment / "share/nixenv/private/old").resolve()
    code = "import sys; sys.path.insert(0, sys.argv[1]); import frames; print(frames.V, frames.__cached__)"
    for place_of_folder in (folder, environment / "share/nixenv/private/old"):
        said = output(
            environment / "bin/python",
            "-X",
            f"pycache_prefix={prefix}",
            "-c",
            code,
            place_of_folder,
        )
        version, cached = said.split()
        assert version == "1"
        assert Path(cached).exists()
        assert Path(cached).resolve().is_relative_to(cache / "bytecode/objects")
    sweep(cache, [environment])
    assert Path(cached).exists()
    sweep(cache, [])
    assert not Path(cached).exists()
    assert not (prefix / folder.relative_to("/")).exists()


def test_bytecode_of_a_process_is_prepared_with_the_notebooks(place):
    spec, lock = with_process(place)
    environment = build(spec, lock, settings=place.settings).environment.path
    cache = place.settings.cache_dir
    prefix = prepare_pycache(environment, cache)
    inner = process_environments(environment)["legacy"].resolve()
    assert (prefix / inner.relative_to("/") / COMPLETE).exists()
    compile_in_background(inner, cache).wait(120)
    code = "import frames; print(frames.__cached__)"
    cached = Path(output(inner / "bin/python", "-X", f"pycache_prefix={prefix}", "-c", code))
    assert cached.exists()
    sweep(cache, [environment])
    assert cached.exists()
    sweep(cache, [])
    assert not cached.exists()


def from_source(place, name, version):
    data = sdist(name, version, project(name, version, {f"{name}.py": f"V = {version!r}\n"}))
    file = place.folder / f"{name}-{version}.tar.gz"
    file.write_bytes(data)
    artifact = Artifact(file.as_uri(), sha256(data).hexdigest(), len(data))
    return LockedPackage(name, version, source=LockedSource("sdist", artifact=artifact))


def test_packages_of_a_group_are_built_from_source_where_they_have_no_wheel(place):
    spec = Spec(requirements=("thing",), private=(PrivateGroup("old", ("thing<2", "extra")),))
    own = from_source(place, "extra", "1.0"), from_source(place, "thing", "1.0")
    groups = (LockedGroup("old", own),)
    lock = place.lock(spec, from_source(place, "thing", "2.0"), groups=groups)
    built = build(spec, lock, settings=place.settings)
    environment = built.environment.path
    assert (environment / "share/nixenv/private/old/thing.py").read_text() == "V = '1.0'\n"
    assert output(environment / "bin/python", "-c", "import thing; print(thing.V)") == "2.0"
    # `thing` is two: what the lock says of builds would not say of which.
    assert list(built.lock.built) == [f"extra {current_system()}"]
    shutil.rmtree(place.settings.environments_dir)
    again = build(
        spec,
        replace(built.lock, built={f"thing {current_system()}": NAR, **built.lock.built}),
        settings=place.settings,
    )
    assert again.environment.warnings == ()
    assert again.environment.path == environment


def test_file_of_a_package_is_no_description_of_groups(place):
    data = {
        "share/nixenv/private/groups.json": '{"groups": []}',
        "share/nixenv/private/x/pyvenv.cfg": "",
    }
    environment = place.folder / "environment"
    for path, text in data.items():
        file = place.folder / "package" / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    environment.mkdir()
    (environment / "share").symlink_to("../package/share")
    assert groups_folder(environment) is None
    assert process_environments(environment) == {}
