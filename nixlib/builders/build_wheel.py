"""Build a wheel out of a source tree by its own backend (PEP 517, PEP 660), where nothing else can be seen.

Run with one argument, a JSON file; the output is the directory `$out` with `result.json` and, where a wheel
was asked for, the wheel. The backend is a stranger's program: it runs in a second process, by the Python of
the build environment, on a copy of the source at a fixed place, with fixed variables and a fixed time, so
that the same source gives the same wheel. Standard library only, Python 3.8 and later.

The JSON file:

- `environment`: the build environment, with `bin/python`
- `source`, `subdirectory`: the tree, and where in it the project is
- `place`: where the tree is copied to
- `hook`: `build_wheel`, `build_editable`, `get_requires_for_build_wheel`, `get_requires_for_build_editable`
- `backend`, `backend_path`: the object that has the hooks, and folders of the project to look in first
- `settings`: what the hook is given as its `config_settings`
- `path`: folders for PATH, after the environment's own
- `variables`: what else the backend finds in its process environment
- `epoch`: the time of every file (seconds since 1970)

`result.json` has one of `wheel` (a file name), `requires` (PEP 508 lines), `missing` (a hook that the backend
does not have) and may have `left` (compiled modules that an editable build left in the source tree).
"""

from __future__ import annotations

import importlib
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    Orders = dict[str, Any]

_ANSWER = "answer.json"
_COMPILED = (".so", ".pyd", ".dylib")


def copy_tree(source: Path, place: Path, epoch: int) -> None:
    """Copy `source` to `place`, writable and of one age: tools compare the ages of files."""
    shutil.copytree(source, place, symlinks=True, dirs_exist_ok=True)
    place.chmod(0o700)
    for path in sorted(place.rglob("*")):
        if path.is_symlink():
            continue
        if path.is_dir():
            path.chmod(0o700)
        else:
            path.chmod(0o600 | (path.stat().st_mode & 0o111))
            os.utime(path, (epoch, epoch))


def variables(orders: Orders, scratch: Path) -> dict[str, str]:
    """The backend's process environment: nothing of this one's, and nothing that changes."""
    home, temporary = scratch / "home", scratch / "tmp"
    for folder in (home, temporary):
        folder.mkdir(parents=True, exist_ok=True)
    cores = os.environ.get("NIX_BUILD_CORES", "0")
    folders = [orders["environment"] + "/bin", *orders["path"], "/usr/bin", "/bin"]
    return {
        "PATH": ":".join(folders),
        "HOME": str(home),
        "TMPDIR": str(temporary),
        "LANG": "C.UTF-8",
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "SOURCE_DATE_EPOCH": str(orders["epoch"]),
        "PYTHONHASHSEED": "0",
        "PYTHONNOUSERSITE": "1",
        "CMAKE_BUILD_PARALLEL_LEVEL": cores if cores != "0" else str(os.cpu_count() or 1),
        **orders["variables"],
    }


def run_hook(orders: Orders, project: Path, built: Path, scratch: Path) -> Orders:
    """What the backend's hook answers, from a process of its own."""
    answer = scratch / _ANSWER
    python = orders["environment"] + "/bin/python"
    script = str(Path(__file__).resolve())
    status = subprocess.run(
        [python, "-s", script, "--hook", sys.argv[1], str(built), str(answer)],
        cwd=project,
        env=variables(orders, scratch),
        stdin=subprocess.DEVNULL,
        check=False,
    ).returncode
    if status != 0:
        sys.exit(status if status > 0 else 128 - status)
    try:
        found: Orders = json.loads(answer.read_text("utf-8"))
    except (OSError, ValueError):
        sys.exit("the build backend ended without an answer")
    return found


def compiled_modules(folder: Path) -> set[str]:
    """The compiled modules below `folder`, by their paths in it."""
    found = (path for path in folder.rglob("*") if path.name.endswith(_COMPILED))
    return {path.relative_to(folder).as_posix() for path in found}


def finish(orders: Orders, answer: Orders, built: Path, out: Path) -> Orders:
    """Put what the hook made into `out`; what to say of it."""
    if "missing" in answer or "requires" in answer:
        return answer
    name = answer["wheel"]
    made = built / name
    if made.name != name or made.is_symlink() or not made.is_file():
        sys.exit(f"the build backend says that it built {name!r}, and did not")
    shutil.copyfile(made, out / name)
    left = set()
    if orders["hook"] == "build_editable":
        left = compiled_modules(Path(orders["place"])) - compiled_modules(Path(orders["source"]))
    return {"wheel": name, "left": sorted(left)} if left else {"wheel": name}


def main() -> None:
    """Follow the orders in the JSON file."""
    orders = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    out = Path(os.environ["out"])  # noqa: SIM112 - Nix's own name
    out.mkdir(parents=True, exist_ok=True)
    scratch = Path(os.environ.get("NIX_BUILD_TOP") or Path.cwd())
    place, built = Path(orders["place"]), scratch / "wheel"
    built.mkdir()
    copy_tree(Path(orders["source"]), place, orders["epoch"])
    answer = run_hook(orders, place / orders["subdirectory"], built, scratch)
    result = finish(orders, answer, built, out)
    (out / "result.json").write_text(json.dumps(result, sort_keys=True), "utf-8")


def call_hook(orders: Orders, built: str) -> Orders:
    """Call the backend in this process, whose working directory is the project."""
    # Not this script's own folder, which is the store.
    sys.path[0:1] = [str(Path(folder).resolve()) for folder in orders["backend_path"]]
    sys.argv[:] = ["setup.py"]
    module, _, attributes = orders["backend"].partition(":")
    backend = importlib.import_module(module)
    for name in filter(None, attributes.split(".")):
        backend = getattr(backend, name)
    hook = getattr(backend, orders["hook"], None)
    if orders["hook"].startswith("get_requires"):
        return {"requires": list(hook(orders["settings"])) if hook else []}
    if hook is None:
        return {"missing": orders["hook"]}
    return {"wheel": str(hook(built, orders["settings"]))}


def serve_hook() -> None:
    """The second process: the backend's answer, as a JSON file."""
    _, _, orders, built, answer = sys.argv
    found = call_hook(json.loads(Path(orders).read_text("utf-8")), built)
    Path(answer).write_text(json.dumps(found), "utf-8")


if __name__ == "__main__":
    if sys.argv[1] == "--hook":
        serve_hook()
    else:
        main()
