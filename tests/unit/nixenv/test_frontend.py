from __future__ import annotations

import sys

import pytest

from nixenv.frontend import EXTENSIONS, find_extensions, install_command, lacking_front_end
from nixlib.composition.package import FACTS_NAME, LAYOUT, Facts


@pytest.fixture
def environment(tmp_path, monkeypatch):
    """Two packages with page parts in an environment, and a server that has one of the parts."""
    monkeypatch.setenv("JUPYTER_PATH", str(tmp_path / "server"))
    place = tmp_path / "environment" / EXTENSIONS
    (place / "@x").mkdir(parents=True)
    for number, (package, extension) in enumerate([("drawn", "drawn"), ("known", "@x/known")]):
        home = tmp_path / "store" / package
        part = home / "data" / EXTENSIONS / extension
        part.mkdir(parents=True)
        (part / "package.json").write_text("{}")
        facts = Facts(LAYOUT, package, f"1.{number}", {}, {}, (), ())
        (home / FACTS_NAME).write_bytes(facts.to_bytes())
        (place / extension).symlink_to(part)
    (tmp_path / "server" / "labextensions" / "@x" / "known").mkdir(parents=True)
    (tmp_path / "server" / "labextensions" / "@x" / "known" / "package.json").touch()
    return tmp_path / "environment"


def test_extensions_are_found_by_their_own_names(environment):
    assert sorted(find_extensions([environment / EXTENSIONS])) == ["@x/known", "drawn"]
    assert find_extensions([environment / "absent"]) == {}


def test_only_what_the_server_lacks_is_named_with_its_command(environment):
    found = lacking_front_end(environment)
    assert [part.package for part in found.parts] == ["drawn"]
    assert found.to_json() == {
        "parts": ({"extension": "drawn", "package": "drawn", "version": "1.0"},),
        "command": found.command,
        "message": "`drawn` has a part for the page, which this Jupyter server lacks:"
        f" `{found.command}`, then reload the page",
    }
    assert found.command.split()[-2:] == ["install", "drawn==1.0"]
    assert found.command.startswith(f"{sys.executable} -m ")
    assert lacking_front_end(environment, {"known"}) is None
    assert lacking_front_end(environment.parent) is None


def test_part_of_unknown_origin_is_not_named(environment):
    (environment.parent / "store" / "drawn" / FACTS_NAME).unlink()
    assert lacking_front_end(environment) is None


def test_installation_without_pip_installs_through_uv(monkeypatch):
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    command = install_command(["a==1", "b==2"])
    assert command.endswith(f"-m uv pip install --python {sys.executable} a==1 b==2")
