"""Laws of derivations: Nix, given the same thing in its own language, makes the same derivation."""

import json
import subprocess
from pathlib import Path

import pytest
from daemons import chroot_store, needs_nix, nix_env, open_dir  # noqa: F401
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from trees import store_names

import nixlib
from nixlib.derivation import Derivation
from nixlib.store import open_store
from nixlib.storepath import StorePath
from nixlib.tree import Regular

pytestmark = pytest.mark.property

EXPRESSION = Path(nixlib.__file__).parent / "expr" / "enclosed.nix"
# Nix's strings hold neither NUL nor, through JSON, what is no character.
TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=20)
VARIABLES = st.from_regex(r"[A-Z_][A-Z0-9_]{0,8}", fullmatch=True)


@st.composite
def derivations(draw: st.DrawFn, sources: list[StorePath]) -> Derivation:
    chosen = draw(st.lists(st.sampled_from(sources), min_size=1, unique=True))
    return Derivation(
        name=draw(store_names.filter(lambda name: len(name) < 200 and not name.endswith(".drv"))),
        system=draw(st.sampled_from(["x86_64-linux", "aarch64-linux"])),
        builder=f"{chosen[0].in_dir()}/bin/x",
        args=tuple(draw(st.lists(TEXTS, max_size=3))),
        env=draw(st.dictionaries(VARIABLES, TEXTS, max_size=3)),
        sources=frozenset(chosen),
    )


@given(derivations([StorePath("0" * 32, "a"), StorePath("1" * 32, "b")]))
def test_output_stands_in_the_text_and_the_text_gives_the_path(derivation: Derivation) -> None:
    assert derivation.output().in_dir().encode() in derivation.text()
    assert derivation.path().name == f"{derivation.name}.drv"


@pytest.mark.daemon
@needs_nix
def test_nix_makes_the_same_derivation(chroot_store: Path) -> None:  # noqa: F811
    with open_store(str(chroot_store)) as store:
        first = store.add_tree("first", Regular.of(b"1")).path
        sources = [first, store.add_tree("second", Regular.of(b"2"), [first]).path]

        @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
        @given(derivations(sources))
        def law(derivation: Derivation) -> None:
            told = {
                "name": derivation.name,
                "system": derivation.system,
                "builder": derivation.builder,
                "args": derivation.args,
                "env": derivation.env,
                "sources": [path.in_dir() for path in derivation.sources],
            }
            argv = ["nix-instantiate", str(EXPRESSION), "--argstr", "json", json.dumps(told)]
            done = subprocess.run(
                argv, env=nix_env(chroot_store), capture_output=True, text=True, check=True
            )
            assert done.stdout.strip() == derivation.path().in_dir()
            place = store.physical(derivation.path())
            assert place.read_bytes() == derivation.text()

        law()
