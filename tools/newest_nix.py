"""Get the newest Nix that Debian has, beside the machine's own packages and without touching them.

    python tools/newest_nix.py CACHE_DIR

Prints a directory with `nix`, `nix-daemon` and `nix-store` to put on PATH. apt works with lists, cache
and status of its own, so it resolves and checks everything as ever and installs nothing; the packages
are unpacked into CACHE_DIR and run by their own loader and libraries. Takes some 20 seconds the first
time and none after that. Exits with 1 and one line when the mirror has none or does not answer.
"""

from __future__ import annotations

import fcntl
import os
import shutil
import subprocess
import sys
from pathlib import Path

SUITES = ("sid", "forky", "trixie")
MIRROR = "http://deb.debian.org/debian"
KEYRING = "/usr/share/keyrings/debian-archive-keyring.gpg"
PROGRAMS = ("nix", "nix-daemon", "nix-store")
WRAPPER = """#!/bin/sh
exec '{loader}' --argv0 {name} --library-path '{libraries}' '{nix}' "$@"
"""


class UnavailableError(Exception):
    """No Nix can be had here."""


def main(cache: Path) -> int:
    """Print the directory; see the module."""
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            print(existing(cache) or download(cache))
        except UnavailableError as error:
            print(error, file=sys.stderr)
            return 1
    return 0


def existing(cache: Path) -> Path | None:
    """The programs of an earlier run, if they still start."""
    programs = cache / "bin"
    try:
        subprocess.run([programs / "nix", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return programs


def download(cache: Path) -> Path:
    """The programs out of the newest suite that the mirror has."""
    missing = [tool for tool in ("apt-get", "dpkg-deb") if shutil.which(tool) is None]
    if missing:
        raise UnavailableError(f"{missing[0]} is not on PATH: not a Debian")
    reasons = []
    for suite in SUITES:
        programs = attempt(cache, suite)
        if isinstance(programs, Path):
            return programs
        reasons.append(f"{suite}: {programs}")
    raise UnavailableError("; ".join(reasons))


def attempt(cache: Path, suite: str) -> Path | str:
    """The programs out of one suite, or why there are none."""
    try:
        return install(cache, suite)
    except subprocess.CalledProcessError as error:
        said = (error.stderr or error.stdout or "").strip().splitlines()
        return said[-1] if said else str(error)


def install(cache: Path, suite: str) -> Path:
    """Download, unpack and wrap Nix of one suite."""
    apt = cache / "apt"
    shutil.rmtree(apt, ignore_errors=True)
    shutil.rmtree(cache / "root", ignore_errors=True)
    for folder in ("etc", "lists/partial", "archives/partial"):
        (apt / folder).mkdir(parents=True)
    (apt / "status").touch()
    signed = f"[signed-by={KEYRING}] " if Path(KEYRING).exists() else ""
    (apt / "etc" / "sources.list").write_text(f"deb {signed}{mirror()} {suite} main\n")
    # An empty status makes apt fetch every dependency, down to libc: exactly what is needed.
    options = {
        "Dir::Etc::sourcelist": apt / "etc" / "sources.list",
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::State::lists": apt / "lists",
        "Dir::State::status": apt / "status",
        "Dir::Cache::archives": apt / "archives",
        "Dir::Cache::pkgcache": "",
        "Dir::Cache::srcpkgcache": "",
        "APT::Sandbox::User": "root",
        "APT::Install-Recommends": "false",
        "Acquire::Languages": "none",
        "Acquire::Retries": "2",
        # A machine whose hooks clean up after apt would take the packages away again.
        "DPkg::Post-Invoke::": "",
        "APT::Keep-Downloaded-Packages": "true",
    }
    argv = ["apt-get", "-qq", *(f"-o{key}={value}" for key, value in options.items())]
    run([*argv, "update"])
    run([*argv, "--yes", "--download-only", "install", "nix-bin"])
    for package in sorted((apt / "archives").glob("*.deb")):
        run(["dpkg-deb", "-x", str(package), str(cache / "root")])
    programs = wrap(cache / "root", cache / "bin")
    shutil.rmtree(apt)
    run([str(programs / "nix"), "--version"])
    return programs


def wrap(root: Path, programs: Path) -> Path:
    """Scripts that start Nix by the loader that came with it."""
    found = [path for path in root.rglob("ld-linux*.so.*") if path.is_file()]
    libraries = sorted({str(path.parent) for path in root.rglob("lib*.so.*") if path.is_file()})
    if not found or not (root / "usr/bin/nix").exists():
        raise UnavailableError("the packages have no loader or no `nix`")
    programs.mkdir(exist_ok=True)
    for name in PROGRAMS:
        script = programs / name
        script.write_text(
            WRAPPER.format(
                loader=found[0],
                name=name,
                libraries=os.pathsep.join(libraries),
                nix=root / "usr/bin/nix",
            )
        )
        script.chmod(0o755)
    return programs


def mirror() -> str:
    """The Debian mirror that this machine uses."""
    argv = ["apt-get", "indextargets", "--format", "$(ORIGIN)\t$(LABEL)\t$(REPO_URI)"]
    done = subprocess.run(argv, capture_output=True, text=True, check=False)
    for line in done.stdout.splitlines():
        origin, label, uri = line.split("\t")
        if origin == "Debian" and label == "Debian":
            return uri.rstrip("/")
    return MIRROR


def run(argv: list[str]) -> None:
    """Run a program to its end, quietly."""
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C.UTF-8"}
    subprocess.run(
        argv, check=True, capture_output=True, text=True, env=env, stdin=subprocess.DEVNULL
    )


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]).absolute()))
