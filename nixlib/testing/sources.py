"""Source archives for tests, with a backend of their own: nothing is needed to build them but Python."""

from __future__ import annotations

import io
import tarfile
from collections.abc import Mapping
from typing import Final

__all__ = ["BACKEND", "project", "sdist"]

BACKEND: Final = '''"""A build backend (PEP 517, PEP 660) that packs the `.py` files of its folder, and compiles C if asked."""

import base64, hashlib, os, subprocess, sys, sysconfig, zipfile

NAME, VERSION, REQUIRES = {name!r}, {version!r}, {requires!r}


def _row(name, data):
    digest = base64.urlsafe_b64encode(hashlib.sha256(data).digest()).decode().rstrip("=")
    return "%s,sha256=%s,%d\\n" % (name, digest, len(data))


def _write(folder, members, tag):
    stem = NAME.replace("-", "_") + "-" + VERSION
    info = stem + ".dist-info"
    lines = ["Metadata-Version: 2.1", "Name: " + NAME, "Version: " + VERSION]
    lines += ["Requires-Dist: " + line for line in REQUIRES]
    members = dict(members)
    members[info + "/METADATA"] = ("\\n".join(lines) + "\\n").encode()
    members[info + "/WHEEL"] = ("Wheel-Version: 1.0\\nGenerator: t\\nRoot-Is-Purelib: true\\nTag: " + tag + "\\n").encode()
    record = "".join(_row(name, data) for name, data in members.items())
    record += info + "/RECORD,,\\n"
    members[info + "/RECORD"] = record.encode()
    filename = stem + "-" + tag + ".whl"
    with zipfile.ZipFile(os.path.join(folder, filename), "w") as archive:
        for name, data in members.items():
            archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), data)
    return filename


def _modules():
    return {{
        name: open(name, "rb").read()
        for name in sorted(os.listdir("."))
        if name.endswith(".py") and name not in ("backend.py", "setup.py")
    }}


def build_wheel(folder, settings=None, metadata=None):
    members, tag = _modules(), "py3-none-any"
    if os.path.exists("before.sh"):
        exec(open("before.sh").read())
    for name in sorted(os.listdir(".")):
        if name.endswith(".c"):
            suffix = sysconfig.get_config_var("EXT_SUFFIX")
            include = sysconfig.get_path("include")
            target = name[:-2] + suffix
            command = [os.environ.get("CC", "cc"), "-shared", "-fPIC", "-I" + include, name, "-o", target]
            subprocess.run(command, check=True)
            members[target] = open(target, "rb").read()
            tag = "cp%d%d-cp%d%d-linux_x86_64" % (sys.version_info[:2] * 2)
    return _write(folder, members, tag)


def build_editable(folder, settings=None, metadata=None):
    return _write(folder, {{"_" + NAME + ".pth": (os.getcwd() + "\\n").encode()}}, "py3-none-any")
'''
"""The in-tree backend; a `before.sh` of the project is Python that runs first, in the build."""


def project(
    name: str,
    version: str,
    files: Mapping[str, str] = {},
    *,
    requires: tuple[str, ...] = (),
    pyproject: str | None = None,
) -> dict[str, str]:
    """The files of a project that brings its own backend, and `files`."""
    text = pyproject
    if text is None:
        text = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'
    return {
        "pyproject.toml": text,
        "backend.py": BACKEND.format(name=name, version=version, requires=list(requires)),
        **files,
    }


def sdist(name: str, version: str, files: Mapping[str, str]) -> bytes:
    """A `.tar.gz` of `files`, with the `PKG-INFO` that an sdist has; equal files give equal bytes."""
    top = f"{name}-{version}"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n"
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w:gz") as archive:
        for path, text in sorted({"PKG-INFO": metadata, **files}.items()):
            data = text.encode()
            member = tarfile.TarInfo(f"{top}/{path}")
            member.size = len(data)
            archive.addfile(member, io.BytesIO(data))
    return out.getvalue()
