import copy
import json
import pickle

import pytest

from nixlib.errors import LockError, LockStaleError, LockVersionError
from nixlib.lock import Artifact, LockedPackage, LockedSource, check_fresh, parse_lock
from nixlib.spec import Spec

SPEC = Spec(python="3.11", requirements=("pandas==1.5",))
SHA = "a" * 64
NAR = "sha256-" + "A" * 43 + "="
LOCK = {
    "layout": 1,
    "spec": SPEC.digest,
    "systems": ["aarch64-darwin", "x86_64-linux"],
    "interpreter": {"version": "3.11.7", "source": "host", "trees": {"x86_64-linux": NAR}},
    "packages": [
        {
            "name": "numpy",
            "version": "1.23.5",
            "wheels": [
                f"{SHA} 17 https://example.org/numpy-1.23.5-cp311-cp311-manylinux_2_17_x86_64.whl"
            ],
            "held": "numpy 1.23.5, held to 2023-03: pandas 1.5.0 is of 2022-09",
            "uploaded": "2022-11-20",
        },
        {
            "name": "pandas",
            "version": "1.5.0",
            "wheels": [f"{'b' * 64} 18 https://example.org/pandas%2B1-1.5.0-py3-none-any.whl"],
            "requires": "numpy python-dateutil",
            "systems": "x86_64-linux",
        },
    ],
    "notes": ["resolved as of 2023-03-01"],
    "hints": {SHA: NAR},
}


def changed(path, value):
    lock = copy.deepcopy(LOCK)
    inside = lock
    for step in path[:-1]:
        inside = inside[step]
    inside[path[-1]] = value
    return lock


def test_lock_round_trips():
    assert parse_lock(LOCK).to_json() == LOCK


def test_lock_is_canonical_whatever_the_order():
    shuffled = changed(["packages"], LOCK["packages"][::-1])
    assert json.dumps(parse_lock(shuffled).to_json()) == json.dumps(parse_lock(LOCK).to_json())


def test_digest_ignores_hints():
    assert parse_lock(changed(["hints"], {})).digest == parse_lock(LOCK).digest
    assert (
        parse_lock(changed(["packages", 0, "version"], "1.23.4")).digest != parse_lock(LOCK).digest
    )


def test_hints_of_other_artifacts_are_dropped():
    lock = parse_lock(LOCK).with_hints({"b" * 64: NAR, "c" * 64: NAR})
    assert sorted(lock.hints) == [SHA, "b" * 64]


def test_artifact_file_name_is_unquoted():
    assert parse_lock(LOCK).packages[1].wheels[0].filename == "pandas+1-1.5.0-py3-none-any.whl"


@pytest.mark.parametrize(
    ("path", "value", "key"),
    [
        (["spec"], "no", "nixenv.lock.spec"),
        (["layout"], True, "nixenv.lock.layout"),
        (["layout"], "1", "nixenv.lock.layout"),
        (["extra"], 1, "nixenv.lock.extra"),
        (["systems"], ["amiga"], "nixenv.lock.systems"),
        (["interpreter"], [], "nixenv.lock.interpreter"),
        (["interpreter", "version"], "../../etc", "nixenv.lock.interpreter.version"),
        (["interpreter", "trees"], {"x86_64-linux": "sha256-short"}, "nixenv.lock.interpreter.trees.x86_64-linux"),
        (["packages"], {}, "nixenv.lock.packages"),
        (["packages", 0], "numpy", "nixenv.lock.packages[0]"),
        (["packages", 0, "name"], "../numpy", "nixenv.lock.packages[0].name"),
        (["packages", 0, "version"], "1\n2", "nixenv.lock.packages[0].version"),
        (["packages", 0, "wheels", 0], f"{SHA} 17", "nixenv.lock.packages[0].wheels[0]"),
        (["packages", 0, "wheels", 0], f"{SHA} 17 ftp://example.org/x.whl", "nixenv.lock.packages[0].wheels[0]"),
        (["packages", 0, "wheels", 0], f"{SHA} 17 https://example.org/x.whl\n", "nixenv.lock.packages[0].wheels[0]"),
        (["packages", 0, "wheels", 0], f"{SHA} 17 https://[::1/x.whl", "nixenv.lock.packages[0].wheels[0]"),
        (["packages", 0, "wheels", 0], f"{SHA} 17 file:///a/..%2Fx.whl", "nixenv.lock.packages[0].wheels[0]"),
        (["packages", 0, "wheels", 0], f"{SHA} 17 https://example.org/%1b%5b2Jx.whl", "nixenv.lock.packages[0].wheels[0]"),
        (["packages", 0, "wheels", 0], f"{SHA} 17 https://example.org/a%00.whl", "nixenv.lock.packages[0].wheels[0]"),
        (["packages", 1, "requires"], "numpy ../x", "nixenv.lock.packages[1].requires"),
        (["hints"], {"x": NAR}, "nixenv.lock.hints"),
    ],
)  # fmt: skip
def test_damaged_lock_names_the_key(path, value, key):
    with pytest.raises(LockError) as caught:
        parse_lock(changed(path, value))
    assert caught.value.key == key


def test_newer_layout_gets_the_upgrade_command():
    with pytest.raises(LockVersionError) as caught:
        parse_lock(changed(["layout"], 2))
    assert "upgrade" in caught.value.hint


def test_lock_is_stale_when_requirements_changed():
    lock = parse_lock(LOCK)
    check_fresh(lock, SPEC)
    with pytest.raises(LockStaleError) as caught:
        check_fresh(lock, SPEC.with_requirements(("polars",)), notebook="a.ipynb")
    assert "`a.ipynb`" in caught.value.summary
    again = pickle.loads(pickle.dumps(caught.value))
    assert again.render() == caught.value.render()
    assert again.key == "nixenv.lock.spec"


def test_artifact_prints_as_one_line():
    assert str(Artifact("https://e.org/a.whl", SHA, 3)) == f"{SHA} 3 https://e.org/a.whl"


def test_packages_that_differ_in_nothing_but_a_source_are_sorted_all_the_same():
    plain = LockedPackage("a", "1")
    built = LockedPackage("a", "1", source=LockedSource("editable", location="./mine"))
    assert sorted([plain, built]) == sorted([built, plain])
