import pytest

from nixlib.lock.conda import LockedConda
from nixlib.platforms import current_system
from nixlib.virtualpackages import machine_has, missing_here, substitutes, virtual_packages

LINUX = "x86_64-linux"
HERE = {"__unix": "0", "__linux": "5.10.2", "__glibc": "2.31", "__archspec": "1=x86_64_v2"}


def lock(*needs, made_for=("__cuda=12.4", "__glibc=2.36", "__archspec=1=x86_64_v3")):
    return LockedConda(virtual={LINUX: made_for}, needs={LINUX: needs})


def missing(need, here=HERE):
    return [item.name for item in missing_here(lock(need), LINUX, here)]


@pytest.mark.parametrize(
    "need",
    [
        "__glibc",
        "__glibc >=2.17",
        "__glibc >=2.17,<3.0.a0",
        "__glibc =2.31",
        "__glibc 2.31.*",
        "__glibc !=2.32",
        "__glibc >2.30",
        "__glibc <=2.31.0",
        "__glibc 2.17|2.31",
        "__glibc *",
        "__glibc ~=2.17",
        "__linux >=4",
        "__archspec 1 x86_64_v2",
        "__archspec 1 x86_64",
        "__archspec * x86_64*",
        "__unix",
    ],
)
def test_what_this_machine_has_is_not_missing(need):
    assert missing(need) == []


@pytest.mark.parametrize(
    "need",
    [
        "__cuda",
        "__cuda >=12",
        "__glibc >=2.34",
        "__glibc <2.31",
        "__glibc ==2.3",
        "__glibc !=2.31",
        "__glibc 2.30.*",
        "__archspec 1 x86_64_v3",
        "__archspec 1 haswell",
        "__glibc ~=3.0",
    ],
)
def test_what_this_machine_has_not_is_missing(need):
    assert missing(need) == [need.partition(" ")[0]]


def test_a_newer_driver_serves_an_older_need_and_not_the_other_way_round():
    assert missing("__cuda >=12", {**HERE, "__cuda": "12.6"}) == []
    assert missing("__cuda >=12", {**HERE, "__cuda": "11.8"}) == ["__cuda"]


def test_a_rule_that_cannot_be_read_asks_for_what_the_author_had():
    assert missing("__cuda >=12rc!x", {**HERE, "__cuda": "12.4"}) == []
    assert missing("__cuda >=12rc!x", {**HERE, "__cuda": "12.5"}) == ["__cuda"]


def test_missing_says_what_the_lock_was_made_for():
    (found,) = missing_here(lock("__cuda >=12"), LINUX, HERE)
    assert (found.wanted, found.found, found.made_for) == ("__cuda >=12", "", "12.4")


def test_nobody_is_asked_about_a_lock_without_needs():
    assert missing_here(LockedConda(), LINUX) == ()
    assert missing_here(lock("__cuda"), "aarch64-darwin") == ()


def test_a_machine_substitutes_what_it_has():
    found = missing_here(
        lock("__cuda >=12", "__archspec 1 x86_64_v3", "__glibc >=2.34"), LINUX, HERE
    )
    assert substitutes(found) == {"cuda": None, "archspec": "x86_64_v2", "glibc": "2.31"}
    (older,) = missing_here(lock("__cuda >=12"), LINUX, {**HERE, "__cuda": "11.8"})
    assert substitutes((older,)) == {"cuda": "11.8"}


def test_variants_win_over_the_machine():
    found = virtual_packages(LINUX, {"__cuda": "12.4", "__archspec": "x86_64_v3"}, HERE)
    assert found == (
        "__archspec=1=x86_64_v3",
        "__cuda=12.4",
        "__glibc=2.31",
        "__linux=5.10.2",
        "__unix=0",
    )
    assert virtual_packages(LINUX, {"__cuda": None}, {**HERE, "__cuda": "12"}) == virtual_packages(
        LINUX, {}, HERE
    )


def test_other_machines_get_what_may_be_expected():
    assert "__osx=14.0" in virtual_packages("aarch64-darwin", {}, {})
    assert "__glibc=2.28" in virtual_packages("aarch64-linux", {}, {})


def test_variables_of_conda_decide(monkeypatch):
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "11.8")
    monkeypatch.setenv("CONDA_OVERRIDE_GLIBC", "")
    monkeypatch.setenv("CONDA_OVERRIDE_ARCHSPEC", "x86_64_v4")
    found = machine_has()
    assert found["__cuda"] == "11.8"
    assert "__glibc" not in found
    assert found["__archspec"] == "1=x86_64_v4"
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "12;rm -rf")
    assert "__cuda" not in machine_has()


def test_this_machine_is_described_as_rattler_does(monkeypatch):
    """All but the processor, for which rattler has a name of its make and we a level."""
    from rattler import VirtualPackage

    for name in ("CUDA", "GLIBC", "OSX", "LINUX", "ARCHSPEC"):
        monkeypatch.delenv(f"CONDA_OVERRIDE_{name}", raising=False)
    theirs = {
        generic.name.normalized: str(generic.version)
        for generic in (found.into_generic() for found in VirtualPackage.detect())
    }
    ours = {name: value.partition("=")[0] for name, value in machine_has().items()}
    assert ours == theirs


def test_this_machine_is_solvable_for():
    from rattler import Version

    for text in virtual_packages(current_system(), {}):
        Version(text.split("=")[1])
