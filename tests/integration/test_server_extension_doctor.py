"""`nixenv doctor` says when a Jupyter server would not load the extension."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from types import SimpleNamespace

import pytest

from nixenv.doctor.jupyter import Installation, _check_extension, probe

IN_EFFECT = """
from jupyter_core.paths import jupyter_config_path
from jupyter_server.extension.config import ExtensionConfigManager
manager = ExtensionConfigManager(read_config_path=jupyter_config_path())
print(manager.get_jpserver_extensions().get("nixenv"))
"""

SAID = {
    "enabled": ({"jupyter_server_config.d/nixenv.json": True}, "ok"),
    "disabled": ({"jupyter_server_config.d/nixenv.json": False}, "warning"),
    "disabled by hand": (
        {"jupyter_server_config.d/nixenv.json": True, "jupyter_server_config.json": False},
        "warning",
    ),
    "enabled by the last": (
        {"jupyter_server_config.d/a.json": False, "jupyter_server_config.d/nixenv.json": True},
        "ok",
    ),
}


@pytest.mark.parametrize(("files", "state"), SAID.values(), ids=SAID)
def test_extension_that_a_server_loads_is_what_doctor_finds(tmp_path, files, state):
    for name, is_enabled in files.items():
        (tmp_path / name).parent.mkdir(exist_ok=True)
        said = {"ServerApp": {"jpserver_extensions": {"nixenv": is_enabled}}}
        (tmp_path / name).write_text(json.dumps(said))
    environ = {**os.environ, "JUPYTER_CONFIG_PATH": str(tmp_path)}

    (found,) = _check_extension(probe(sys.executable, SimpleNamespace(environ=environ)))
    loads = subprocess.run(
        [sys.executable, "-c", IN_EFFECT], env=environ, capture_output=True, text=True, check=True
    )

    assert found.state == state
    assert loads.stdout.strip() == str(state == "ok")
    assert state == "ok" or f"{tmp_path}/{list(files)[-1]}" in found.what
    assert not found.command


SOURCES = {
    "a registry": ({}, "nixenv"),
    "a wheel": ({"url": "file:///w/a%20b.whl", "archive_info": {}}, "'/w/a b.whl'"),
    "a checkout": ({"url": "file:///w", "dir_info": {"editable": True}}, "--editable /w"),
    "a repository": ({"url": "https://x/y.git", "vcs_info": {}}, "nixenv"),
}


@pytest.mark.parametrize(("source", "what"), SOURCES.values(), ids=SOURCES)
def test_extension_that_no_file_enables_is_installed_again(source, what):
    facts = {"server": "2.9", "provisioner": "ok", "extension": None, "source": source}

    (found,) = _check_extension(Installation("/my python", facts))

    assert found.state == "warning"
    assert found.command == f"'/my python' -m pip install --force-reinstall --no-deps {what}"


@pytest.mark.parametrize(
    "facts",
    [{"server": None, "provisioner": "ok"}, {"server": "2.9", "provisioner": "missing"}, {}],
)
def test_jupyter_that_cannot_load_it_is_no_finding(facts):
    assert _check_extension(Installation("/python", facts)) == ()
