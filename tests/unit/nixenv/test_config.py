"""Settings from traits, files, variables and options; the later wins."""

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest

from nixenv.config import Configuration, find_settings, load_settings
from nixenv.errors import UsageError
from nixenv.traits import Nixenv


@pytest.fixture
def environ(tmp_path):
    return {"HOME": str(tmp_path), "XDG_CONFIG_HOME": str(tmp_path / "config")}


def write_file(environ, values, section="Nixenv"):
    path = Path(environ["XDG_CONFIG_HOME"], "nixenv", "config.json")
    path.parent.mkdir(parents=True)
    path.write_text(json.dumps({section: values}))
    return path


def test_every_setting_is_a_trait_with_help():
    traits = Nixenv.class_traits(config=True)
    names = {field.name for field in fields(Configuration)}
    assert names == set(traits) - set(Nixenv.__mro__[1].class_traits())
    assert all(traits[name].help for name in names)


def test_traits_have_the_defaults_of_the_settings():
    nixenv, settings = Nixenv(), Configuration(Path("/c"), Path("/s"))
    numbers = ("connections", "downloads", "memory", "grace_days", "timeout", "patience")
    for name in ("store", *numbers):
        assert getattr(nixenv, name) == getattr(settings, name), name


def test_defaults_follow_xdg(tmp_path):
    settings = load_settings(environ={"HOME": "/home/ana", "XDG_CACHE_HOME": "/big/cache"})
    assert settings.cache_dir == Path("/big/cache/nixenv")
    assert settings.state_dir == Path("/home/ana/.local/state/nixenv")


def test_relative_xdg_folder_is_ignored(environ):
    settings = load_settings(environ={**environ, "XDG_CACHE_HOME": "cache"})
    assert settings.cache_dir == Path(environ["HOME"], ".cache", "nixenv")


def test_later_layer_wins(environ):
    layers = dict(environ)
    assert load_settings(environ=layers).downloads == 32
    layers["NIXENV_TRAITS"] = '{"downloads": 4}'
    assert load_settings(environ=layers).downloads == 4
    path = write_file(environ, {"downloads": 5})
    assert load_settings(environ=layers).downloads == 5
    layers["NIXENV_DOWNLOADS"] = "6"
    assert load_settings(environ=layers).downloads == 6
    assert load_settings({"downloads": 7}, layers).downloads == 7
    sources = {one.name: one.source for one in find_settings(environ=environ)}
    assert sources["downloads"] == str(path)
    assert sources["memory"] == "default"


def test_lists_are_read_from_variables(environ):
    def read(text):
        return load_settings(environ={**environ, "NIXENV_CACHES": text}).caches

    assert read("https://a https://b") == ("https://a", "https://b")
    assert read('["https://a b"]') == ("https://a b",)
    assert read("") == ()


@pytest.mark.parametrize(
    ("variable", "text"),
    [
        ("NIXENV_DOWNLOADS", "many"),
        ("NIXENV_DOWNLOADS", "0"),
        ("NIXENV_TIMEOUT", "soon"),
        ("NIXENV_CACHE_DIR", "relative/folder"),
        ("NIXENV_CACHES", "[1"),
    ],
)
def test_variable_that_no_setting_can_be_is_named(environ, variable, text):
    with pytest.raises(UsageError) as caught:
        load_settings(environ={**environ, variable: text})
    assert variable in caught.value.summary
    assert text in caught.value.summary


def test_number_that_is_out_of_range_names_the_range(environ):
    with pytest.raises(UsageError) as caught:
        load_settings(environ={**environ, "NIXENV_TIMEOUT": "-1"})
    assert "from 0.1 to 3600.0" in caught.value.details


def test_unknown_setting_in_a_file_names_the_nearest(environ):
    path = write_file(environ, {"download": 3})
    with pytest.raises(UsageError) as caught:
        load_settings(environ=environ)
    assert caught.value.hint == "did you mean `downloads`?"
    assert str(path) in caught.value.summary


@pytest.mark.parametrize("text", ["{", "[]", '{"Nixenv": []}'])
def test_file_that_is_no_settings_is_named(environ, text):
    path = write_file(environ, {})
    path.write_text(text)
    with pytest.raises(UsageError) as caught:
        load_settings(environ=environ)
    assert str(path) in caught.value.summary


def test_traits_are_not_imported_when_nobody_has_set_anything(environ):
    code = "import sys; from nixenv.config import load_settings; load_settings(environ={'HOME': '/h'}); print('traitlets' in sys.modules)"
    answer = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert answer.stdout == "False\n"
