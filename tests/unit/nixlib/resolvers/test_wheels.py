import pytest

from nixlib.resolvers.wheels import best_wheel, served, wheel_triples

NUMPY = [
    "numpy-2.0-cp311-cp311-musllinux_1_2_x86_64.whl",
    "numpy-2.0-cp311-cp311-manylinux_2_35_x86_64.whl",
    "numpy-2.0-cp311-cp311-manylinux_2_17_x86_64.manylinux2014_x86_64.whl",
    "numpy-2.0-cp311-cp311-manylinux_2_17_aarch64.whl",
    "numpy-2.0-cp311-cp311-macosx_11_0_arm64.whl",
    "numpy-2.0-cp310-cp310-manylinux_2_17_x86_64.whl",
    "numpy-2.0-pp310-pypy310_pp73-manylinux_2_17_x86_64.whl",
    "numpy-2.0-cp311-cp311-win_amd64.whl",
]


@pytest.mark.parametrize(
    ("system", "expected"),
    [
        ("x86_64-linux", NUMPY[2]),
        ("aarch64-linux", NUMPY[3]),
        ("aarch64-darwin", NUMPY[4]),
        ("x86_64-darwin", None),
    ],
)
def test_best_wheel_is_for_the_system_and_an_old_libc(system, expected):
    assert best_wheel(NUMPY, NUMPY, system, "3.11") == expected


def test_wheel_for_a_new_libc_is_taken_when_there_is_no_other():
    assert best_wheel(NUMPY[:2], NUMPY[:2], "x86_64-linux", "3.11") == NUMPY[1]


def test_platform_wheel_beats_pure_and_highest_build_wins():
    names = [
        "x-1-py3-none-any.whl",
        "x-1-2-cp311-abi3-manylinux1_x86_64.whl",
        "x-1-10-cp311-abi3-manylinux1_x86_64.whl",
    ]
    assert best_wheel(names, names, "x86_64-linux", "3.11") == names[2]


def test_free_threaded_wheel_is_not_for_the_usual_interpreter():
    names = ["x-1-cp313-cp313t-manylinux1_x86_64.whl"]
    assert best_wheel(names, names, "x86_64-linux", "3.13") is None


@pytest.mark.parametrize("name", ["x.whl", "x-1.tar.gz", "a-b-c.whl", ""])
def test_what_is_no_wheel_has_no_tags(name):
    assert wheel_triples(name) == ()


def test_message_lists_pythons_by_platform():
    assert (
        served(NUMPY[2:5])
        == "Python 3.11 on Linux aarch64; Python 3.11 on Linux x86_64; Python 3.11 on macOS arm64"
    )
    assert served(["x-1-py3-none-any.whl"]) == "Python 3 on every platform"
