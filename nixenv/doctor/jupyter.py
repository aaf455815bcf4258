"""Checks of every Jupyter that this user would start: its versions, our provisioner, our kernelspec."""

from __future__ import annotations

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import unquote

from nixenv.doctor.finding import Finding, Surroundings

SERVER_MINIMUM = (2, 9)
"""jupyter_server tells a kernel its notebook's new name after a rename since 2.9 (its PR 1341)."""

CLIENT_MINIMUM = (8, 5)
"""jupyter_client passes that on to a provisioner that restarts since 8.5."""

_PROGRAMS = ("jupyter-lab", "jupyter-notebook", "jupyter-server", "jupyter")

_PROBE = """
import glob, json, os, sys
from importlib.metadata import PackageNotFoundError, distribution, entry_points, version
def find(name):
    try:
        return version(name)
    except PackageNotFoundError:
        return None
points = entry_points()
group = "jupyter_client.kernel_provisioners"
ours = points.select(group=group, name="nixenv-provisioner") if hasattr(points, "select") else [
    point for point in points.get(group, ()) if point.name == "nixenv-provisioner"]
state = "missing"
for point in ours:
    try:
        point.load()
        state = "ok"
    except BaseException as error:
        state = f"{type(error).__name__}: {error}"
try:
    from jupyter_core.paths import jupyter_config_path, jupyter_path
    kernels, configs = jupyter_path("kernels"), jupyter_config_path()
except ImportError:
    kernels, configs = [], []
said = None
# As jupyter_server reads them: the folder first on the path wins, and in each the file over its `.d`.
for place in reversed(configs):
    name = os.path.join(place, "jupyter_server_config")
    for file in [*sorted(glob.glob(os.path.join(name + ".d", "*.json"))), name + ".json"]:
        try:
            with open(file, encoding="utf-8") as text:
                said = [bool(json.load(text)["ServerApp"]["jpserver_extensions"]["nixenv"]), file]
        except (OSError, ValueError, KeyError, TypeError):
            pass
try:
    source = json.loads(distribution("nixenv").read_text("direct_url.json") or "{}")
except PackageNotFoundError:
    source = {}
print(json.dumps({"server": find("jupyter_server"), "client": find("jupyter_client"),
                  "provisioner": state, "kernels": kernels, "extension": said, "source": source}))
"""


@dataclass(frozen=True, slots=True)
class Installation:
    """One Python with a Jupyter in it, asked about itself.

    Attributes:
        python: Its executable.
        facts: Versions, the provisioner's state, the folders of kernelspecs, whether a file enables the
            server extension and which, where nixenv was installed from; empty when it did not say.
        trouble: Why it did not say.
    """

    python: str
    facts: dict[str, Any]
    trouble: str = ""


def check_jupyter(around: Surroundings) -> tuple[Finding, ...]:
    """Versions, provisioner and kernelspec of each Jupyter on PATH, and of nixenv's own Python."""
    found = [probe(python, around) for python in find_pythons(around)]
    findings: list[Finding] = []
    for installation in found:
        findings += [
            *_check_versions(installation),
            *_check_provisioner(installation),
            *_check_extension(installation),
        ]
    return (*findings, *_check_kernelspec(found))


def find_pythons(around: Surroundings) -> tuple[str, ...]:
    """The Pythons that would run a Jupyter server here, nixenv's own first."""
    path = around.environ.get("PATH", os.defpath)
    programs = (shutil.which(name, path=path) for name in _PROGRAMS)
    found = [sys.executable, *(_interpreter_of(Path(program)) for program in programs if program)]
    return tuple(dict.fromkeys(python for python in found if python))


def _interpreter_of(script: Path) -> str | None:
    """The Python of a console script, from its first lines (pip writes three kinds)."""
    try:
        head = script.read_bytes()[:1024].decode("utf-8", "replace")
    except OSError:
        return None
    direct = re.match(r"#!\s*(\S*python\S*)\s*$", head.splitlines()[0] if head else "")
    # A path too long for the kernel's `#!` is called through /bin/sh: '''exec' /long/bin/python "$0" …
    wrapped = re.search(r"'''exec' \"?([^\"\n]+?/python[^\"\s]*)\"?", head)
    found = direct or wrapped
    # Not Path.exists, which raises where a folder on the way is closed to this user.
    return found.group(1) if found and os.path.exists(found.group(1)) else None  # noqa: PTH110


def probe(python: str, around: Surroundings) -> Installation:
    """Ask `python` what it has; costs one start of it and an import of our provisioner."""
    try:
        answer = subprocess.run(  # noqa: PLW1510
            [python, "-c", _PROBE],
            capture_output=True,
            text=True,
            timeout=60,
            env=dict(around.environ),
            cwd="/",
        )
        return Installation(python, json.loads(answer.stdout))
    except (OSError, ValueError, subprocess.TimeoutExpired) as error:
        return Installation(python, {}, f"{type(error).__name__}: {error}")


def _check_versions(installation: Installation) -> tuple[Finding, ...]:
    if installation.trouble:
        return (
            Finding(
                "jupyter", "warning", f"`{installation.python}` does not run", installation.trouble
            ),
        )
    needed = (
        ("jupyter_server", installation.facts["server"], SERVER_MINIMUM),
        ("jupyter_client", installation.facts["client"], CLIENT_MINIMUM),
    )
    return tuple(
        _check_version(installation.python, name, version, minimum)
        for name, version, minimum in needed
        if version
    )


def _check_version(python: str, name: str, version: str, minimum: tuple[int, int]) -> Finding:
    at_least = ".".join(map(str, minimum))
    if version_numbers(version) >= minimum:
        return Finding(name.replace("_", "-"), "ok", f"{name} {version} in `{python}`")
    return Finding(
        name.replace("_", "-"),
        "problem",
        f"{name} {version} in `{python}` is too old: nixenv needs {at_least}",
        "before it, a kernel is not told which notebook it belongs to after a rename",
        f"{shlex.quote(python)} -m pip install --upgrade '{name}>={at_least}'",
    )


def version_numbers(version: str) -> tuple[int, ...]:
    """The leading numbers of a version.

    Examples:
        >>> version_numbers("2.9.0rc1")
        (2, 9, 0)
    """
    leading = re.match(r"\d+(\.\d+)*", version)
    return tuple(int(part) for part in leading.group().split(".")) if leading else ()


def _check_provisioner(installation: Installation) -> tuple[Finding, ...]:
    if not installation.facts.get("client"):
        return ()
    state, python = installation.facts["provisioner"], installation.python
    if state == "ok":
        return (Finding("provisioner", "ok", f"the Jupyter in `{python}` finds nixenv"),)
    if _starts_itself(installation):
        what = f"the Jupyter in `{python}` needs no nixenv of its own: its kernelspec starts one"
        return (Finding("provisioner", "ok", what),)
    found = "has no nixenv in it" if state == "missing" else f"cannot load nixenv: {state}"
    return (
        Finding(
            "provisioner",
            "problem",
            f"the Jupyter in `{python}` {found}",
            "a server that cannot import the provisioner hides the kernel `nixenv` without a word",
            f"{shlex.quote(python)} -m pip install nixenv",
        ),
    )


def _check_extension(installation: Installation) -> tuple[Finding, ...]:
    """Whether a server of this installation loads our extension, where it could."""
    facts, python = installation.facts, installation.python
    if not facts.get("server") or facts["provisioner"] != "ok":
        return ()
    is_enabled, file = facts["extension"] or (False, "")
    if is_enabled:
        return (
            Finding(
                "server-extension",
                "ok",
                f"the Jupyter in `{python}` loads nixenv's server extension",
            ),
        )
    because = f", says `{file}`" if file else ""
    return (
        Finding(
            "server-extension",
            "warning",
            f"the Jupyter in `{python}` does not load nixenv's server extension{because}",
            "kernels start from what is saved only, and pages show no progress of a build",
            "" if file else _install_again(python, facts["source"]),
        ),
    )


def _install_again(python: str, source: dict[str, Any]) -> str:
    """What puts the wheel's files where Jupyter looks; `jupyter server extension enable` wants them there."""
    scheme, _, place = str(source.get("url", "")).partition("://")
    what = shlex.quote(unquote(place)) if scheme == "file" else "nixenv"
    if source.get("dir_info", {}).get("editable"):
        what = f"--editable {what}"
    return f"{shlex.quote(python)} -m pip install --force-reinstall --no-deps {what}"


def _starts_itself(installation: Installation) -> bool:
    """Whether the kernelspec that this Jupyter sees first does without a provisioner."""
    places = (Path(place) / "nixenv" / "kernel.json" for place in installation.facts["kernels"])
    first = next((file for file in places if os.path.isfile(file)), None)  # noqa: PTH113 - as above
    if first is None:
        return False
    try:
        return "kernel_provisioner" not in json.loads(first.read_text())["metadata"]
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check_kernelspec(found: list[Installation]) -> tuple[Finding, ...]:
    """The kernelspec that each Jupyter sees first; those with none are one finding."""
    folders = {place for one in found for place in one.facts.get("kernels", ())}
    seen = [Path(place) / "nixenv" / "kernel.json" for place in sorted(folders)]
    present = [file for file in seen if os.path.isfile(file)]  # noqa: PTH113 - as above
    if not present:
        return (
            Finding(
                "kernelspec",
                "problem",
                "Jupyter knows no kernel `nixenv`",
                "notebooks name it, so every client would say `No such kernel`",
                "nixenv kernelspec install --user",
            ),
        )
    return tuple(_check_kernel_json(file) for file in present)


def _check_kernel_json(file: Path) -> Finding:
    folder = file.parent
    again = f"nixenv kernelspec install --prefix {shlex.quote(str(folder.parents[3]))}"
    try:
        argv = json.loads(file.read_text(encoding="utf-8"))["argv"]
        program = str(argv[0])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        what = f"`{file}` is not a kernelspec: {type(error).__name__}"
        return Finding("kernelspec", "problem", what, "", again)
    if os.path.isabs(program) and not os.access(program, os.X_OK):  # noqa: PTH117
        return Finding(
            "kernelspec",
            "problem",
            f"the kernelspec in `{folder}` starts `{program}`, which is gone",
            "the Python that nixenv was installed into has been removed or moved",
            again,
        )
    return Finding("kernelspec", "ok", f"the kernelspec in `{folder}` starts nixenv")
