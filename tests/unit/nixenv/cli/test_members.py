"""What a lock has, whatever it is from, and how the verbs show it."""

from dataclasses import replace

import pytest

from nixenv.cli.changes import changes_between
from nixenv.cli.members import answering, asked_for, members
from nixenv.cli.tree import _drawn, _leading_to, _reasons, grow
from nixlib.lock import (
    Artifact,
    Lock,
    LockedAttribute,
    LockedConda,
    LockedCondaPackage,
    LockedInterpreter,
    LockedPackage,
    LockedSource,
)

LINUX = "x86_64-linux"
REVISION = "1a2b3c4" + "0" * 33


def archive(name):
    return Artifact(f"https://host/{name}.conda", "0" * 64, 1)


def of_conda(name, version="1.0", build="h0_0", **more):
    channel = "https://host.example/conda-forge"
    return LockedCondaPackage(name, version, build, "linux-64", channel, archive(name), **more)


def lock_of(*packages, conda=(), attributes=(), **more):
    return Lock(
        spec="0" * 64,
        interpreter=LockedInterpreter("3.11.7", "host"),
        packages=packages,
        systems=(LINUX,),
        conda=LockedConda(tuple(conda)),
        attributes=attributes,
        **more,
    )


GRAPHVIZ = LockedAttribute(
    "graphviz",
    "nixpkgs",
    REVISION,
    "sha256-" + "A" * 43 + "=",
    outputs={LINUX: (f"{'0' * 32}-graphviz-9.0.0",)},
)
MIXED = lock_of(
    LockedPackage("pandas", "2.2", requires=("numpy", "six")),
    LockedPackage("six", "1.16", source=LockedSource("sdist")),
    conda=[
        of_conda("numpy", "1.26", "py311_mkl_1", depends=("blas",), pypi="numpy"),
        of_conda("blas", "1.0", "mkl"),
        of_conda("only-mac", systems=("aarch64-darwin",)),
    ],
    attributes=(GRAPHVIZ,),
    choices={"numpy": "conda-forge: the first"},
)
PRESENT = {member.key: member for member in members(MIXED, LINUX)}


def test_members_are_of_every_kind_and_of_this_system():
    assert [(one.kind, one.name, one.full_version, one.origin) for one in PRESENT.values()] == [
        ("conda", "blas", "1.0 mkl", "conda-forge"),
        ("nixpkgs", "nixpkgs#graphviz", "9.0.0 1a2b3c4", "nixpkgs"),
        ("conda", "numpy", "1.26 py311_mkl_1", "conda-forge"),
        ("pypi", "pandas", "2.2", ""),
        ("pypi", "six", "1.16", "sdist"),
    ]


def test_attribute_of_another_role_is_no_member():
    library = LockedAttribute("zlib", "nixpkgs", REVISION, "", "library", GRAPHVIZ.outputs)
    assert members(lock_of(attributes=(library,)), LINUX) == ()


def test_attribute_whose_output_tells_no_version_shows_its_revision():
    (plain,) = members(
        lock_of(
            attributes=(LockedAttribute("x", "nixpkgs", REVISION, "", outputs={LINUX: ("y",)}),)
        ),
        LINUX,
    )
    assert (plain.version, plain.build) == ("1a2b3c4", "")


def test_tree_goes_from_wheels_into_conda():
    roots = ["pandas", "nixpkgs#graphviz"]
    assert list(_drawn(grow(roots, PRESENT))) == [
        "pandas 2.2",
        "├── numpy 1.26 py311_mkl_1 (conda-forge)",
        "│   └── blas 1.0 mkl (conda-forge)",
        "└── six 1.16 (sdist)",
        "nixpkgs#graphviz 9.0.0 1a2b3c4 (nixpkgs)",
    ]


def test_way_to_a_package_of_conda_begins_at_a_wheel():
    ways = _leading_to(["conda:blas"], PRESENT)
    assert list(_drawn(grow(["pandas"], ways))) == [
        "pandas 2.2",
        "└── numpy 1.26 py311_mkl_1 (conda-forge)",
        "    └── blas 1.0 mkl (conda-forge)",
    ]


def test_reason_is_the_choice_or_the_form():
    lines = ("numpy", "blas * mkl", "nixpkgs#graphviz", "pandas")
    asked = asked_for(lines, tuple(PRESENT.values()))
    assert _reasons(MIXED, asked, PRESENT) == {
        "conda:numpy": "conda-forge: the first",
        "conda:blas": "asked for as a match spec: `blas * mkl`",
        "nixpkgs#graphviz": "asked for as an attribute: `nixpkgs#graphviz`",
        "pandas": "the Python index, which bare names are from: `pandas`",
    }


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("NumPy", ["conda:numpy"]),
        ("numpy *", ["conda:numpy"]),
        ("pandas>=2", ["pandas"]),
        ("nixpkgs#graphviz", ["nixpkgs#graphviz"]),
        ("graphviz", ["nixpkgs#graphviz"]),
        ("nixpkgs#numpy", []),
        ("scipy", []),
    ],
)
def test_name_means_what_is_called_so(text, keys):
    assert [member.key for member in answering(text, tuple(PRESENT.values()))] == keys


def test_change_of_a_build_is_a_change():
    before = lock_of(conda=[of_conda("blas", "1.0", "mkl")])
    after = lock_of(conda=[of_conda("blas", "1.0", "openblas")])
    assert changes_between(before, after).lines() == ("~ blas 1.0 mkl → 1.0 openblas",)


def test_two_packages_of_one_name_are_told_apart():
    lock = lock_of(LockedPackage("graphviz", "0.20"), conda=[of_conda("graphviz", "9.0")])
    assert changes_between(None, lock).added == (
        ("graphviz", "0.20"),
        ("graphviz (conda)", "9.0 h0_0"),
    )


def test_move_from_a_wheel_to_conda_is_a_change():
    before = lock_of(LockedPackage("numpy", "1.26"))
    after = lock_of(conda=[of_conda("numpy", "1.26", "py311_0", pypi="numpy")])
    assert changes_between(before, after).removed == (("numpy", "1.26"),)


def test_a_line_that_is_only_a_folder_is_answered_by_what_is_there():
    source = LockedSource("path", location="./project", tree="sha256-" + "A" * 43 + "=")
    present = members(lock_of(LockedPackage("mine", "0.1", source=source)), LINUX)
    for line in ("./project", "./project/", "./project[plots]"):
        assert asked_for((line,), present) == {"mine": line}
    assert answering("./other", present) == []


def test_another_tree_of_the_same_version_is_a_change():
    def mine(letter):
        tree = f"sha256-{letter * 43}="
        return lock_of(LockedPackage("mine", "0.1", source=LockedSource("path", tree=tree)))

    assert changes_between(mine("A"), mine("A")).lines() == ()
    assert changes_between(mine("A"), mine("B")).lines() == ("~ mine 0.1 → 0.1 (another source)",)


def test_kernel_and_condas_python_say_why_they_are_there():
    lock = lock_of(LockedPackage("ipykernel", "6.0"), conda=[of_conda("python", "3.11.7")])
    lock = replace(lock, interpreter=LockedInterpreter("3.11.7", "conda"))
    present = {member.key: member for member in members(lock, LINUX)}
    assert _reasons(lock, {}, present) == {
        "ipykernel": "the kernel, which every notebook has",
        "conda:python": "the Python that conda's packages are for",
    }


def test_a_folder_is_not_said_to_be_from_the_index():
    lock = lock_of(
        LockedPackage("mine", "0.1", source=LockedSource("editable", location="./project"))
    )
    present = {member.key: member for member in members(lock, LINUX)}
    asked = asked_for(("-e ./project",), tuple(present.values()))
    assert _reasons(lock, asked, present) == {"mine": "asked for by where it is: `-e ./project`"}
