"""Private groups locked against the real package registry."""

import pytest

from nixlib.engine import lock_spec
from nixlib.errors import PrivateGroupError
from nixlib.lock import parse_lock
from nixlib.platforms import current_system
from nixlib.settings import Settings
from nixlib.spec import parse_spec

pytestmark = [pytest.mark.network, pytest.mark.usefixtures("no_other_indexes")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Caches, and what the machine knows of its own Python."""
    return tmp_path_factory.mktemp("engine")


@pytest.fixture
def lock(folder):
    """Lock a notebook for this machine."""

    def run(*requirements, private, previous=None):
        spec = parse_spec(
            {
                "version": 1,
                "python": "3.11",
                "requirements": list(requirements),
                "systems": [current_system()],
                "private": private,
            }
        )
        settings = Settings(folder / "cache", folder / "state")
        found = lock_spec(spec, previous, settings=settings, notebook="n.ipynb")
        assert parse_lock(found.to_json()) == found
        return found

    return run


def versions(packages):
    return {package.name: package.version for package in packages}


def test_two_pandas_share_one_numpy(lock):
    private = {"old": ["pandas==2.0.3"], "older": ["pandas==1.5.3"]}
    found = lock("pandas==2.2.3", "numpy<2", private=private)
    old, older = found.private
    assert versions(old.packages)["pandas"] == "2.0.3"
    assert versions(older.packages) == {"pandas": "1.5.3"}
    assert {"numpy", "pytz", "python-dateutil"} <= {*old.shared} & {*older.shared}
    assert lock("pandas==2.2.3", "numpy<2", private=private, previous=found) == found


def test_old_pandas_beside_a_numpy_that_it_cannot_know_is_refused(lock):
    with pytest.raises(PrivateGroupError) as error:
        lock("numpy>=2", private={"old": ["pandas==2.0.3"]})
    assert error.value.summary.startswith(
        "private group `old` of `n.ipynb`: `pandas 2.0.3` was not made for the notebook's `numpy 2."
    )
    assert '"mode": "process"' in error.value.hint
    legacy = {"requirements": ["pandas==2.0.3"], "mode": "process"}
    (group,) = lock("numpy>=2", private={"old": legacy}).private
    assert versions(group.process.packages)["numpy"].startswith("1.")


@pytest.mark.parametrize(
    ("public", "line", "name"),
    [("lxml>=5", "lxml<5", "lxml"), ("numpy>=1.26", "numpy==1.24.4", "numpy")],
)
def test_two_versions_of_a_singleton_are_refused(lock, public, line, name):
    with pytest.raises(PrivateGroupError) as error:
        lock(public, private={"old": [line]})
    assert error.value.packages == (name,)
    assert f"a process can hold only one `{name}`: " in error.value.reasons[0]
