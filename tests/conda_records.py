"""Channels of records only, for tests of what is chosen and of what is refused: no archive is behind any of them."""

import hashlib
import json

from nixlib.requirements import parse_line
from nixlib.resolvers.conda.resolve import CondaRequest, resolve_conda
from nixlib.settings import Settings

JANUARY_2020 = 1577836800000


def record(
    name, version="1.0", build="h0_0", *, number=0, subdir="linux-64", time=JANUARY_2020, **more
):
    """A record by its file name; more of its fields replace what is made up here, None leaves one out."""
    filename = f"{name}-{version}-{build}.conda"
    own = hashlib.sha256(f"{subdir}/{filename}".encode())
    made = {
        "name": name,
        "version": version,
        "build": build,
        "build_number": number,
        "depends": [],
        "subdir": subdir,
        "sha256": own.hexdigest(),
        "md5": hashlib.md5(filename.encode()).hexdigest(),
        "size": 1000,
        "timestamp": time,
        **more,
    }
    return filename, {key: value for key, value in made.items() if value is not None}


def write_records(folder, *records, **info):
    """A channel in `folder`, every platform in one `repodata.json`; its URL."""
    by_subdir = {"noarch": {}}
    for filename, made in records:
        by_subdir.setdefault(made["subdir"], {})[filename] = made
    for subdir, found in by_subdir.items():
        (folder / subdir).mkdir(parents=True, exist_ok=True)
        (folder / subdir / "repodata.json").write_text(
            json.dumps(
                {"info": {"subdir": subdir, **info}, "packages": {}, "packages.conda": found}
            )
        )
    return folder.as_uri()


def settings_in(folder, **more):
    """Settings that ask nobody but the test's own channels."""
    return Settings(
        cache_dir=folder / "cache",
        state_dir=folder / "state",
        **{"conda_names": "", "conda_alias": "http://127.0.0.1:9", **more},
    )


def ask(folder, channels, *lines, cancel=None, on_event=None, settings=None, **more):
    """What the resolver makes of `lines`."""
    request = CondaRequest(
        requirements=tuple(map(parse_line, lines)),
        lines=lines,
        channels=tuple(channels),
        **{"systems": ("x86_64-linux",), "folder": folder, **more},
    )
    return resolve_conda(
        request, settings=settings or settings_in(folder), on_event=on_event, cancel=cancel
    )


def chosen(resolution):
    """Version and build of each package."""
    return {package.name: (package.version, package.build) for package in resolution.conda.packages}
