"""Derivations as text and as paths: what Nix 2.8 makes of the same, recorded."""

import pytest

from nixlib.derivation import Derivation
from nixlib.errors import InvalidStorePathError, StoreError
from nixlib.storepath import StorePath

A = StorePath.parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-a")
B = StorePath.parse("00w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-b")


def make(**changed: object) -> Derivation:
    given = {
        "name": "some-1.0",
        "system": "x86_64-linux",
        "builder": f"{A.in_dir()}/bin/sh",
        "args": ("-c", 'echo "$x" \\ \t\r\n'),
        "env": {"Z": "last", "A": "first"},
        "sources": frozenset((A, B)),
    }
    return Derivation(**(given | changed))  # type: ignore[arg-type]


def test_text_is_the_aterm_that_nix_writes() -> None:
    derivation = make()
    out = derivation.output().in_dir()
    assert derivation.text().decode() == (
        f'Derive([("out","{out}","","")],[],["{B.in_dir()}","{A.in_dir()}"],"x86_64-linux",'
        f'"{A.in_dir()}/bin/sh",["-c","echo \\"$x\\" \\\\ \\t\\r\\n"],'
        f'[("A","first"),("Z","last"),("builder","{A.in_dir()}/bin/sh"),("name","some-1.0"),'
        f'("out","{out}"),("system","x86_64-linux")])'
    )


def test_paths_are_frozen() -> None:
    assert str(make().output()) == "qaha2skmkd75x32pnjr7cmfqm25q2aip-some-1.0"
    assert str(make().path()) == "vx1vm4dp31mixhywk49wh2l8gw13lvwr-some-1.0.drv"


@pytest.mark.parametrize(
    "changed",
    [
        {"name": "other"},
        {"system": "aarch64-linux"},
        {"builder": "/x"},
        {"args": ()},
        {"env": {}},
        {"sources": frozenset((A,))},
    ],
    ids=str,
)
def test_whatever_is_changed_changes_both_paths(changed: dict[str, object]) -> None:
    assert make(**changed).output() != make().output()
    assert make(**changed).path() != make().path()


def test_another_store_directory_is_another_path() -> None:
    assert make().output("/other/store") != make().output()


def test_equal_derivations_are_one_key() -> None:
    assert {make(): 1}[make(env={"A": "first", "Z": "last"})] == 1


@pytest.mark.parametrize(
    "name", ["out", "builder", "name", "system", "args", "", "1x", "a b", "a=b"]
)
def test_variable_that_nix_would_read_otherwise_is_refused(name: str) -> None:
    with pytest.raises(StoreError):
        make(env={name: "x"})


@pytest.mark.parametrize("changed", [{"args": ("a\0b",)}, {"env": {"A": "\0"}}], ids=str)
def test_nul_is_refused(changed: dict[str, object]) -> None:
    with pytest.raises(StoreError):
        make(**changed)


@pytest.mark.parametrize("name", ["", ".hidden", "a/b", "x" * 210])
def test_illegal_name_is_refused(name: str) -> None:
    with pytest.raises(InvalidStorePathError):
        make(name=name)
