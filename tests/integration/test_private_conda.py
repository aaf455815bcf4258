"""Private groups beside packages of conda: in a process's environment, and as what a group shares."""

import json
from dataclasses import replace
from pathlib import Path

import pytest
from conda_desk import Desk, lock_of, needs_channel, python

from nixlib.composition.bytecode import prepare_pycache
from nixlib.environment import process_environments
from nixlib.lock import LockedGroup, parse_lock
from nixlib.spec import PrivateGroup, parse_spec
from nixlib.testing.conda_channel import local_channel

pytestmark = [pytest.mark.daemon, pytest.mark.network, pytest.mark.slow, needs_channel]


@pytest.fixture
def desk(engine_home, tmp_path):
    return Desk(engine_home, tmp_path, local_channel())


def groups_of(environment):
    return json.loads((environment / "share/nixenv/private/groups.json").read_text())["groups"]


def test_process_has_a_prefix_of_its_own(desk, tmp_path):
    legacy = {"requirements": ["arrays *", "blas * mkl*"], "mode": "process"}
    path = desk.notebook("arrays *", "blas * openblas*", private={"legacy": legacy})
    environment = desk.build(path)
    inner = process_environments(environment)["legacy"]
    code = "import arrays; print(arrays.BLAS)"
    assert (python(environment, code), python(inner, code)) == ("openblas", "mkl")
    assert "arrays" in groups_of(environment)[0]["distributions"]
    prefix = prepare_pycache(environment, tmp_path / "cache")
    assert (prefix / inner.resolve().relative_to("/") / ".complete").exists()


def test_group_shares_what_conda_has_brought_by_its_name_on_pypi(desk):
    path = desk.notebook("arrays *")
    desk.engine("lock", path)
    metadata = json.loads(path.read_text())["metadata"]["nixenv"]
    spec, lock = parse_spec(metadata), parse_lock(lock_of(path))
    arrays = next(package for package in lock.conda.packages if package.name == "arrays")
    assert arrays.pypi
    spec = spec.with_group(PrivateGroup("old", (arrays.pypi,)))
    group = LockedGroup("old", shared=(arrays.pypi, *needs_of(lock, arrays)))
    changed = replace(lock, spec=spec.digest, private=(group,))
    notebook = json.loads(path.read_text())
    notebook["metadata"]["nixenv"] = {**spec.to_json(), "lock": changed.to_json()}
    Path(path).write_text(json.dumps(notebook))
    (entry,) = groups_of(desk.build(path))
    assert (entry["folders"], entry["owned"], entry["public"]) == ([], [], ["arrays"])


def needs_of(lock, package):
    """What PyPI calls the conda packages that one needs."""
    by_name = {one.name: one for one in lock.conda.packages}
    needs = [by_name[name] for name in package.depends if name in by_name]
    return sorted({need.pypi for need in needs if need.pypi})
