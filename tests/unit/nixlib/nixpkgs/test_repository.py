import pytest

from nixlib.errors import SettingError
from nixlib.nixpkgs.repository import NIXPKGS, Pin, Repository, pin_of, repository_of
from nixlib.requirements import parse_line

COMMIT = "0123456789abcdef0123456789abcdef01234567"
OWN = Repository(NIXPKGS)


@pytest.mark.parametrize(
    ("line", "setting", "nix", "pin"),
    [
        ("nixpkgs#dot", "", (2, 18), Pin(OWN, branch="nixpkgs-unstable")),
        ("nixpkgs#dot", "", (2, 8), Pin(OWN, branch="nixos-24.11")),
        (
            "nixpkgs#dot",
            "me/pkgs/a/b",
            (2, 8),
            Pin(Repository("me/pkgs"), branch="a/b"),
        ),
        ("nixpkgs/nixos-23.11#dot", "me/pkgs/a", (2, 8), Pin(OWN, branch="nixos-23.11")),
        (f"nixpkgs/{COMMIT}#dot", "", (2, 8), Pin(OWN, commit=COMMIT)),
        (
            "github:me/pkgs#dot",
            "",
            (2, 8),
            Pin(Repository("me/pkgs"), branch="HEAD"),
        ),
        ("github:me/pkgs/main#dot", "", (2, 8), Pin(Repository("me/pkgs"), branch="main")),
    ],
)
def test_line_asks_for_a_commit_or_a_branch(line, setting, nix, pin):
    assert pin_of(parse_line(line), setting, nix) == pin


@pytest.mark.parametrize("setting", ["nixpkgs", "a/b", "a/b/..", "a/b/c d", "a/b/c\n", "../x/y"])
def test_setting_of_another_form_is_refused(setting):
    with pytest.raises(SettingError) as caught:
        pin_of(parse_line("nixpkgs#dot"), setting, (2, 18))
    assert (caught.value.key, caught.value.found) == ("nixpkgs", setting)


def test_lock_names_repositories_and_finds_them_again():
    for name in (NIXPKGS, "me/pkgs"):
        assert repository_of(Repository(name).source).name == name


def test_archive_is_where_github_has_it():
    url = Repository("me/pkgs").archive("https://example.org/", "feature/a+b")
    assert url == "https://example.org/me/pkgs/archive/feature/a%2Bb.tar.gz"
