import pickle

from nixenv.kernel.groups.importing.naming import PrivateName

NAME = PrivateName("nixenv.private.old.lib.shape", "lib.shape")


def test_name_answers_to_both():
    assert NAME == "lib.shape"
    assert NAME == "nixenv.private.old.lib.shape"
    assert NAME != "lib"
    assert NAME.startswith("lib.")
    assert NAME.startswith(("x", "nixenv."))
    assert not NAME.startswith("shape")


def test_name_is_taken_apart_as_in_its_group():
    assert NAME.split(".") == ["lib", "shape"]
    assert NAME.partition(".")[0] == "lib"


def test_name_is_looked_up_and_written_as_the_full_one():
    assert {"nixenv.private.old.lib.shape": 1}[NAME] == 1
    assert f"{NAME}.x" == "nixenv.private.old.lib.shape.x"
    back = pickle.loads(pickle.dumps(NAME))
    assert type(back) is str
    assert back == "nixenv.private.old.lib.shape"
