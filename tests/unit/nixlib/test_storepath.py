"""Store paths: fixed examples from Nix itself, and what is refused."""

import hashlib

import pytest

from nixlib.errors import InvalidStorePathError
from nixlib.storenames import conda_store_name, interpreter_store_name, wheel_store_name
from nixlib.storepath import (
    StorePath,
    check_name,
    fixed_output_path,
    nix32_decode,
    nix32_encode,
    sanitise_name,
)

DIGEST = "g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q"


def test_nix32_is_the_one_of_the_nix_manual() -> None:
    # `nix hash to-base32 --type sha256` of the empty string's SHA-256.
    digest = hashlib.sha256(b"").digest()
    assert nix32_encode(digest) == "0mdqa9w1p6cmli6976v4wi0sw9r4p5prkj7lzfd1877wk11c9c73"


@pytest.mark.parametrize("text", ["e", "0o", "zz", "-", "Z0", "0" * 31 + "u"])
def test_nix32_refuses_other_alphabets_and_loose_bits(text: str) -> None:
    with pytest.raises(InvalidStorePathError):
        nix32_decode(text)


def test_fixed_output_path_is_the_one_nix_store_add_printed() -> None:
    # `printf hi > greeting; nix-store --add greeting`, Nix 2.8.0 and 2.34.8.
    sha256 = bytes.fromhex("2252d4b78c94e8c7ace4e3317b78bdfe64bc8e3970a64eb6d2f7c2a443c0c3fc")
    path = fixed_output_path("greeting", sha256)
    assert path.in_dir() == "/nix/store/qgbgpf97c1f9ynh9bcfqrim7i18gggns-greeting"


@pytest.mark.parametrize(
    "text",
    [
        DIGEST,
        f"{DIGEST}-",
        f"{DIGEST}-.hidden",
        f"{DIGEST}-a/b",
        f"/nix/store/{DIGEST}-a/bin",
        f"/gnu/store/{DIGEST}-a",
        f"{DIGEST[:-1]}-a",
        f"{DIGEST[:-1]}e-a",
        f"{DIGEST}-{'x' * 212}",
        "",
    ],
)
def test_parse_refuses_what_is_no_store_path(text: str) -> None:
    with pytest.raises(InvalidStorePathError):
        StorePath.parse(text)


def test_parse_takes_a_base_name_and_a_whole_path() -> None:
    path = StorePath(DIGEST, "a-1.0")
    assert StorePath.parse(f"{DIGEST}-a-1.0") == path
    assert StorePath.parse(f"/nix/store/{DIGEST}-a-1.0") == path
    assert StorePath.parse(f"/s/{DIGEST}-a-1.0", "/s") == path
    assert path.in_dir("/s") == f"/s/{DIGEST}-a-1.0"


@pytest.mark.parametrize("name", ["a", "x" * 211, "torch-2.1.0+cu121", "a?b=c_d"])
def test_legal_names_are_given_back(name: str) -> None:
    assert check_name(name) == name


def test_long_names_that_differ_at_the_end_stay_different() -> None:
    one, other = sanitise_name("a" * 300 + "1"), sanitise_name("a" * 300 + "2")
    assert one != other
    assert len(one) <= 180


@pytest.mark.parametrize(
    ("text", "name"),
    [("", "unnamed"), ("...", "unnamed"), ("ü", "_"), ("a b/c", "a_b_c"), (".x", "x")],
)
def test_sanitise_name_gives_something_legal(text: str, name: str) -> None:
    assert sanitise_name(text) == name


def test_no_package_is_called_like_a_copy_of_a_machines_python() -> None:
    copy = interpreter_store_name("3.11.7", "host")
    assert conda_store_name("python", "3.11.7", "host") == f"{copy}-package"
    assert wheel_store_name("python", "3.11.7-host") == f"{copy}-package"
    assert conda_store_name("python", "3.11.7", "h0_0") == "python-3.11.7-h0_0"
