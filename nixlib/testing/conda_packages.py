"""The packages of the tests' channel: one for each thing that conda packages do.

Names are those of nothing real, except where tools go by the name (`mkl`, `blas`, `cuda-version`, `six`).
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterable
from importlib import metadata
from typing import Any

from nixlib.testing.conda_archives import PLACEHOLDER, CondaArchive, make_conda
from nixlib.testing.wheels import make_elf
from nixlib.tree import Node, Regular, Symlink

__all__ = ["hostile_archives", "sound_archives"]

_NEW = 1735689600000  # 2025-01-01 in milliseconds
# Writes the text behind it to its output, and ends: Linux on x86-64.
_WRITE_AND_EXIT = bytes.fromhex(
    "488d3522000000 31d2 803c1600 7405 48ffc2 ebf5b801000000 bf01000000 0f05 b83c000000 31ff 0f05"
)


def sound_archives(python: str, subdir: str) -> list[CondaArchive]:
    """Everything but Python itself.

    Args:
        python: The minor version of the channel's Python.
        subdir: Conda's name of this machine's platform.
    """
    return [
        *_blas(python, subdir),
        *_cuda(python, subdir),
        *_noarch(),
        *_prefixed(subdir),
        *_overlapping(),
        *_solving(),
        *_old(subdir),
    ]


def _module(name: str, version: str, source: str, site: str) -> dict[str, bytes | str]:
    info = f"{site}/{name}-{version}.dist-info"
    return {
        f"{site}/{name}/__init__.py": source,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n",
        f"{info}/INSTALLER": "conda",
        f"{info}/RECORD": f"{name}/__init__.py,,\n{name}-{version}.dist-info/METADATA,,\n",
    }


def _blas(python: str, subdir: str) -> Iterable[CondaArchive]:
    """One package in two builds, chosen by what `blas` is: mkl has the higher number, as upstream."""
    tag, site = f"py{python.replace('.', '')}", f"lib/python{python}/site-packages"
    for number, (flavour, library) in enumerate([("openblas", "libopenblas"), ("mkl", "mkl")]):
        soname = f"lib{library.removeprefix('lib')}.so.1"
        lib = {f"lib/{soname}": make_elf(soname=soname)}
        yield make_conda(library, "2024.1", "h1_0", lib, subdir=subdir)
        yield make_conda(
            "blas", "1.0", flavour, depends=[f"{library} 2024.*"], index={"build_number": number}
        )
        for version, timestamp in (("1.1", None), ("1.2", _NEW)):
            module = f"BLAS = {flavour!r}\n__version__ = {version!r}\nprefix = {PLACEHOLDER!r}\n"
            core = make_elf(run_path="$ORIGIN/../../..", needed=[soname])
            files = _module("arrays", version, module, site) | {f"{site}/arrays/_core.so": core}
            yield make_conda(
                "arrays",
                version,
                f"{tag}_{flavour}_{number}",
                files,
                depends=[f"python {python}.*", f"blas * {flavour}", f"python_abi {python}.*"],
                subdir=subdir,
                index={"purls": ["pkg:pypi/arrays"]}
                | ({"timestamp": timestamp} if timestamp else {}),
            )


def _cuda(python: str, subdir: str) -> Iterable[CondaArchive]:
    """Builds for CUDA 12, CUDA 11 and none, made as conda-forge makes them."""
    tag, site = f"py{python.replace('.', '')}", f"lib/python{python}/site-packages"
    for version in ("11.8", "12.4"):
        yield make_conda("cuda-version", version, "h1_3", constrains=[f"__cuda >={version[:2]}"])
    for build, number, version in (("cuda124", 202, "12.4"), ("cuda118", 201, "11.8")):
        major = int(version[:2])
        yield make_conda(
            "tensors",
            "2.1",
            f"{build}_{tag}_{number}",
            _module("tensors", "2.1", f"DEVICE = 'cuda {version}'\n", site),
            depends=[
                f"python {python}.*",
                f"cuda-version >={version},<{major + 1}",
                f"__cuda >={major}",
            ],
            subdir=subdir,
        )
    yield make_conda(
        "tensors",
        "2.1",
        f"cpu_{tag}_0",
        _module("tensors", "2.1", "DEVICE = 'cpu'\n", site),
        depends=[f"python {python}.*"],
        subdir=subdir,
    )


def _noarch() -> Iterable[CondaArchive]:
    source = (
        "import sys\n\n\ndef main():\n    print('hello from', sys.prefix)\n\n\n"
        "def leave():\n    sys.exit(3)\n"
    )
    for version in ("1.0", "1.1"):
        yield make_conda(
            "greeter",
            version,
            "pyh0_0",
            {
                **_module("greeter", version, source, "site-packages"),
                "site-packages/greeter/data/words.txt": "hello\n",
                "site-packages/greeter/here.py": f"PREFIX = {PLACEHOLDER!r}\n",
                "python-scripts/greet-script": Regular.of(
                    f"#!{PLACEHOLDER}/bin/python\nimport greeter\ngreeter.main()\n".encode(),
                    executable=True,
                ),
                "share/greeter/readme.txt": "of a package for every platform\n",
            },
            depends=["python >=3.8"],
            noarch="python",
            entry_points=["greet = greeter:main", "greet-leave = greeter:leave"],
        )
    six = metadata.distribution("six")
    yield make_conda(
        "six",
        six.version,
        "pyh0_0",
        {
            "site-packages/six.py": str(six.locate_file("six.py").read_text()),
            f"site-packages/six-{six.version}.dist-info/METADATA": six.read_text("METADATA") or "",
            f"site-packages/six-{six.version}.dist-info/INSTALLER": "conda",
            f"site-packages/six-{six.version}.dist-info/RECORD": "six.py,,\n",
        },
        depends=["python"],
        noarch="python",
        index={"purls": ["pkg:pypi/six"]},
    )
    yield make_conda(
        "zones", "2024a", "h0_0", {f"share/zones/Area{n}/{n}.txt": f"{n}\n" for n in range(40)}
    )


def _prefixed(subdir: str) -> Iterable[CondaArchive]:
    """The prefix in a program, in texts, in the first line of scripts; links and folders."""
    yield make_conda(
        "embedded",
        "1.0",
        "h0_0",
        {
            "bin/embedded": Regular.of(
                _program(f"{PLACEHOLDER}/share/embedded\n"), executable=True
            ),
            "bin/embedded-python": Regular.of(
                f"#!{PLACEHOLDER}/bin/python -E\nimport sys\nprint(sys.prefix)\n".encode(),
                executable=True,
            ),
            "bin/embedded-sh": Regular.of(
                f"#!/bin/sh\necho {PLACEHOLDER}\n".encode(), executable=True
            ),
            "etc/embedded.conf": f"home={PLACEHOLDER}/share\nagain={PLACEHOLDER}:{PLACEHOLDER}/lib\n",
            "share/embedded/twice.bin": f"\0{PLACEHOLDER}/a:{PLACEHOLDER}/b\0end".encode(),
            "etc/conda/activate.d/embedded.sh": "export EMBEDDED=1\n",
        },
        subdir=subdir,
    )
    yield make_conda(
        "links",
        "1.0",
        "h0_0",
        {
            "lib/liblinks.so.1.2": make_elf(soname="liblinks.so.1", run_path="$ORIGIN/../lib"),
            "lib/liblinks.so.1": Symlink("liblinks.so.1.2"),
            "lib/liblinks.so": Symlink("liblinks.so.1"),
            "share/links/folder/a.txt": "a\n",
            "share/links/current": Symlink("folder"),
            "share/links/nowhere": Symlink("missing.txt"),
            "bin/links": Symlink("../share/links/run.sh"),
            "share/links/run.sh": Regular.of(b"#!/bin/sh\necho links\n", executable=True),
        },
        subdir=subdir,
    )
    scripts: dict[str, Node] = {
        f"bin/.{name}.sh": Regular.of(b"#!/bin/sh\ntouch $PREFIX/ran\n", executable=True)
        for name in ("scripted-pre-link", "scripted-post-link", "scripted-pre-unlink")
    }
    yield make_conda(
        "scripted", "1.0", "h0_0", {"share/scripted.txt": Regular.of(b"x\n"), **scripts}
    )


def _program(text: str) -> bytes:
    """A program without libraries that writes `text`, which ends with its first NUL."""
    body = _WRITE_AND_EXIT + text.encode() + b"\0"
    size = 64 + 56 + len(body)
    header = b"\x7fELF\x02\x01\x01".ljust(16, b"\0")
    header += struct.pack("<HHIQQQIHHHHHH", 2, 62, 1, 0x400000 + 120, 64, 0, 0, 64, 56, 1, 64, 0, 0)
    return header + struct.pack("<IIQQQQQQ", 1, 5, 0, 0x400000, 0x400000, size, size, 4096) + body


def _overlapping() -> Iterable[CondaArchive]:
    """Three packages that bring one path, and two that bring it alike."""
    for name, depends in (("clobber-a", ()), ("clobber-b", ("clobber-a",)), ("clobber-c", ())):
        yield make_conda(
            name,
            "1.0",
            "h0_0",
            {"share/clobber/common.txt": f"{name}\n", f"share/clobber/{name}.txt": f"{name}\n"},
            depends=depends,
        )
    for name in ("agree-a", "agree-b"):
        yield make_conda(name, "1.0", "h0_0", {"share/agree/common.txt": "the same\n"})


def _solving() -> Iterable[CondaArchive]:
    """What only the solver looks at."""
    record: dict[str, Any] = {"track_features": "slow"}
    yield make_conda("featured", "1.0", "slow_9", {"share/featured.txt": "slow\n"}, index=record)
    yield make_conda("featured", "1.0", "h0_0", {"share/featured.txt": "fast\n"})
    yield make_conda("constrainer", "1.0", "h0_0", constrains=["arrays <1.2"])
    yield make_conda("needs-new-glibc", "1.0", "h0_0", depends=["__glibc >=99"])
    yield make_conda("torn", "1.0", "h0_0", depends=["arrays >=1.2", "constrainer"])


def _old(subdir: str) -> Iterable[CondaArchive]:
    """Archives of the old kind, one of them also as a new one."""
    files: dict[str, bytes | str | Node] = {
        "share/oldest.txt": f"{PLACEHOLDER}\n",
        "share/old/link": Symlink("../oldest.txt"),
    }
    yield make_conda("oldest", "0.9", "h0_0", files, subdir=subdir, suffix=".tar.bz2")
    yield make_conda("both", "1.0", "h0_0", {"share/both.txt": "both\n"}, suffix=".tar.bz2")
    yield make_conda("both", "1.0", "h0_0", {"share/both.txt": "both\n"})


def hostile_archives() -> list[CondaArchive]:
    """Archives that nobody may install; each is named after what is wrong with it."""
    short = "/short_placeholder"
    paths = {"paths": [], "paths_version": 1}
    lying = {
        "_path": "share/x.txt",
        "path_type": "hardlink",
        "sha256": "0" * 64,
        "size_in_bytes": 2,
    }
    prefixed = {
        **lying,
        "_path": "share/x.bin",
        "sha256": None,
        "size_in_bytes": None,
        "file_mode": "binary",
        "prefix_placeholder": short,
    }
    return [
        make_conda("escaping-link", files={"share/out": Symlink("../../../etc/passwd")}),
        make_conda("absolute-link", files={"share/out": Symlink("/etc/passwd")}),
        make_conda("escaping-path", files={"share/../../out.txt": "x"}),
        make_conda("through-link", files={"share/out": Symlink(".."), "share/in.txt": "x"}),
        make_conda(
            "lying-name", files={"share/x.txt": "x\n"}, info={"index.json": '{"name": "another"}'}
        ),
        make_conda(
            "lying-hash",
            files={"share/x.txt": "x\n"},
            info={"paths.json": json.dumps({**paths, "paths": [lying]})},
        ),
        make_conda(
            "missing-file",
            files={"share/y.txt": "x\n"},
            info={"paths.json": json.dumps({**paths, "paths": [lying]})},
        ),
        make_conda(
            "untold-file",
            files={"share/x.txt": "x\n"},
            info={"paths.json": json.dumps(paths), "files": ""},
        ),
        make_conda(
            "short-placeholder",
            files={"share/x.bin": f"\0{short}/lib\0".encode()},
            info={
                "paths.json": json.dumps(
                    {**paths, "paths": [{k: v for k, v in prefixed.items() if v is not None}]}
                )
            },
        ),
        make_conda("no-index", files={"share/x.txt": "x\n"}, info={"index.json": None}),
    ]
