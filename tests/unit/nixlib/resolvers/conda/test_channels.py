from pathlib import Path

import pytest

from nixlib.errors import SpecError
from nixlib.lock.conda import LockedConda, parse_conda
from nixlib.requirements import parse_line
from nixlib.resolvers.conda.channels import find_channel, located, parse_channel, parse_channels

HERE = Path("/home/me/note books")
ALIAS = "https://conda.anaconda.org"


def url(text, **more):
    (channel,) = parse_channel(text, HERE, ALIAS, **more)
    return channel.url


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("conda-forge", f"{ALIAS}/conda-forge"),
        ("conda-forge/label/dev", f"{ALIAS}/conda-forge/label/dev"),
        ("https://repo.example/x/", "https://repo.example/x"),
        ("https://repo.example/x/linux-64", "https://repo.example/x"),
        ("http://127.0.0.1:8080/x/noarch/", "http://127.0.0.1:8080/x"),
        ("https://Repo.Example:443/X", "https://repo.example/X"),
        ("http://host:80/x", "http://host/x"),
        ("http://host:8080/x", "http://host:8080/x"),
        ("file:///srv/channel", "file:///srv/channel"),
        ("./mine", "file:///home/me/note%20books/mine"),
        ("../shared/mine", "file:///home/me/shared/mine"),
        (".", "file:///home/me/note%20books"),
        ("../../../../../x", "file:///x"),
    ],
)
def test_a_channel_is_a_name_a_url_or_a_folder(text, where):
    assert url(text) == where


def test_defaults_are_two_channels():
    found = parse_channels(("defaults", "defaults"), HERE, ALIAS)
    assert [channel.url for channel in found] == [
        "https://repo.anaconda.com/pkgs/main",
        "https://repo.anaconda.com/pkgs/r",
    ]


def test_names_of_the_users_own_configuration_are_elsewhere():
    custom = {"ours": "https://repo.example/ours"}
    assert url("ours", custom=custom) == "https://repo.example/ours"
    assert url("ours/label/x", custom=custom) == "https://repo.example/ours/label/x"
    assert url("theirs", custom=custom) == f"{ALIAS}/theirs"


@pytest.mark.parametrize(
    "text",
    ["", "/srv/channel", "~/channel", "a b", "a/../b", "https://me:pw@host/x", "https://host/x?t=1", "https://host/x#y", "ssh://host/x", "file://host/x", "-c", "$(id)", "./a\x00b", "./a\u202eb", "https://ho st/x", "https://host/a/../b", "https://host/a|b", "file:///srv/../etc", "C:\\channel", "conda-forge\n"],
)  # fmt: skip
def test_anything_else_is_refused(text):
    if text == "conda-forge\n":
        assert url(text) == f"{ALIAS}/conda-forge"  # margins are nobody's meaning
        return
    with pytest.raises(SpecError):
        parse_channel(text, HERE, ALIAS)


def test_a_secret_is_not_in_the_refusal():
    with pytest.raises(SpecError) as caught:
        parse_channel("https://me:topsecret@host/x?token=1", HERE, ALIAS)
    assert "topsecret" not in str(caught.value)
    assert "token" not in str(caught.value)


@pytest.mark.parametrize("text", ["./mine", "../shared/mine", ".", "./with space/x"])
def test_a_folder_is_locked_relative_and_found_again(text):
    (channel,) = parse_channel(text, HERE, ALIAS)
    assert "/home" not in channel.locked
    locked = channel.lock(f"{channel.url}/linux-64/a-1-0.conda")
    assert located(locked, HERE) == f"{channel.url}/linux-64/a-1-0.conda"
    conda = LockedConda(channels=(channel.locked,))
    assert parse_conda("conda", conda.to_json()) == conda


def test_what_is_not_relative_is_where_it_says():
    for text in ("https://host/a.conda", "file:///srv/a.conda"):
        assert located(text, HERE) == text


def test_channel_of_a_requirement_is_one_of_the_notebooks():
    channels = parse_channels(("./mine", "conda-forge", "https://repo.example/x"), HERE, ALIAS)
    for name, place in (
        ("conda-forge", 1),
        (f"{ALIAS}/conda-forge", 1),
        ("x", 2),
        ("mine", 0),
        ("https://repo.example/x", 2),
    ):
        assert find_channel(name, channels) is channels[place]
    assert find_channel("bioconda", channels) is None
    assert find_channel("https://other.example/x", channels) is None


def test_requirement_and_channel_spell_a_url_alike():
    line = parse_line("https://repo.example/x::a *")
    assert find_channel(line.channel, parse_channels(("https://repo.example/x/",), HERE, ALIAS))
