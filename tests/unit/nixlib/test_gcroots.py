"""Where roots go, on real directories; that the collector honours them is the contract's."""

import os
from pathlib import Path

import pytest

from nixlib import gcroots

LOGICAL = "/nix/store/g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-env"


@pytest.fixture
def world(tmp_path: Path) -> Path:
    """A state directory `state`, and a store object in a chroot store and in an ordinary one."""
    (tmp_path / "state" / "gcroots" / "per-user").mkdir(parents=True)
    (tmp_path / "object" / "bin").mkdir(parents=True)
    (tmp_path / "object" / "bin" / "python").touch()
    return tmp_path


def add(world: Path, *, logical: str = LOGICAL, state: str = "state") -> tuple[Path, list[str]]:
    told: list[str] = []
    link = gcroots.add_root(
        world / "links" / "env",
        physical=world / "object",
        logical=logical,
        state_dir=world / state,
        user="ana",
        register=told.append,
    )
    return link, told


def barred(world: Path) -> str:
    """A state directory in which nobody, not even root, can make a link."""
    (world / "barred").mkdir()
    (world / "barred" / "gcroots").touch()
    return "barred"


def test_direct_root_names_the_logical_path_and_link_leads_to_the_disk(world: Path) -> None:
    link, told = add(world)
    roots = list((world / "state/gcroots/per-user/ana").iterdir())
    assert [str(root.readlink()) for root in roots] == [LOGICAL]
    assert str(link.readlink()) == str(world / "object")
    assert told == []
    assert gcroots.is_live(link)


def test_indirect_root_of_an_ordinary_store_is_the_link_itself(world: Path) -> None:
    link, told = add(world, logical=str(world / "object"), state=barred(world))
    assert told == [str(link)]
    assert sorted(path.name for path in link.parent.iterdir()) == ["env"]


def test_indirect_root_of_a_chroot_store_is_a_second_link(world: Path) -> None:
    link, told = add(world, state=barred(world))
    assert len(told) == 1
    assert str(Path(told[0]).readlink()) == LOGICAL
    assert str(link.readlink()) == str(world / "object")


def test_adding_twice_changes_nothing(world: Path) -> None:
    add(world)
    before = sorted((path, os.lstat(path).st_ino) for path in world.rglob("*"))
    add(world)
    assert sorted((path, os.lstat(path).st_ino) for path in world.rglob("*")) == before


def test_root_that_becomes_direct_leaves_no_second_link(world: Path) -> None:
    add(world, state=barred(world))
    link, _ = add(world)
    assert sorted(path.name for path in link.parent.iterdir()) == ["env"]


@pytest.mark.parametrize("state", ["state", "barred"])
def test_removed_root_leaves_nothing(world: Path, state: str) -> None:
    barred(world)
    link, _ = add(world, state=state)
    gcroots.remove_root(link, state_dir=world / state, user="ana")
    assert list(link.parent.iterdir()) == []
    assert list(world.glob("state/gcroots/per-user/ana/*")) == []
    gcroots.remove_root(link, state_dir=world / state, user="ana")


def test_two_links_of_the_same_name_have_two_roots(world: Path) -> None:
    state = world / "state"
    assert gcroots.direct_root(state, "ana", world / "a/env") != gcroots.direct_root(
        state, "ana", world / "b/env"
    )


def test_dangling_link_is_not_live(world: Path) -> None:
    link, _ = add(world)
    (world / "object" / "bin" / "python").unlink()
    assert link.exists()
    assert not gcroots.is_live(link)
    assert not gcroots.is_live(world / "nowhere")


@pytest.mark.parametrize("chroot", [True, False], ids=["chroot", "ordinary"])
def test_failed_registration_leaves_no_link_to_trust(world: Path, *, chroot: bool) -> None:
    def refuse(link: str) -> None:
        raise RuntimeError(link)

    with pytest.raises(RuntimeError):
        gcroots.add_root(
            world / "links" / "env",
            physical=world / "object",
            logical=LOGICAL if chroot else str(world / "object"),
            state_dir=world / barred(world),
            user="ana",
            register=refuse,
        )
    assert list((world / "links").iterdir()) == []
