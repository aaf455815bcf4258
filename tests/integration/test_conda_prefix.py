"""A conda prefix is what rattler makes of the same packages, file by file, and works."""

import shutil
import subprocess
import sys

import pytest
from conda_prefixes import archive_of, imported, installed, laid_out, plan_of, seen
from daemons import chroot_store, needs_nix, open_dir  # noqa: F401

from nixlib.conda.building import build_prefix, prefix_derivation
from nixlib.conda.listing import PrefixListing
from nixlib.conda.prefix import plan_prefix
from nixlib.errors import CondaArchiveError
from nixlib.settings import Settings
from nixlib.store import open_store
from nixlib.testing.conda_archives import PLACEHOLDER, make_conda
from nixlib.testing.conda_channel import local_channel
from nixlib.testing.conda_packages import hostile_archives
from nixlib.testing.memory_store import MemoryStore
from nixlib.tree import Regular
from nixlib.workshop.workshop import open_workshop

needs_cc = pytest.mark.skipif(shutil.which("cc") is None, reason="there is no C compiler")

EVERYTHING = (
    "agree-a-1.0-h0_0.conda",
    "agree-b-1.0-h0_0.conda",
    "arrays-1.2-{py}_mkl_1.conda",
    "blas-1.0-mkl.conda",
    "both-1.0-h0_0.tar.bz2",
    "clobber-a-1.0-h0_0.conda",
    "clobber-b-1.0-h0_0.conda",
    "clobber-c-1.0-h0_0.conda",
    "embedded-1.0-h0_0.conda",
    "greeter-1.1-pyh0_0.conda",
    "links-1.0-h0_0.conda",
    "mkl-2024.1-h1_0.conda",
    "oldest-0.9-h0_0.tar.bz2",
    "python-{version}-h0_0_cpython.conda",
    "scripted-1.0-h0_0.conda",
    "tensors-2.1-cpu_{py}_0.conda",
    "zones-2024a-h0_0.conda",
)


@pytest.fixture(scope="module")
def everything():
    """Archives of the tests' channel that fit together."""
    channel = local_channel()
    minor = channel.python.split(".")[1]
    names = {"py": f"py3{minor}", "version": channel.python}
    found = channel.archives()
    return [archive_of(found[name.format(**names)]) for name in EVERYTHING]


@pytest.fixture
def scratch(tmp_path):
    folder = tmp_path / "scratch"
    folder.mkdir()
    return folder


def out_of(folder, store, plan):
    """A place for a prefix beside what it is made of."""
    place = store.physical(plan.inputs[0]).parent
    return place / f"{'0' * 32}-{folder}"


def compare(archives, scratch, name="conda-prefix"):
    """Both ways of installing, with the same path written into the files."""
    store = MemoryStore()
    plan = plan_of(archives, store, scratch)
    ours = laid_out(plan, store, out_of(name, store, plan))
    theirs = installed(archives, scratch / "theirs", ours)
    return seen(ours), seen(theirs)


def differences(ours, theirs):
    return sorted(path for path in {*ours, *theirs} if ours.get(path) != theirs.get(path))


def test_prefix_of_the_channel_equals_rattlers(everything, scratch):
    ours, theirs = compare(everything, scratch)
    assert differences(ours, theirs) == []
    assert len(ours) > 200


def test_long_prefix_equals_rattlers(everything, scratch):
    """Too long for the kernel's first lines, and not for any placeholder."""
    ours, theirs = compare(everything, scratch, "x" * 140)
    assert differences(ours, theirs) == []
    assert ours["bin/greet"][2].startswith(b"#!/bin/sh\n'''exec' ")


ODD = {
    "first line without newline": {"bin/x": f"#!{PLACEHOLDER}/bin/perl -w\n"},
    "first line not UTF-8": {"bin/x": f"#!{PLACEHOLDER}/bin/sh ".encode() + b"\xff\xfe\xe2\n1\n"},
    "first line with spaces": {"bin/x": f"#!   {PLACEHOLDER}/bin/python3.11 -E -s\nprint()\n"},
    "first line long without placeholder": {
        "bin/x": f"#!/usr/bin/{'x' * 200}/python\n{PLACEHOLDER}\n"
    },
    "carriage returns": {"bin/x": f"#!{PLACEHOLDER}/bin/python\r\n{PLACEHOLDER}\r\n"},
    "twice in one string": {"lib/x": f"\0{PLACEHOLDER}:{PLACEHOLDER}/a\0\1{PLACEHOLDER}".encode()},
    "string without end": {"lib/x": b"\0\1" + PLACEHOLDER.encode()},
    "empty files and folders deep down": {"a/b/c/d": "", "a/b/e": ""},
    "odd names": {"share/ä b\u2028%$'\"": "x", "share/-rf": "y", "share/~": "z"},
}


@pytest.mark.parametrize("name", ["conda-prefix", "x" * 140], ids=["short", "long"])
@pytest.mark.parametrize("files", ODD.values(), ids=ODD.keys())
def test_odd_files_equal_rattlers(files, name, scratch):
    ours, theirs = compare([make_conda("odd", files=files, subdir="linux-64")], scratch, name)
    assert differences(ours, theirs) == []
    assert ours


def compiled(folder, name, source, *flags):
    """What the C compiler makes of a source."""
    out, text = folder / name, folder / f"{name}.c"
    text.write_text(source)
    subprocess.run(["cc", "-o", out, text, *flags], check=True)
    return Regular.of(out.read_bytes(), executable=True)


@needs_cc
def test_libraries_find_their_neighbours_and_programs_themselves(scratch):
    library = ("-shared", "-fPIC", "-Wl,--enable-new-dtags", f"-L{scratch}")
    neighbour = compiled(scratch, "libnext.so", "int next(void) { return 7; }", *library)
    source = "int next(void); int answer(void) { return next(); }"

    def module(run_path):
        return compiled(scratch, "m.so", source, *library, "-lnext", f"-Wl,-rpath,{run_path}")

    program = compiled(
        scratch,
        "where",
        "#include <stdio.h>\n#include <unistd.h>\n"
        'int main(void) { char p[4096] = ""; readlink("/proc/self/exe", p, 4095); puts(p); }',
    )
    archives = [
        make_conda("next", files={"lib/libnext.so": neighbour}, subdir="linux-64"),
        # needs the library of another package, which no other folder of its own is beside
        make_conda(
            "far", files={"lib/far/m.so": module("$ORIGIN/.."), "lib/far/x": ""}, subdir="linux-64"
        ),
        # needs one of its own, in a folder beside, as the tools make them that repair wheels
        make_conda(
            "near",
            files={
                "lib/deep/near/m.so": module("$ORIGIN/../near.libs"),
                "lib/deep/near.libs/libnext.so": neighbour,
            },
            subdir="linux-64",
        ),
        # the same, but of that folder another package has a part: so does this one's
        make_conda(
            "torn",
            files={
                "lib/deep/torn/m.so": module("$ORIGIN/../torn.libs"),
                "lib/deep/torn.libs/other.so": "",
            },
            subdir="linux-64",
        ),
        make_conda("rest", files={"lib/deep/torn.libs/libnext.so": neighbour}, subdir="linux-64"),
        make_conda("prog", files={"bin/where": program}, subdir="linux-64"),
    ]
    store = MemoryStore()
    plan = plan_of(archives, store, scratch)
    prefix = laid_out(plan, store, out_of("conda-prefix", store, plan))
    for name in ("lib/far", "lib/deep/near", "lib/deep/torn"):
        said = subprocess.run(
            [sys.executable, "-c", CALL, str(prefix / name / "m.so")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout == "7\n"
    assert (prefix / "lib/deep/near").is_symlink()
    assert not (prefix / "lib/deep/torn").is_symlink()
    assert (prefix / "lib/far/x").is_symlink()
    said = subprocess.run([prefix / "bin/where"], capture_output=True, text=True, check=True)
    assert said.stdout.strip() == str(prefix / "bin/where")


CALL = "import ctypes, sys; print(ctypes.CDLL(sys.argv[1]).answer())"


def test_plan_does_not_depend_on_the_order_of_packages(everything, scratch):
    store = MemoryStore()
    packages = [imported(archive, store, scratch) for archive in everything]
    assert plan_prefix(packages) == plan_prefix(packages[::-1])


@needs_nix
@pytest.mark.daemon
def test_prefix_out_of_nix_runs_and_knows_where_it_is(everything, scratch, chroot_store):  # noqa: F811
    settings = Settings(scratch / "cache", scratch / "state")
    with open_store(str(chroot_store)) as store:
        workshop = open_workshop(store, settings)
        plan = plan_of(everything, store, scratch)
        events = []
        path = build_prefix(plan, workshop, on_event=events.append)
        assert build_prefix(plan, workshop) == path
        prefix = store.physical(path)
        said = subprocess.run(
            [prefix / "bin" / "python", "-c", "import arrays, sys; print(arrays.BLAS, sys.prefix)"],
            capture_output=True,
            text=True,
            check=True,
        )
        assert said.stdout.split() == ["mkl", str(prefix)]
        greeting = subprocess.run([prefix / "bin" / "greet"], capture_output=True, check=True)
        assert str(prefix).encode() in greeting.stdout
        info = store.query_path_info(path)
        assert set(info.references) >= {p for p in plan.inputs if "zones" in p.name}
        assert any("post-link" in event.text for event in events)
        linked = {entry.name: entry for entry in (prefix / "share").iterdir() if entry.is_symlink()}
        kinds = PrefixListing(prefix).children("share")
        assert {kinds[name] for name, entry in linked.items() if entry.is_dir()} == {"dir"}
        theirs = installed(everything, scratch / "theirs", prefix)
        assert differences(seen(prefix), seen(theirs)) == []


@needs_nix
@pytest.mark.daemon
def test_placeholder_without_room_is_refused_by_name(scratch, chroot_store):  # noqa: F811
    (archive,) = (a for a in hostile_archives() if a.index["name"] == "short-placeholder")
    with open_store(str(chroot_store)) as store:
        workshop = open_workshop(store, Settings(scratch / "cache", scratch / "state"))
        plan = plan_of([archive], store, scratch)
        with pytest.raises(CondaArchiveError) as caught:
            prefix_derivation(plan, workshop)
    assert caught.value.archive == archive.filename
    assert caught.value.member == "share/x.bin"


def test_conda_and_rattler_know_what_is_installed(everything, scratch):
    from rattler import PrefixRecord

    store = MemoryStore()
    plan = plan_of(everything, store, scratch)
    prefix = laid_out(plan, store, out_of("conda-prefix", store, plan))
    found = {
        PrefixRecord.from_path(path).name.normalized
        for path in (prefix / "conda-meta").glob("*.json")
    }
    assert found == {archive.index["name"] for archive in everything}
    assert (prefix / "conda-meta" / "history").exists()
