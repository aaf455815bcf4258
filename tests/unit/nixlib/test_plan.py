"""Plans: which wheel, which path, and whom to believe."""

import hashlib
from dataclasses import replace

import pytest

from nixlib.errors import (
    CollisionError,
    HashMismatchError,
    LockError,
    PlanError,
    PrivateGroupError,
)
from nixlib.lock import (
    Artifact,
    Lock,
    LockedAttribute,
    LockedConda,
    LockedCondaPackage,
    LockedGroup,
    LockedInterpreter,
    LockedPackage,
    LockedSource,
)
from nixlib.plan import plan
from nixlib.spec import PrivateGroup, Spec
from nixlib.sri import sri_digest
from nixlib.storepath import fixed_output_path

NAR = f"sha256-{'A' * 43}="
OTHER_NAR = f"sha256-{'B' * 42}A="
SYSTEMS = ("aarch64-darwin", "x86_64-linux")
SPEC = Spec()
PYTHON = Artifact("https://x/python.tar.gz", "e" * 64, 1)


def wheel(filename: str) -> Artifact:
    return Artifact(f"https://x/{filename}", hashlib.sha256(filename.encode()).hexdigest(), 10)


def package(
    name: str, *filenames: str, version: str = "1.0", systems: tuple[str, ...] = ()
) -> LockedPackage:
    return LockedPackage(name, version, tuple(map(wheel, filenames)), systems=systems)


def locked(
    *packages: LockedPackage, python: LockedInterpreter | None = None, **more: object
) -> Lock:
    default = LockedInterpreter("3.11.7", "standalone", {"x86_64-linux": PYTHON})
    return Lock("0" * 64, python or default, packages, SYSTEMS, **more)


def planned(lock: Lock, *, system="x86_64-linux", glibc=(2, 28), trusted=None, spec=SPEC, **more):
    return plan(lock, spec, system=system, glibc=glibc, trusted=trusted or {}, **more)


def chosen(lock: Lock, **more) -> list[str]:
    return [leaf.artifact.filename for leaf in planned(lock, **more).leaves]


LINUX = "a-1.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl"
NEWER = "a-1.0-cp311-cp311-manylinux_2_28_x86_64.whl"
MAC = "a-1.0-cp311-cp311-macosx_11_0_arm64.whl"
PURE = "a-1.0-py3-none-any.whl"
MUSL = "a-1.0-cp311-cp311-musllinux_1_2_x86_64.whl"
OLDER_PYTHON = "a-1.0-cp310-cp310-manylinux_2_17_x86_64.whl"


@pytest.mark.parametrize(
    ("offered", "glibc", "best"),
    [
        ((LINUX, NEWER, MAC, PURE), (2, 28), NEWER),
        ((LINUX, NEWER, MAC, PURE), (2, 36), NEWER),
        ((LINUX, NEWER, MAC, PURE), (2, 17), LINUX),
        ((LINUX, NEWER, MAC, PURE), (2, 12), PURE),
        ((LINUX, NEWER, MAC, PURE), None, PURE),
        ((MUSL, OLDER_PYTHON, PURE), (2, 28), PURE),
        (
            ("a-1.0-2-py3-none-any.whl", "a-1.0-10-py3-none-any.whl", PURE),
            (2, 28),
            "a-1.0-10-py3-none-any.whl",
        ),
        (
            ("a-1.0-cp38-abi3-manylinux1_x86_64.whl", PURE),
            (2, 28),
            "a-1.0-cp38-abi3-manylinux1_x86_64.whl",
        ),
        (("nonsense", "a.zip", PURE), (2, 28), PURE),
    ],
)
def test_best_wheel_is_chosen(offered, glibc, best):
    assert chosen(locked(package("a", *offered)), glibc=glibc) == [best]
    assert chosen(locked(package("a", *reversed(offered))), glibc=glibc) == [best]


def test_packages_of_other_systems_are_left_out_and_the_rest_is_sorted():
    lock = locked(
        package("b", PURE),
        package("a", PURE, systems=("x86_64-linux",)),
        package("c", PURE, systems=("aarch64-darwin",)),
    )
    assert [leaf.name for leaf in planned(lock).leaves] == ["a", "b"]


def test_every_package_without_a_wheel_is_named():
    lock = locked(package("a", MAC), package("b", MUSL), package("c", PURE))
    with pytest.raises(PlanError) as caught:
        planned(lock)
    assert (caught.value.package, caught.value.system) == ("a", "x86_64-linux")
    assert [name in caught.value.render() for name in ("`a`", "`b`", "`c`")] == [True, True, False]
    assert "cp311-cp311-macosx_11_0_arm64" in caught.value.render()


def test_package_without_any_wheel_is_an_error():
    with pytest.raises(PlanError):
        planned(locked(package("a")))


def test_system_that_the_lock_does_not_have_is_an_error():
    with pytest.raises(PlanError) as caught:
        planned(locked(), system="aarch64-linux")
    assert caught.value.system == "aarch64-linux"


def test_interpreter_that_the_lock_does_not_have_for_a_system_is_an_error():
    with pytest.raises(PlanError) as caught:
        planned(locked(), system="aarch64-darwin")
    assert caught.value.package == "python"


def test_trusted_tree_gives_the_path():
    leaf = planned(locked(package("a", PURE)), trusted={wheel(PURE).sha256: NAR}).leaves[0]
    assert (leaf.nar, leaf.hint) == (NAR, None)
    assert leaf.path == fixed_output_path("a-1.0", sri_digest(NAR))


def test_hint_gives_no_path_and_stays_beside_its_leaf():
    lock = locked(package("a", PURE), hints={wheel(PURE).sha256: NAR, PYTHON.sha256: OTHER_NAR})
    result = planned(lock)
    assert (result.leaves[0].path, result.leaves[0].nar, result.leaves[0].hint) == (None, None, NAR)
    assert (result.interpreter.path, result.interpreter.hint) == (None, OTHER_NAR)


def test_trusted_tree_counts_more_than_a_hint():
    lock = locked(package("a", PURE), hints={wheel(PURE).sha256: OTHER_NAR})
    leaf = planned(lock, trusted={wheel(PURE).sha256: NAR}).leaves[0]
    assert (leaf.nar, leaf.hint) == (NAR, None)


def test_false_hint_is_an_error_that_names_the_package():
    leaf = planned(locked(package("a", PURE), hints={wheel(PURE).sha256: NAR})).leaves[0]
    leaf.check_hint(NAR)
    with pytest.raises(HashMismatchError) as caught:
        leaf.check_hint(OTHER_NAR)
    assert (caught.value.package, caught.value.expected, caught.value.actual) == (
        "a",
        NAR,
        OTHER_NAR,
    )


def test_host_interpreter_is_known_by_its_tree():
    python = LockedInterpreter("3.11.7", "host", trees={"x86_64-linux": NAR})
    leaf = planned(locked(python=python)).interpreter
    assert leaf.kind == "host"
    assert leaf.path == fixed_output_path("python-3.11.7-host", sri_digest(NAR))


def test_host_interpreter_of_another_machine_has_no_path():
    python = LockedInterpreter("3.11.7", "host", trees={"aarch64-darwin": NAR})
    assert planned(locked(python=python)).interpreter.path is None


def test_store_directory_is_part_of_the_paths():
    lock = locked(package("a", PURE))
    trusted = {wheel(PURE).sha256: NAR}
    here = planned(lock, trusted=trusted)
    there = planned(lock, trusted=trusted, store_dir="/other/store")
    assert here.leaves[0].path != there.leaves[0].path


def test_strictness_and_collisions_come_from_the_spec():
    spec = Spec(strict=True, collisions={"cv2": "opencv-python"})
    result = planned(locked(), spec=spec)
    assert (result.strict, result.collisions) == (True, {"cv2": "opencv-python"})


def test_local_version_makes_a_legal_store_name():
    lock = locked(package("torch", "torch-2.1.0+cu121-py3-none-any.whl", version="2.1.0+cu121"))
    assert planned(lock).leaves[0].store_name == "torch-2.1.0+cu121"


def test_plan_is_the_same_whatever_the_order_of_the_lock():
    packages = (package("a", PURE), package("b", LINUX, MAC), package("c", PURE))
    lock = locked(*packages)
    assert planned(lock) == planned(replace(lock, packages=packages[::-1]))


def archive(name: str, *, pypi: str = "", systems: tuple[str, ...] = ()) -> LockedCondaPackage:
    filename = f"{name}-1.0-h0_0.conda"
    artifact = Artifact(
        f"https://c/linux-64/{filename}", hashlib.sha256(filename.encode()).hexdigest(), 10
    )
    return LockedCondaPackage(
        name, "1.0", "h0_0", "linux-64", "https://c", artifact, pypi=pypi, systems=systems
    )


CONDA_PYTHON = LockedInterpreter("3.11.7", "conda")


def test_archives_of_this_machine_are_leaves_beside_the_wheels():
    conda = LockedConda(
        (archive("b"), archive("a", systems=("x86_64-linux",)), archive("c", systems=SYSTEMS[:1]))
    )
    result = planned(locked(package("w", PURE), python=CONDA_PYTHON, conda=conda))
    assert [(leaf.name, leaf.kind) for leaf in result.archives] == [("a", "conda"), ("b", "conda")]
    assert [p.name for p in result.conda] == ["a", "b"]
    assert result.archives[0].store_name == "a-1.0-h0_0"
    assert [leaf.name for leaf in result.leaves] == ["w"]


def test_trusted_tree_of_an_archive_gives_its_path():
    conda = LockedConda((archive("a"),))
    lock = locked(python=CONDA_PYTHON, conda=conda)
    [leaf] = planned(lock, trusted={archive("a").artifact.sha256: NAR}).archives
    assert leaf.path == fixed_output_path("a-1.0-h0_0", sri_digest(NAR))


@pytest.mark.parametrize("source", ["conda", "nixpkgs"])
def test_python_from_elsewhere_is_no_leaf(source):
    assert planned(locked(python=LockedInterpreter("3.11.7", source))).interpreter is None


def test_package_that_conda_and_a_wheel_bring_is_an_error_that_names_both():
    conda = LockedConda((archive("pytorch", pypi="torch"), archive("six", pypi="six")))
    lock = locked(package("torch", PURE), package("a", PURE), python=CONDA_PYTHON, conda=conda)
    with pytest.raises(CollisionError) as caught:
        planned(lock)
    assert caught.value.packages == ("torch",)
    assert "`pytorch` 1.0 of `https://c` and the wheel `torch` 1.0" in caught.value.render()


def test_lock_that_has_a_package_twice_is_damaged():
    conda = LockedConda((archive("six"), archive("six", systems=("x86_64-linux",))))
    with pytest.raises(LockError) as caught:
        planned(locked(python=CONDA_PYTHON, conda=conda))
    assert (caught.value.key, caught.value.found) == ("nixenv.lock.conda.packages", "six")
    with pytest.raises(LockError) as caught:
        planned(locked(package("a", PURE), replace(package("a", PURE), version="2.0")))
    assert (caught.value.key, caught.value.found) == ("nixenv.lock.packages", "a")


def test_package_that_conda_brings_for_another_system_is_none_of_this_one():
    conda = LockedConda((archive("six", pypi="six", systems=("aarch64-darwin",)),))
    lock = locked(package("six", PURE, systems=("x86_64-linux",)), conda=conda)
    assert [leaf.name for leaf in planned(lock).leaves] == ["six"]


def test_package_that_comes_as_source_is_no_wheel():
    source = LockedSource("sdist", Artifact("https://x/s-1.0.tar.gz", "f" * 64, 1))
    result = planned(locked(LockedPackage("s", "1.0", source=source), package("a", PURE)))
    assert [p.name for p in result.sources] == ["s"]
    assert [leaf.name for leaf in result.leaves] == ["a"]


@pytest.mark.parametrize(("filename", "built"), [(LINUX, False), (MAC, True)])
def test_source_is_built_only_where_no_wheel_fits(filename, built):
    """A lock has both where a package has wheels for some of its systems."""
    source = LockedSource("sdist", Artifact("https://x/a-1.0.tar.gz", "f" * 64, 1))
    result = planned(locked(replace(package("a", filename), source=source)))
    assert bool(result.sources) is built
    assert bool(result.leaves) is not built


def test_attributes_without_outputs_here_are_left_out():
    one = LockedAttribute("jq", "nixpkgs", "0" * 40, NAR, outputs={"x86_64-linux": ("0-jq",)})
    other = replace(one, attribute="fd", outputs={"aarch64-darwin": ("0-fd",)})
    assert planned(locked(attributes=(one, other))).attributes == (one,)


OLD = PrivateGroup("old", ("b<2",))
WITH_OLD = Spec(private=(OLD,))
LEGACY = PrivateGroup("legacy", ("b<2",), mode="process")
WITH_LEGACY = Spec(private=(LEGACY,), strict=True, collisions={"x": "b"})


def process_lock(*packages: LockedPackage, spec: Spec = WITH_LEGACY, **more: object) -> Lock:
    inner = locked(*packages, **more)
    return replace(inner, spec=spec.of_process(LEGACY).digest)


def of_process(inner: Lock | None) -> Lock:
    return locked(package("a", PURE), private=(LockedGroup("legacy", process=inner),))


def test_group_has_leaves_of_its_own():
    lock = locked(
        package("a", PURE, version="2.0"),
        private=(LockedGroup("old", (package("a", OLDER_PYTHON, LINUX), package("b", PURE))),),
    )
    result = planned(lock, spec=WITH_OLD)
    (group,) = result.groups
    assert [leaf.name for leaf in result.leaves] == ["a"]
    assert [leaf.artifact.filename for leaf in group.leaves] == [LINUX, PURE]
    assert (group.name, group.sources, group.process) == ("old", (), None)
    assert result.processes == ()


def test_group_has_only_what_is_for_this_system():
    own = package("a", PURE), package("b", MAC, systems=("aarch64-darwin",))
    lock = locked(private=(LockedGroup("old", own),))
    assert [leaf.name for leaf in planned(lock, spec=WITH_OLD).groups[0].leaves] == ["a"]


def test_path_of_a_groups_leaf_is_known_as_any_other():
    lock = locked(private=(LockedGroup("old", (package("a", PURE),)),))
    trusted = {wheel(PURE).sha256: NAR}
    (leaf,) = planned(lock, spec=WITH_OLD, trusted=trusted).groups[0].leaves
    assert leaf.path == fixed_output_path("a-1.0", sri_digest(NAR), ())


def test_process_is_a_plan_of_its_own_with_the_notebooks_rules():
    inner = process_lock(package("b", PURE), hints={wheel(PURE).sha256: OTHER_NAR})
    (process,) = planned(of_process(inner), spec=WITH_LEGACY).processes
    assert [leaf.name for leaf in process.leaves] == ["b"]
    assert process.leaves[0].hint == OTHER_NAR
    assert (process.strict, process.collisions, process.lock) == (True, {"x": "b"}, inner)


@pytest.mark.parametrize(
    ("spec", "groups"),
    [
        (WITH_OLD, ()),
        (Spec(), (LockedGroup("old"),)),
        (WITH_OLD, (LockedGroup("older"),)),
        (WITH_OLD, (LockedGroup("old", process=process_lock()),)),
        (WITH_LEGACY, (LockedGroup("legacy"),)),
        (WITH_OLD, (LockedGroup("old", (package("a", PURE),), package="a"),)),
        (WITH_LEGACY, (LockedGroup("legacy", process=locked()),)),
        (WITH_LEGACY, (LockedGroup("legacy", process=process_lock(spec=WITH_OLD)),)),
        (WITH_LEGACY, (LockedGroup("legacy", (package("a", PURE),), process=process_lock()),)),
        (WITH_LEGACY, (LockedGroup("legacy", shared=("a",), process=process_lock()),)),
    ],
    ids=[
        "not-locked",
        "not-asked-for",
        "another-name",
        "a-process-for-none",
        "no-process",
        "for-a-package",
        "of-other-requirements",
        "of-another-spec",
        "process-and-packages",
        "process-and-shared",
    ],
)
def test_lock_whose_groups_are_not_those_of_the_spec_is_refused(spec, groups):
    with pytest.raises(PrivateGroupError) as caught:
        planned(locked(package("a", PURE), private=groups), spec=spec)
    assert caught.value.group in ("old", "older", "legacy")
    assert len(caught.value.reasons) == 1


def test_folder_that_is_edited_in_place_is_no_groups():
    source = LockedSource("editable", location="./b")
    lock = locked(private=(LockedGroup("old", (LockedPackage("b", "1.0", source=source),)),))
    with pytest.raises(PrivateGroupError) as caught:
        planned(lock, spec=WITH_OLD)
    assert "`b`" in caught.value.reasons[0]


def test_claim_against_the_rules_is_refused_before_anything_is_downloaded():
    group = LockedGroup("old", (package("a", LINUX),), shared=("a",))
    with pytest.raises(PrivateGroupError) as caught:
        planned(locked(package("a", PURE), private=(group,)), spec=WITH_OLD)
    assert "`a`" in caught.value.reasons[0]


def test_group_with_one_package_twice_is_refused():
    twice = package("a", PURE), package("a", LINUX)
    with pytest.raises(PrivateGroupError) as caught:
        planned(locked(private=(LockedGroup("old", twice),)), spec=WITH_OLD)
    assert caught.value.reasons == ("`a` comes twice",)


@pytest.mark.parametrize(
    ("spec", "group"),
    [
        (WITH_OLD, LockedGroup("old", (package("b", MAC),))),
        (WITH_LEGACY, LockedGroup("legacy", process=process_lock(package("b", MAC)))),
        (WITH_LEGACY, LockedGroup("legacy", process=replace(process_lock(), systems=()))),
    ],
    ids=["wheel", "wheel-of-a-process", "system-of-a-process"],
)
def test_what_a_machine_cannot_have_of_a_group_names_the_group(spec, group):
    with pytest.raises(PlanError) as caught:
        planned(locked(private=(group,)), spec=spec)
    assert caught.value.summary.startswith(f"private group `{group.name}`: ")
    assert caught.value.system == "x86_64-linux"
