"""Private groups locked by the real uv, out of a simple index on the loopback interface."""

import re
from dataclasses import replace

import pytest
from locking_request import asked

from nixlib.cancel import Cancel
from nixlib.engine import lock_spec
from nixlib.errors import PrivateGroupError, RealisationCancelledError, RequirementError
from nixlib.lock import (
    Artifact,
    Lock,
    LockedConda,
    LockedCondaPackage,
    LockedGroup,
    LockedInterpreter,
    parse_lock,
)
from nixlib.locking.groups.run import lock_groups
from nixlib.private.faults import faults
from nixlib.settings import Settings
from nixlib.spec import PrivateGroup, Spec, parse_spec
from nixlib.testing.index import IndexServer, Manners, make_sdist, make_wheel

pytestmark = pytest.mark.usefixtures("no_configuration")

LINUX, MAC = "x86_64-linux", "aarch64-darwin"
ON_LINUX = "cp311-cp311-manylinux_2_17_x86_64"
ON_MAC = "cp311-cp311-macosx_11_0_arm64"


def compiled(name, version, *, on=(ON_LINUX, ON_MAC), **more):
    return [make_wheel(name, version, tag=tag, **more) for tag in on]


FILES = [
    make_wheel("ipykernel", "4.0"),
    make_wheel("ipykernel", "6.0", requires=["comm"]),
    make_wheel("comm", "1.0"),
    make_wheel("comm", "2.0", uploaded="2024-07-01T00:00:00Z"),
    make_wheel("talks", "1.0", requires=["comm"]),
    make_wheel("talks", "2.0", requires=["comm"], uploaded="2024-08-01T00:00:00Z"),
    *compiled("numpy", "1.26"),
    *compiled("numpy", "2.0", uploaded="2024-06-16T00:00:00Z"),
    make_wheel("tz", "1.0"),
    make_wheel("tz", "2.0"),
    *compiled("frames", "1.0", requires=["numpy>=1.20", "tz"]),
    *compiled("frames", "2.0", requires=["numpy>=1.20", "tz"], uploaded="2024-08-01T00:00:00Z"),
    *compiled("strict", "1.0", requires=["numpy<2"]),
    make_wheel("plain", "1.0", requires=["tz<2"]),
    make_wheel("plain", "2.0", requires=["tz"]),
    make_wheel("somelib", "1.0", requires=["tz<2"]),
    make_wheel("otherlib", "1.0", requires=["tz>=2"]),
    make_wheel("user", "1.0", requires=["somelib"]),
    make_wheel("new", "1.0", requires_python=">=3.13"),
    *compiled("torch", "2.0", requires=["plain>=2", "numpy"]),
    *compiled("linuxonly", "1.0", on=(ON_LINUX,)),
    *compiled("pyarrow", "1.0"),
    *compiled("pandas", "1.0", requires=["pyarrow"]),
    make_wheel("ported", "1.0", tag="cp39-cp39-manylinux_2_17_x86_64"),
    make_sdist("ported", "1.0"),
]


@pytest.fixture
def index(monkeypatch):
    """The index, which is the user's default one."""
    with IndexServer(FILES, Manners()) as server:
        monkeypatch.setenv("UV_DEFAULT_INDEX", server.url)
        yield server


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """What the machine knows of its own Python, which takes seconds to find out."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture
def lock(index, tmp_path, state, monkeypatch):
    """Lock a notebook."""

    def run(*requirements, previous=None, private=None, systems=(LINUX,), cache="cache", **more):
        monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / cache / "uv"))
        keys = {"era": False, **more.pop("keys", {})}
        spec = parse_spec(
            {
                "version": 1,
                "python": "3.11",
                "interpreter": "host",
                "systems": list(systems),
                "requirements": list(requirements),
                "private": private or {},
                **keys,
            }
        )
        settings = Settings(tmp_path / cache, state, timeout=5.0)
        found = lock_spec(spec, previous, settings=settings, notebook="n.ipynb", **more)
        assert parse_lock(found.to_json()) == found
        assert [faults(found, group) for group in found.private] == [()] * len(found.private)
        return found

    return run


def versions(packages):
    return {package.name: package.version for package in packages}


def group_of(lock, name):
    return next(group for group in lock.private if group.name == name)


def test_group_has_its_own_version_and_shares_what_is_equal(lock):
    found = lock("frames", "numpy", private={"old": ["frames==1.0"]})
    old = group_of(found, "old")
    assert versions(found.packages)["frames"] == "2.0"
    assert versions(old.packages) == {"frames": "1.0"}
    assert old.shared == ("numpy", "tz")
    assert old.lent == {}


def test_locking_twice_gives_the_same_lock(lock):
    private = {"old": ["frames==1.0"], "a": ["plain==1.0"], "b": ["plain==1.0"]}
    first = lock("frames", private=private)
    assert lock("frames", private=private, previous=first) == first
    assert lock("frames", private=private) == first


def test_later_group_is_lent_what_an_earlier_one_has(lock):
    found = lock("tz", private={"a": ["plain==1.0"], "b": ["plain==1.0"]})
    assert versions(group_of(found, "a").packages) == {"plain": "1.0", "tz": "1.0"}
    assert group_of(found, "b").packages == ()
    assert group_of(found, "b").lent == {"plain": "a", "tz": "a"}


def test_earlier_groups_stay_as_they_are_when_one_comes_before_them_by_name(lock):
    first = lock("tz", private={"b": ["plain==1.0"]})
    second = lock("tz", private={"a": ["plain==1.0"], "b": ["plain==1.0"]}, previous=first)
    assert [group.name for group in second.private] == ["b", "a"]
    assert second.private[0] == first.private[0]
    assert group_of(second, "a").lent == {"plain": "b", "tz": "b"}


def test_what_a_process_holds_once_becomes_the_notebooks(lock):
    found = lock("tz", private={"old": ["frames==1.0", "numpy<2"]})
    old = group_of(found, "old")
    assert versions(found.packages)["numpy"] == "1.26"
    assert (old.shared, old.hoisted) == (("numpy", "tz"), ("numpy",))
    (note,) = found.notes
    assert note.startswith("private group `old`: `numpy 1.26` is the notebook's, too")


def test_later_group_uses_what_an_earlier_one_has_brought(lock):
    found = lock(private={"a": ["frames==1.0", "numpy<2"], "b": ["frames==2.0"]})
    assert "numpy" in group_of(found, "b").shared
    assert group_of(found, "b").hoisted == ()
    assert versions(found.packages)["numpy"] == "1.26"


def test_what_was_brought_goes_with_its_group(lock):
    first = lock("tz", private={"old": ["frames==1.0"]})
    assert "numpy" in versions(first.packages)
    assert "numpy" not in versions(lock("tz", previous=first).packages)


def test_what_was_brought_keeps_its_version_when_the_notebook_asks_for_it(lock):
    private = {"old": ["frames==1.0", "numpy<2"]}
    first = lock("tz", private=private)
    second = lock("tz", "numpy", private=private, previous=first)
    assert versions(second.packages)["numpy"] == "1.26"
    assert group_of(second, "old").hoisted == ()
    assert second.notes == ()
    assert lock("tz", "numpy", private=private, previous=second) == second


def test_what_was_brought_stays_its_groups_when_the_notebook_grows(lock, index):
    private = {"old": ["frames==1.0", "numpy<2"]}
    first = lock("tz", private=private)
    index.asked.clear()
    second = lock("tz", "pyarrow", private=private, previous=first, cache="new")
    assert not [path for path in index.asked if re.search("frames|numpy|ipykernel|tz", path)]
    assert (second.private, second.notes) == (first.private, first.notes)
    assert second == lock("tz", "pyarrow", private=private)


def test_closure_of_a_singleton_is_forced_only_on_those_who_use_it(lock):
    found = lock("torch", private={"free": ["plain==1.0"]})
    assert versions(group_of(found, "free").packages) == {"plain": "1.0", "tz": "1.0"}
    using = lock("torch", private={"using": ["torch", "plain"]})
    assert group_of(using, "using").shared == ("numpy", "plain", "torch", "tz")
    with pytest.raises(PrivateGroupError) as error:
        lock("torch", private={"using": ["torch", "plain==1.0"]})
    assert error.value.packages[0] in ("plain", "torch")
    assert '"mode": "process"' in error.value.hint


def test_hoisted_closure_takes_the_notebooks_versions(lock):
    first = lock("plain", "tz", private={"using": ["torch"]})
    using = group_of(first, "using")
    assert using.hoisted == ("numpy", "torch")
    assert using.shared == ("numpy", "plain", "torch", "tz")
    with pytest.raises(PrivateGroupError, match="plain"):
        lock("plain==1.0", private={"using": ["torch"]})


def test_two_versions_of_a_singleton_are_refused_with_the_way_out(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock("numpy>=2", private={"old": ["strict"]})
    assert error.value.summary == (
        "private group `old` of `n.ipynb`: `strict`: it needs `numpy<2`, and the notebook brings `numpy 2.0`"
    )
    assert error.value.packages == ("numpy",)
    assert error.value.reasons[0].startswith("a process can hold only one `numpy`: ")
    assert '"mode": "process"' in error.value.hint
    assert "%nixenv add --private old --process strict" in error.value.hint


def test_the_way_out_works(lock):
    legacy = {"requirements": ["strict"], "mode": "process"}
    found = group_of(lock("numpy>=2", private={"old": legacy}), "old")
    assert versions(found.process.packages) == {"numpy": "1.26", "strict": "1.0"}
    assert (found.packages, found.shared) == ((), ())


def test_what_the_kernel_runs_on_is_of_one_version(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock(private={"old": ["comm==1.0"]})
    assert "the kernel itself runs on it" in error.value.reasons[0]


def test_singleton_of_a_group_is_the_notebooks(lock):
    found = lock("tz", private={"old": {"requirements": ["plain==2.0"], "singleton": ["tz"]}})
    assert "tz" in group_of(found, "old").shared
    with pytest.raises(PrivateGroupError) as error:
        lock("tz", private={"old": {"requirements": ["plain==1.0"], "singleton": ["tz"]}})
    assert "`singleton` names it" in error.value.reasons[0]


def test_singleton_that_the_notebook_has_not_is_brought(lock):
    group = {"requirements": ["plain==1.0"], "singleton": ["tz"]}
    found = lock(private={"old": group})
    assert versions(found.packages)["tz"] == "1.0"
    assert group_of(found, "old").hoisted == ("tz",)


def test_old_compiled_package_is_refused_beside_a_later_major_version(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock("numpy>=2", private={"old": ["frames==1.0"]}, keys={"era": True})
    assert "`frames 1.0` was not made for the notebook's `numpy 2.0`" in error.value.summary
    assert "`numpy<2`" in error.value.reasons[0]
    lock("numpy<2", private={"old": ["frames==1.0"]}, keys={"era": True})


def test_age_of_what_only_the_kernel_forces_is_not_held_against_a_group(lock):
    """Nobody could follow such a remark: the kernel needs what it needs."""
    found = lock("comm>=2", private={"old": ["talks==1.0"]}, keys={"era": True})
    assert group_of(found, "old").shared == ("comm",)
    assert found.notes == ()


def test_contradiction_inside_a_group_names_its_own_lines(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock("plain", "numpy", private={"x": ["somelib", "tz==2.0"]})
    assert "requirement" not in error.value.summary
    assert "`tz==2.0` does not fit together with `somelib`" in error.value.summary
    assert error.value.hint == ""


def test_nothing_is_built_that_has_a_wheel_for_another_python(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock(private={"x": ["ported"]})
    assert "`ported 1.0` has no wheel for Python 3.11" in error.value.summary
    assert '"mode": "process", "python": "3.9"' in error.value.hint


def test_other_python_is_refused_with_one_that_would_do(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock(private={"x": ["new"]})
    assert "needs Python >=3.13, and the notebook has 3.11" in error.value.summary
    assert '"mode": "process", "python": "3.13"' in error.value.hint


@pytest.mark.parametrize("line", ["conda-forge::tz", "tz 1.0", "nixpkgs#hello", "-e ./here"])
def test_only_packages_of_indexes_go_into_the_process(lock, line):
    with pytest.raises(PrivateGroupError) as error:
        lock(private={"x": [line]})
    assert '"mode": "process"' in error.value.hint


def test_line_that_cannot_be_read_is_named_by_its_group(lock):
    with pytest.raises(RequirementError) as error:
        lock(private={"x": ["tz", "https://token:secret@host/x"]})
    assert error.value.key == "nixenv.private.x.requirements[1]"
    assert "secret" not in str(error.value)
    assert error.value.summary.startswith("private group `x`: `https://host/x` is a URL")


def test_contradicting_packages_live_side_by_side(lock):
    found = lock("somelib", "otherlib", private={"mine": {"for": "somelib"}})
    mine = group_of(found, "mine")
    assert "somelib" not in versions(found.packages)
    assert versions(found.packages)["tz"] == "2.0"
    assert versions(mine.packages) == {"somelib": "1.0", "tz": "1.0"}
    assert mine.package == "somelib"


def test_package_of_a_group_takes_the_notebooks_line_along(lock):
    found = lock("plain==1.0", private={"mine": {"for": "plain"}})
    assert versions(group_of(found, "mine").packages)["plain"] == "1.0"
    bare = lock(private={"mine": {"for": "plain"}})
    assert versions(group_of(bare, "mine").packages)["plain"] == "2.0"


def test_package_that_others_need_has_no_group(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock("somelib", "user", private={"mine": {"for": "somelib"}})
    assert "it is for `somelib`, which `user` needs, too" in error.value.summary


def test_singleton_has_no_group_of_its_own(lock):
    with pytest.raises(PrivateGroupError, match="a process can hold only one `numpy`"):
        lock(private={"mine": {"for": "numpy"}})


def test_package_that_makes_objects_of_another_needs_the_notebooks(lock):
    with pytest.raises(
        PrivateGroupError, match="`pyarrow` makes objects of the notebook's `pandas`"
    ):
        lock(private={"x": ["pandas"]})
    lock("pandas", private={"x": ["pandas"]})


def test_compiled_file_is_not_loaded_with_two_sets_of_dependencies(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock("frames==1.0", "tz>=2", private={"x": ["frames==1.0", "tz<2"]})
    assert error.value.packages == ("frames",)
    assert "the notebook has the same `frames 1.0`" in error.value.reasons[0]


def test_previous_versions_give_way_where_they_would_load_a_file_twice(lock):
    first = lock("frames==1.0", "tz<2", private={"x": ["frames==1.0"]})
    second = lock("frames==1.0", "tz>=2", private={"x": ["frames==1.0"]}, previous=first)
    assert group_of(second, "x").packages == ()


def test_group_gives_way_when_the_notebook_gets_its_compiled_file(lock):
    first = lock("numpy", private={"x": ["frames==1.0", "tz"]})
    older = lock("numpy", private={"x": ["frames==1.0", "tz<2"]}, previous=first)
    assert versions(group_of(older, "x").packages) == {"frames": "1.0", "tz": "1.0"}
    free = lock("numpy", private={"x": ["frames==1.0", "tz"]}, previous=older)
    assert versions(group_of(free, "x").packages) == {"frames": "1.0", "tz": "1.0"}
    grown = lock("numpy", "frames==1.0", private={"x": ["frames==1.0", "tz"]}, previous=free)
    assert group_of(grown, "x").packages == ()
    assert versions(grown.packages)["tz"] == "2.0"


def test_line_that_comes_later_is_the_groups(lock):
    first = lock(private={"mine": {"for": "plain"}})
    second = lock("plain<2", private={"mine": {"for": "plain"}}, previous=first)
    assert versions(group_of(second, "mine").packages) == {"plain": "1.0", "tz": "1.0"}
    assert "plain" not in versions(second.packages)


def test_group_keeps_its_versions_until_an_upgrade(lock):
    first = lock(private={"x": ["plain", "tz<2"]})
    grown = lock(private={"x": ["plain", "tz"]}, previous=first)
    assert versions(group_of(grown, "x").packages)["tz"] == "1.0"
    some = lock(private={"x": ["plain", "tz"]}, previous=grown, upgrade=frozenset({"tz"}))
    assert versions(group_of(some, "x").packages)["tz"] == "2.0"
    everything = lock(private={"x": ["plain", "tz"]}, previous=grown, upgrade="all")
    assert versions(group_of(everything, "x").packages)["tz"] == "2.0"


def test_growth_asks_for_nothing_of_a_group(lock, index):
    private = {
        "old": ["frames==1.0"],
        "legacy": {"requirements": ["plain==1.0"], "mode": "process"},
    }
    first = lock("numpy", private=private)
    index.asked.clear()
    second = lock("numpy", "pyarrow", private=private, previous=first, cache="new")
    assert second.private == first.private
    assert not [path for path in index.asked if re.search("frames|plain", path)]


def test_new_group_asks_for_nothing_of_the_notebook(lock, index):
    first = lock("frames", "otherlib", private={"a": ["plain==1.0"]})
    index.asked.clear()
    private = {"a": ["plain==1.0"], "b": ["somelib"]}
    second = lock("frames", "otherlib", private=private, previous=first, cache="new")
    assert not [path for path in index.asked if re.search("frames|otherlib|plain|ipykernel", path)]
    assert second.packages == first.packages
    assert second == lock("frames", "otherlib", private=private)


def test_group_that_the_notebook_no_longer_suits_is_resolved_again(lock):
    private = {"old": ["frames==1.0"]}
    first = lock("numpy<2", private=private)
    second = lock("numpy>=2", private=private, previous=first)
    assert "numpy" in group_of(second, "old").shared
    assert versions(second.packages)["numpy"] == "2.0"


def test_system_that_a_group_cannot_serve_is_left_out_with_a_note(lock):
    found = lock("frames", private={"x": ["linuxonly"]}, systems=(LINUX, MAC))
    assert found.systems == (LINUX,)
    assert all(len(package.wheels) == 1 for package in found.packages)
    assert found.notes == (
        (
            f"not locked for {MAC}: private group `x`: `linuxonly`: `linuxonly 1.0` has no wheel for Python"
            f" {found.interpreter.version}"
        ),
    )
    again = lock("frames", private={"x": ["linuxonly"]}, systems=(LINUX, MAC), previous=found)
    assert again == found
    grown = lock(
        "frames", "otherlib", private={"x": ["linuxonly"]}, systems=(LINUX, MAC), previous=found
    )
    assert (grown.systems, grown.notes) == (found.systems, found.notes)


def test_group_that_a_system_lacks_says_so_when_it_gets_another_line(lock):
    found = lock("frames", private={"x": ["linuxonly"]}, systems=(LINUX, MAC))
    grown = lock(
        "frames", private={"x": ["linuxonly", "plain"]}, systems=(LINUX, MAC), previous=found
    )
    assert (grown.systems, grown.notes) == (found.systems, found.notes)


def test_process_that_a_system_lacks_says_so_when_another_group_comes(lock):
    legacy = {"requirements": ["linuxonly"], "mode": "process"}
    found = lock("frames", private={"legacy": legacy}, systems=(LINUX, MAC))
    grown = lock(
        "frames",
        private={"legacy": legacy, "x": ["plain"]},
        systems=(LINUX, MAC),
        previous=found,
    )
    assert (grown.systems, grown.notes) == (found.systems, found.notes)


def test_system_that_a_process_cannot_serve_is_left_out_with_a_note(lock):
    private = {"x": {"requirements": ["linuxonly"], "mode": "process"}}
    found = lock("frames", private=private, systems=(LINUX, MAC))
    assert found.systems == (LINUX,)
    assert found.notes[0].startswith(f"not locked for {MAC}: private group `x`: `linuxonly`")
    assert lock("frames", private=private, systems=(LINUX, MAC), previous=found) == found


def test_process_prefers_the_notebooks_versions_and_has_no_kernel(lock):
    private = {"x": {"requirements": ["tz"], "mode": "process"}}
    found = group_of(lock("tz<2", private=private), "x").process
    assert versions(found.packages) == {"tz": "1.0"}
    first = lock("tz<2", private=private)
    assert lock("tz<2", private=private, previous=first) == first


def test_process_may_have_a_kernel_of_any_age(lock):
    private = {"x": {"requirements": ["ipykernel<5"], "mode": "process"}}
    found = group_of(lock(private=private), "x").process
    assert versions(found.packages) == {"ipykernel": "4.0"}


def test_failed_process_is_told_of_its_group(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock(private={"x": {"requirements": ["nothing-of-this-name"], "mode": "process"}})
    assert error.value.group == "x"
    assert "private group `x` of `n.ipynb`: no index has a package" in error.value.summary


def test_cancelled_lock_stops(lock):
    cancel = Cancel()
    cancel.set()
    with pytest.raises(RealisationCancelledError):
        lock(private={"x": ["plain"]}, cancel=cancel)


def test_date_of_the_notebook_is_the_groups(lock):
    found = lock(private={"x": ["frames"]}, as_of="2024-01-01")
    assert versions(group_of(found, "x").packages)["frames"] == "1.0"


def test_lock_without_groups_is_as_ever(lock):
    assert isinstance(lock("tz"), Lock)
    assert "private" not in lock("tz").to_json()
    assert LockedGroup("x").to_json() == {"name": "x"}


def test_what_becomes_the_notebooks_is_not_as_old_as_another_group_has_it(lock):
    found = lock(private={"a": ["plain==1.0"], "b": ["torch"]})
    assert versions(found.packages)["plain"] == "2.0"
    assert group_of(found, "b").hoisted == ("numpy", "plain", "torch", "tz")
    assert versions(group_of(found, "a").packages) == {"plain": "1.0", "tz": "1.0"}
    assert found.notes == (
        (
            "private group `b`: `torch 2.0` is the notebook's, too, with 3 packages that it needs, for a process can"
            " hold only one: its operators, devices and libraries are registered once per process"
        ),
    )


def of_conda(name, version, *depends):
    artifact = Artifact(f"https://c/{name}-{version}-0.conda", name.encode().hex().zfill(64), 1)
    return LockedCondaPackage(
        name, version, "0", "noarch", "https://c", artifact, depends=depends, pypi=name
    )


def test_numpy_of_conda_is_the_groups(index, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    spec = Spec(systems=(LINUX,), era=False, private=(PrivateGroup("old", ("frames==1.0",)),))
    conda = LockedConda((of_conda("numpy", "1.26", "tz"), of_conda("tz", "2.0")))
    own = Lock(spec.digest, LockedInterpreter("3.11.7", "conda"), (), (LINUX,), conda=conda)
    request = replace(asked(spec), settings=Settings(tmp_path / "cache", tmp_path / "state"))
    (old,) = lock_groups(request, own, lambda _: own).private
    # What a package of conda is made of is another thing than a wheel, but numpy is one, and so is what it needs.
    assert versions(old.packages) == {"frames": "1.0"}
    assert old.shared == ("numpy", "tz")


def test_own_copy_of_what_conda_brings_is_no_sharing(index, tmp_path, monkeypatch):
    monkeypatch.setenv("UV_CACHE_DIR", str(tmp_path / "uv"))
    spec = Spec(systems=(LINUX,), era=False, private=(PrivateGroup("x", ("plain==2.0",)),))
    conda = LockedConda((of_conda("tz", "2.0"),))
    own = Lock(spec.digest, LockedInterpreter("3.11.7", "conda"), (), (LINUX,), conda=conda)
    request = replace(asked(spec), settings=Settings(tmp_path / "cache", tmp_path / "state"))
    (group,) = lock_groups(request, own, lambda _: own).private
    assert versions(group.packages) == {"plain": "2.0", "tz": "2.0"}
