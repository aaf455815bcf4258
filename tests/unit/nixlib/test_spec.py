import pytest

from nixlib.errors import LockVersionError, SpecError
from nixlib.spec import Spec, parse_spec

FULL = {
    "version": 1,
    "python": "3.11",
    "requirements": ["pandas==1.5", 'requests[socks]; sys_platform == "linux"'],
    "indexes": ["https://example.org/simple"],
    "exclude-newer": "2023-03-01",
    "era": False,
    "interpreter": "host",
    "systems": ["aarch64-darwin", "x86_64-linux"],
    "collisions": {"cv2": "opencv-python"},
    "strict": True,
    "x-mine": {"anything": 1},
}


def test_spec_round_trips():
    assert parse_spec(FULL).to_json() == FULL


def test_spec_defaults_are_not_written():
    assert parse_spec({"version": 1}).to_json() == {"version": 1, "requirements": []}


def test_digest_ignores_own_keys_and_lock():
    plain = parse_spec({"version": 1, "requirements": ["a"]})
    assert (
        plain.digest
        == parse_spec({"version": 1, "requirements": ["a"], "x-b": 1, "lock": 7}).digest
    )
    assert plain.digest != parse_spec({"version": 1, "requirements": ["b"]}).digest


@pytest.mark.parametrize(
    ("value", "key"),
    [
        ([], "nixenv"),
        (None, "nixenv"),
        ({}, "nixenv.version"),
        ({"version": True}, "nixenv.version"),
        ({"version": 0}, "nixenv.version"),
        ({"version": 1, "requirement": []}, "nixenv.requirement"),
        ({"version": 1, "requirements": "pandas"}, "nixenv.requirements"),
        ({"version": 1, "requirements": [1]}, "nixenv.requirements[0]"),
        ({"version": 1, "requirements": ["a\nb"]}, "nixenv.requirements[0]"),
        ({"version": 1, "python": "2.7"}, "nixenv.python"),
        ({"version": 1, "python": 3.11}, "nixenv.python"),
        ({"version": 1, "exclude-newer": "yesterday"}, "nixenv.exclude-newer"),
        ({"version": 1, "era": "no"}, "nixenv.era"),
        ({"version": 1, "interpreter": "pypy"}, "nixenv.interpreter"),
        ({"version": 1, "interpreter": []}, "nixenv.interpreter"),
        ({"version": 1, "systems": ["amiga"]}, "nixenv.systems"),
        ({"version": 1, "systems": []}, "nixenv.systems"),
        ({"version": 1, "collisions": ["cv2"]}, "nixenv.collisions"),
        ({"version": 1, "indexes": ["file:///etc"]}, "nixenv.indexes[0]"),
        ({"version": 1, "channels": ["https://me:secret@host/c"]}, "nixenv.channels[0]"),
        ({"version": 1, "channels": ["https://host/t/token/c"]}, "nixenv.channels[0]"),
        ({"version": 1, "channel-priority": "loose"}, "nixenv.channel-priority"),
        ({"version": 1, "providers": {"_default": "wheel sdist"}}, "nixenv.providers._default"),
        ({"version": 1, "providers": {"numpy": None}}, "nixenv.providers.numpy"),
        ({"version": 1, "variants": {"cuda": 12.4}}, "nixenv.variants.cuda"),
        ({"version": 1, "variants": {"cuda": "12; rm"}}, "nixenv.variants.cuda"),
        ({"version": 1, "build-inputs": "gcc"}, "nixenv.build-inputs"),
    ],
)
def test_spec_is_refused_naming_the_key(value, key):
    with pytest.raises(SpecError) as caught:
        parse_spec(value)
    assert caught.value.key == key
    assert f"`{key}`" in caught.value.summary


def test_unknown_key_names_the_nearest():
    with pytest.raises(SpecError) as caught:
        parse_spec({"version": 1, "requirments": []})
    assert "did you mean `requirements`?" in caught.value.hint


def test_newer_version_gets_the_upgrade_command():
    with pytest.raises(LockVersionError) as caught:
        parse_spec({"version": 2, "whatever": 1})
    assert caught.value.hint == "`pip install --upgrade nixenv`"


@pytest.mark.parametrize(
    "python", ["3.11", "3.11.7", ">=3.10", ">=3.10,<3.13", "==3.11.*", "~=3.11"]
)
def test_python_accepts_versions_and_specifiers(python):
    assert parse_spec({"version": 1, "python": python}).python == python


@pytest.mark.parametrize("said", [{"requirements": ["\ud800"]}, {"private": {"g": ["a\udfff"]}}])
def test_half_of_a_character_is_no_text(said):
    with pytest.raises(SpecError, match=r"must be a text on one line, not a text"):
        parse_spec({"version": 1, "python": "3.11", **said})


def test_with_requirements_keeps_the_rest():
    spec = parse_spec(FULL).with_requirements(("a",))
    assert spec.requirements == ("a",)
    assert spec.collisions == FULL["collisions"]
    assert isinstance(spec, Spec)
