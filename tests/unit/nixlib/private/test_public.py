"""The notebook's packages as a group sees them, and which of them it has to use."""

from nixlib.lock import (
    Artifact,
    Lock,
    LockedAttribute,
    LockedConda,
    LockedCondaPackage,
    LockedInterpreter,
    LockedPackage,
)
from nixlib.private.public import closure, once_only, public_packages
from nixlib.private.singletons import KERNEL, OWN_WISH, reason

LINUX, MAC = "x86_64-linux", "aarch64-darwin"
HASH = "0" * 32


def package(name, version="1", *, requires=(), systems=()):
    return LockedPackage(name, version, requires=tuple(requires), systems=systems)


def of_conda(name, *, pypi="", depends=(), version="1", systems=()):
    artifact = Artifact(f"https://c/{name}-{version}-0.conda", name.encode().hex().zfill(64), 1)
    return LockedCondaPackage(
        name,
        version,
        "0",
        "noarch",
        "https://c",
        artifact,
        pypi=pypi,
        depends=tuple(depends),
        systems=systems,
    )


def lock(*packages, conda=(), attributes=()):
    return Lock(
        "0" * 64,
        LockedInterpreter("3.11.7", "host"),
        packages,
        (LINUX, MAC),
        conda=LockedConda(tuple(conda)),
        attributes=tuple(attributes),
    )


def test_each_system_has_its_own_version():
    found = lock(package("a", systems=(LINUX,)), package("a", "2", systems=(MAC,)))
    assert public_packages(found, LINUX)["a"].version == "1"
    assert public_packages(found, MAC)["a"].version == "2"


def test_packages_of_conda_need_each_other_through_libraries():
    found = lock(
        conda=[
            of_conda("pytorch", pypi="torch", depends=["libtorch", "python"], version="2.1"),
            of_conda("libtorch", depends=["numpy", "libblas"]),
            of_conda("numpy", pypi="numpy", depends=["libblas"]),
            of_conda("libblas"),
            of_conda("python"),
        ]
    )
    packages = public_packages(found, LINUX)
    assert sorted(packages) == ["numpy", "torch"]
    assert (packages["torch"].version, packages["torch"].requires) == ("2.1", ("numpy",))


def test_packages_of_conda_may_need_each_other_in_a_circle():
    found = lock(
        conda=[
            of_conda("a", pypi="a", depends=["lib"]),
            of_conda("lib", depends=["a", "b"]),
            of_conda("b", pypi="b", depends=["lib"]),
        ]
    )
    packages = public_packages(found, LINUX)
    assert (packages["a"].requires, packages["b"].requires) == (("b",), ("a",))


def test_packages_of_nixpkgs_are_told_by_their_store_names():
    attribute = LockedAttribute(
        "python3Packages.numpy",
        "nixpkgs",
        "0" * 40,
        f"sha256-{'A' * 43}=",
        "requirement",
        outputs={LINUX: (f"{HASH}-python3.11-numpy-1.26.4", f"{HASH}-openblas-0.3")},
    )
    found = lock(attributes=[attribute])
    assert public_packages(found, LINUX)["numpy"].version == "1.26.4"
    assert public_packages(found, MAC) == {}


def test_closure_follows_circles_and_leaves_out_what_is_not_there():
    packages = {"a": package("a", requires=["b", "gone"]), "b": package("b", requires=["a"])}
    assert closure(packages, ["a", "nowhere"]) == {"a", "b"}


def test_kernel_singletons_and_wishes_are_of_one_version():
    packages = {
        "ipykernel": package("ipykernel", requires=["comm"]),
        "comm": package("comm"),
        "numpy": package("numpy"),
        "mine": package("mine"),
        "free": package("free"),
    }
    assert once_only(packages, ["mine", "not-there"]) == {
        "ipykernel": KERNEL,
        "comm": KERNEL,
        "numpy": reason("numpy"),
        "mine": OWN_WISH,
    }
