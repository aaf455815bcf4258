import pytest

from nixlib.errors import WheelError
from nixlib.sources.editable import pointing_at, stand_in
from nixlib.testing.wheels import make_wheel
from nixlib.tree import Regular
from nixlib.wheels.wheel import read_wheel

FOLDER = "/home/ana/a b"
COPY = stand_in(FOLDER)
FILENAME = "thing-1.0-py3-none-any.whl"


def test_wheel_points_at_the_folder_and_its_record_is_true():
    data = make_wheel("thing", "1.0", {"thing.pth": f"{COPY}/src\n", "finder.py": f"M = {COPY!r}"})
    wheel = read_wheel(pointing_at(data, FILENAME, COPY, FOLDER), FILENAME, strict=True)
    site = wheel.tree.entries["site-packages"]
    assert isinstance(site.entries["thing.pth"], Regular)
    assert b"".join(site.entries["thing.pth"].read()) == b"/home/ana/a b/src\n"
    assert b"".join(site.entries["finder.py"].read()) == b"M = '/home/ana/a b'"


def test_place_in_a_compiled_file_is_refused():
    data = make_wheel("thing", "1.0", {"fast.so": b"\x7fELF\0" + COPY.encode()})
    with pytest.raises(WheelError) as caught:
        pointing_at(data, FILENAME, COPY, FOLDER)
    assert caught.value.member == "fast.so"


def test_each_folder_has_a_stand_in_of_its_own():
    assert stand_in("/a") != stand_in("/b")
