"""The JupyterLab extension as it is committed: nobody who installs nixenv has Node."""

import importlib.util
import json
from pathlib import Path

CHECKOUT = Path(__file__).parent.parent.parent
PREBUILT = CHECKOUT / "extension" / "prebuilt"


def test_bundle_is_made_of_the_sources_beside_it():
    tool = _tool("extension_digest")

    assert tool.digests() == tool.recorded(), "make extension"


def test_bundle_is_what_jupyterlab_loads():
    package = json.loads((PREBUILT / "package.json").read_text())
    entry = package["jupyterlab"]["_build"]

    assert entry["extension"] == "./extension"
    assert "_JUPYTERLAB" in (PREBUILT / entry["load"]).read_text()
    assert len(list(PREBUILT.glob("static/remoteEntry.*.js"))) == 1
    assert sum(file.stat().st_size for file in PREBUILT.rglob("*.*")) < 40_000


def test_extension_and_package_have_one_version():
    project = (CHECKOUT / "pyproject.toml").read_text()
    versions = {
        json.loads((CHECKOUT / "extension" / name).read_text())["version"]
        for name in ("package.json", "package-lock.json", "prebuilt/package.json")
    }

    assert len(versions) == 1
    assert f'\nversion = "{versions.pop()}"\n' in project


def _tool(name):
    spec = importlib.util.spec_from_file_location(name, CHECKOUT / "tools" / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
