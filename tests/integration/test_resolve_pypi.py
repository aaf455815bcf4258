"""Resolutions against the real package registry."""

import json

import pytest

from nixlib.lock import Lock, LockedInterpreter, parse_lock
from nixlib.platforms import current_system
from nixlib.resolvers.base import Request
from nixlib.resolvers.pypi import resolve_pypi
from nixlib.settings import Settings
from nixlib.spec import SYSTEMS
from nixlib.testing.builder import StandInBuilder

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("no_other_indexes")]

KERNEL = ("ipykernel",)
HERE = (current_system(),)


def resolve(tmp_path, *requirements, python="3.11.7", systems=HERE, **fields):
    settings = Settings(tmp_path / "cache", tmp_path / "state")
    return resolve_pypi(
        Request(requirements, python, systems, kernel=KERNEL, notebook="n.ipynb", **fields),
        settings=settings,
    )


def test_hundred_packages_on_four_systems_fit_into_64_kilobytes(tmp_path):
    names = ("jupyterlab", "pandas", "scikit-learn", "matplotlib", "seaborn")
    found = resolve(tmp_path, *names, systems=SYSTEMS)
    interpreter = LockedInterpreter(
        "3.11.7", "host", trees=dict.fromkeys(SYSTEMS, f"sha256-{'A' * 43}=")
    )
    lock = Lock("0" * 64, interpreter, found.packages, found.systems, notes=found.notes)
    printed = json.dumps(lock.to_json(), indent=1, ensure_ascii=False, sort_keys=True)
    assert len(found.packages) >= 100
    assert found.systems == tuple(sorted(SYSTEMS))
    assert len(printed.encode()) <= 64 << 10
    assert parse_lock(json.loads(printed)) == lock
    numpy = next(package for package in found.packages if package.name == "numpy")
    assert len(numpy.wheels) == 4
    assert all(wheel.size > 1 << 20 for wheel in numpy.wheels)


def test_pandas_of_2022_gets_a_numpy_that_it_can_be_imported_with(tmp_path):
    found = {package.name: package for package in resolve(tmp_path, "pandas==1.5").packages}
    assert found["numpy"].version == "1.23.5"
    assert found["numpy"].held == "numpy 1.23.5, held to 2023-03: pandas 1.5.0 is of 2022-09"
    assert int(found["ipykernel"].version.partition(".")[0]) >= 6


def test_cut_off_binds_the_notebook_and_not_its_kernel(tmp_path):
    found = resolve(tmp_path, "requests", exclude_newer="2022-06-30")
    dates = {package.name: package.uploaded for package in found.packages}
    assert dates["requests"] <= "2022-06-30"
    assert dates["ipykernel"] > "2022-06-30"


def test_direct_wheel_and_registry_together(tmp_path):
    first = resolve(tmp_path, "six").packages
    (wheel,) = next(package for package in first if package.name == "six").wheels
    found = resolve(tmp_path, f"six @ {wheel.url}")
    assert next(package for package in found.packages if package.name == "six").wheels == (wheel,)


def test_package_whose_dependency_was_never_a_wheel_is_not_an_ancient_one(tmp_path):
    found = resolve(tmp_path, "hydra-core", systems=SYSTEMS, builder=StandInBuilder())
    packages = {package.name: package for package in found.packages}
    antlr = packages["antlr4-python3-runtime"]
    assert packages["hydra-core"].version.startswith("1.3")
    assert (antlr.version, antlr.source.kind, antlr.uploaded) == ("4.9.3", "sdist", "2021-11-06")
    assert found.systems == tuple(sorted(SYSTEMS))
    # The newest of half a year after Python 3.11, which is younger than the source.
    assert antlr.source.build == ("setuptools 67.7.1", "wheel 0.40.0")
    assert {package.name for package in found.build_packages} == {"setuptools", "wheel"}
