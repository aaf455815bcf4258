"""Where files really are, and that nobody reads it in a message."""

import json
from dataclasses import replace

import pytest

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError
from nixlib.importing.origins import Origins, without_place
from nixlib.lock import Artifact
from nixlib.plan import Leaf
from nixlib.settings import Settings

URL = "https://conda.example.org/private/linux-64/a-1-0.conda"


@pytest.fixture
def origins(tmp_path, monkeypatch):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("RATTLER_AUTH_FILE", raising=False)
    monkeypatch.delenv("CONDARC", raising=False)
    settings = Settings(tmp_path / "cache", tmp_path / "state")
    return Origins(settings, tmp_path / "notebooks", Cancel())


def conda_leaf(url):
    artifact = Artifact(url, "0" * 64, 1)
    return Leaf("a", "1", "conda", artifact, "a-1-0"), artifact


def test_wheel_is_where_the_lock_says(origins):
    leaf, artifact = conda_leaf(URL)
    assert origins.places(replace(leaf, kind="wheel"), artifact) == (URL,)


def test_channel_beside_the_notebook_begins_at_its_folder(origins, tmp_path):
    leaf, artifact = conda_leaf("file://./channel/noarch/a-1-0.conda")
    place = (tmp_path / "notebooks/channel/noarch/a-1-0.conda").as_uri()
    assert origins.places(leaf, artifact) == (place,)


def test_token_of_the_user_is_in_the_place_and_in_no_message(origins, tmp_path):
    folder = tmp_path / ".rattler"
    folder.mkdir()
    login = {"conda.example.org": {"CondaToken": "hush"}}
    (folder / "credentials.json").write_text(json.dumps(login))
    leaf, artifact = conda_leaf(URL)
    [place] = origins.places(leaf, artifact)
    assert "/t/hush/" in place
    error = NetworkError(
        f"cannot download `{place}`", details=(f"from {place}",), url=place, status=500
    )
    said = without_place(error, place, URL)
    assert "hush" not in said.render()
    assert (said.url, said.status) == (URL, 500)


def test_mirrors_are_asked_in_their_order(origins):
    settings = replace(
        origins.settings,
        conda_mirrors=(
            "https://conda.example.org=https://one.example.org",
            "https://conda.example.org=https://two.example.org",
        ),
    )
    leaf, artifact = conda_leaf(URL)
    assert replace(origins, settings=settings).places(leaf, artifact) == (
        "https://one.example.org/private/linux-64/a-1-0.conda",
        "https://two.example.org/private/linux-64/a-1-0.conda",
    )
