import bz2
import io
import json
import os
import shutil
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest
from conda_prefixes import locked

from nixlib.conda.archive import check_identity, read_archive
from nixlib.conda.facts import EntryPoint, Placeholder, parse_conda_facts
from nixlib.errors import CondaArchiveError, StoreError
from nixlib.nar import nar_hash
from nixlib.testing.conda_archives import PLACEHOLDER, compress_zstd, make_conda
from nixlib.testing.conda_packages import hostile_archives
from nixlib.tree import Directory, Regular, Symlink, walk


def read(archive, scratch, data=None, filename=None):
    return read_archive(
        archive.data if data is None else data, filename or archive.filename, scratch=scratch
    )


def refused(scratch, data, filename="a-1.0-0.conda"):
    with pytest.raises(CondaArchiveError) as caught:
        read_archive(data, filename, scratch=scratch)
    assert caught.value.archive == filename
    assert filename in caught.value.summary
    assert list(scratch.iterdir()) == []
    return caught.value


def paths_of(tree):
    return {path for path, node in walk(tree) if not isinstance(node, Directory)}


def tar_of(*members):
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w") as archive:
        for info, data in members:
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return out.getvalue()


def file(name, data=b"x"):
    return tarfile.TarInfo(name), data


def dot_conda(**members):
    """A `.conda` of any members; those of an honest one where nothing else is said."""
    index = {"name": "a", "version": "1.0", "build": "0", "build_number": 0, "subdir": "noarch"}
    paths = [{"_path": "x", "path_type": "hardlink", "size_in_bytes": 1}]
    info = {"index": index, "paths": {"paths": paths, "paths_version": 1}}
    told = [file(f"info/{name}.json", json.dumps(value).encode()) for name, value in info.items()]
    honest = {
        "metadata.json": b'{"conda_pkg_format_version": 2}',
        "info-a-1.0-0.tar.zst": compress_zstd(tar_of(*told)),
        "pkg-a-1.0-0.tar.zst": compress_zstd(tar_of(file("x"))),
    }
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w") as archive:
        for name, data in {**honest, **members}.items():
            if data is not None:
                archive.writestr(name, data)
    return out.getvalue()


def pkg(*members):
    return dot_conda(**{"pkg-a-1.0-0.tar.zst": compress_zstd(tar_of(*members))})


def with_paths(files, entries, **more):
    claims = json.dumps({"paths": entries, "paths_version": 1})
    return make_conda("a", files=files, info={"paths.json": claims}, **more).data


@pytest.mark.parametrize("suffix", [".conda", ".tar.bz2"])
def test_both_formats_give_the_same_tree(suffix, tmp_path):
    files = {"lib/x.py": "x", "bin/run": Regular.of(b"#!", executable=True), "lib/y": Symlink("x")}
    archive = make_conda("a", files=files, suffix=suffix)
    found = read(archive, tmp_path)
    assert {path for path in paths_of(found.tree) if not path.startswith("info/")} == {
        *files,
        "nixenv.json",
    }
    other = read(make_conda("a", files=files), tmp_path)
    assert nar_hash(found.tree) == nar_hash(other.tree)
    assert found.warnings == ()


def test_facts_tell_what_files_would(tmp_path):
    files = {
        "site-packages/g/__init__.py": "",
        "site-packages/g/where.py": f"{PLACEHOLDER}/lib",
        "site-packages/g/data.bin": f"\0{PLACEHOLDER}/lib\0".encode(),
        "python-scripts/.g-post-link.sh": "touch $PREFIX/x\n",
        "share/a": Symlink("../bin"),
    }
    archive = make_conda(
        "g", files=files, noarch="python", entry_points=["g = g.cli:App.main"], depends=["python"]
    )
    facts = read(archive, tmp_path).facts
    assert facts.noarch == "python"
    assert facts.depends == ("python",)
    assert facts.patched == {
        "site-packages/g/where.py": Placeholder("text", PLACEHOLDER),
        "site-packages/g/data.bin": Placeholder("binary", PLACEHOLDER),
    }
    assert facts.links == {"share/a": "../bin"}
    assert facts.real == {"share": ("bin",), "site-packages": ("",), "site-packages/g": ("",)}
    assert facts.entry_points == (EntryPoint("g", "g.cli", "App.main"),)
    assert facts.link_scripts == {"python-scripts/.g-post-link.sh": "touch $PREFIX/x"}
    assert parse_conda_facts(facts.to_bytes()) == facts


def test_programs_are_copied_and_libraries_are_not(tmp_path):
    program = Path(shutil.which("true")).resolve().read_bytes()
    facts = read(make_conda("a", files={"bin/true": program, "share/x": "x"}), tmp_path).facts
    assert facts.copied == ("bin/true",)
    assert facts.real == {"bin": ("",)}


def test_facts_of_a_newer_layout_are_refused():
    with pytest.raises(StoreError):
        parse_conda_facts(b'{"layout": 2, "name": "a"}')


def test_placeholder_that_is_nowhere_needs_no_patch(tmp_path):
    entry = {"_path": "x", "path_type": "hardlink", "file_mode": "text"}
    data = with_paths({"x": "no\n"}, [{**entry, "prefix_placeholder": PLACEHOLDER}])
    assert read_archive(data, "a-1.0-0.conda", scratch=tmp_path).facts.patched == {}


def test_package_of_before_paths_json_is_read(tmp_path):
    archive = make_conda(
        "old",
        files={
            "bin/x": f"#!{PLACEHOLDER}/bin/sh\n",
            "bin/y z": "#!/opt/anaconda1anaconda2anaconda3\n",
        },
        suffix=".tar.bz2",
        info={"paths.json": None, "has_prefix": f'{PLACEHOLDER} text bin/x\n"bin/y z"\n'},
    )
    facts = read(archive, tmp_path).facts
    assert facts.patched == {
        "bin/x": Placeholder("text", PLACEHOLDER),
        "bin/y z": Placeholder("text", "/opt/anaconda1anaconda2anaconda3"),
    }


def test_empty_folders_are_kept(tmp_path):
    found = read(make_conda("a", files={"var/run": Directory({})}), tmp_path)
    assert ("var/run", Directory({})) in list(walk(found.tree))


def test_files_that_info_does_not_tell_of_are_left_out(tmp_path):
    data = pkg(file("x"), file("y"))
    found = read_archive(data, "a-1.0-0.conda", scratch=tmp_path)
    assert "y" not in found.tree.entries
    assert "y" in found.warnings[0]


def test_second_stream_of_a_packed_tar_is_read(tmp_path):
    """`pbzip2` and `lbzip2` make several."""
    archive = make_conda("a", files={"x": os.urandom(5000).hex()}, suffix=".tar.bz2")
    tar = bz2.decompress(archive.data)
    data = b"".join(bz2.compress(tar[at : at + 3000]) for at in range(0, len(tar), 3000))
    assert nar_hash(read(archive, tmp_path, data).tree) == nar_hash(read(archive, tmp_path).tree)


def test_large_file_is_never_whole_in_memory(tmp_path):
    found = read(make_conda("a", files={"x": bytes(5 << 20)}), tmp_path)
    node = found.tree.entries["x"]
    assert max(map(len, node.read())) <= 1 << 20


HOSTILE = {
    "nothing": (b"", ""),
    "no zip": (b"PK\5\6" + b"x" * 100, ""),
    "no metadata": (dot_conda(**{"metadata.json": None}), "metadata.json"),
    "another format": (
        dot_conda(**{"metadata.json": b'{"conda_pkg_format_version": 3}'}),
        "metadata.json",
    ),
    "metadata no JSON": (dot_conda(**{"metadata.json": b"[" * 50000}), "metadata.json"),
    "no files": (dot_conda(**{"pkg-a-1.0-0.tar.zst": None}), "pkg-a-1.0-0.tar.zst"),
    "files of another": (
        dot_conda(**{"pkg-b-1.0-0.tar.zst": b"x"}),
        "pkg-b-1.0-0.tar.zst",
    ),
    "no zstd": (dot_conda(**{"pkg-a-1.0-0.tar.zst": b"x" * 100}), ""),
    "zstd cut off": (
        dot_conda(**{"pkg-a-1.0-0.tar.zst": compress_zstd(os.urandom(10000))[:5000]}),
        "",
    ),
    "no tar": (dot_conda(**{"pkg-a-1.0-0.tar.zst": compress_zstd(b"x" * 2000)}), ""),
    "tar cut off": (
        dot_conda(**{"pkg-a-1.0-0.tar.zst": compress_zstd(tar_of(file("x", bytes(9999)))[:2000])}),
        "x",
    ),
    "tar of nothing": (dot_conda(**{"pkg-a-1.0-0.tar.zst": compress_zstd(b"")}), ""),
    "file twice": (pkg(file("x"), file("x")), "x"),
    "file and folder": (with_paths({"x/y": "1"}, [{"_path": "x"}, {"_path": "x/y"}]), "x"),
    "info among files": (pkg(file("x"), file("info/index.json", b"{}")), "info/index.json"),
    "our name": (
        with_paths({"nixenv.json": "{}"}, [{"_path": "nixenv.json"}]),
        "info/paths.json",
    ),
    "wrong size": (pkg(file("x", b"xx")), "x"),
    "named twice": (with_paths({"x": "1"}, [{"_path": "x"}, {"_path": "x"}]), "info/paths.json"),
    "paths no JSON": (make_conda("a", info={"paths.json": "{"}).data, "info/paths.json"),
    "paths a list": (make_conda("a", info={"paths.json": "[]"}).data, "info/paths.json"),
    "no paths": (make_conda("a", info={"paths.json": None, "files": None}).data, "info/paths.json"),
    "hash no hash": (with_paths({"x": "1"}, [{"_path": "x", "sha256": "x"}]), "info/paths.json"),
    "link told as file": (
        with_paths({"x": Symlink("y")}, [{"_path": "x", "path_type": "hardlink"}]),
        "x",
    ),
    "file told as link": (
        with_paths({"x": "1"}, [{"_path": "x", "path_type": "softlink"}]),
        "x",
    ),
    "another build": (make_conda("a", index={"build": "1"}).data, "info/index.json"),
    "build number a text": (make_conda("a", index={"build_number": "1"}).data, "info/index.json"),
    "version with a slash": (make_conda("a", index={"version": "../1"}).data, "info/index.json"),
    "entry point with a path": (
        make_conda("a", noarch="python", entry_points=["../x = a:b"]).data,
        "info/link.json",
    ),
    "entry point with code": (
        make_conda("a", noarch="python", entry_points=["x = a:b;import os"]).data,
        "info/link.json",
    ),
    **{
        f"path {path!r}": (with_paths({}, [{"_path": path}]), "info/paths.json")
        for path in (
            "",
            "/x",
            "../x",
            "a/../x",
            "a//x",
            "./x",
            "a\\x",
            "a\nx",
            "a\0x",
            "x/",
            "a" * 300,
        )
    },
}


@pytest.mark.parametrize(("data", "member"), HOSTILE.values(), ids=HOSTILE.keys())
def test_hostile_archive_is_refused_by_name(data, member, tmp_path):
    assert refused(tmp_path, data).member == member


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.FIFOTYPE, tarfile.LNKTYPE])
def test_only_files_folders_and_links_are_unpacked(kind, tmp_path):
    member = tarfile.TarInfo("x")
    member.type, member.linkname = kind, "nowhere"
    assert refused(tmp_path, pkg((member, b""))).member == "x"


@pytest.mark.parametrize(
    "target", ["", "/etc/passwd", "..", "../../x", "a/../../x", f"{PLACEHOLDER}/x"]
)
def test_link_out_of_the_prefix_is_refused(target, tmp_path):
    files = {"lnk": Symlink(target or "x")}
    data = make_conda("a", files=files).data
    if not target:
        member = tarfile.TarInfo("lnk")
        member.type = tarfile.SYMTYPE
        data = dot_conda(
            **{
                "pkg-a-1.0-0.tar.zst": compress_zstd(tar_of((member, b""))),
                "info-a-1.0-0.tar.zst": compress_zstd(_info("lnk", "softlink")),
            }
        )
    assert refused(tmp_path, data).member == "lnk"


def _info(path, kind):
    index = {"name": "a", "version": "1.0", "build": "0"}
    told = {"index": index, "paths": {"paths": [{"_path": path, "path_type": kind}]}}
    return tar_of(*(file(f"info/{k}.json", json.dumps(v).encode()) for k, v in told.items()))


def test_link_is_seen_from_where_it_will_be(tmp_path):
    """From lib/python3.X/site-packages three folders lead up, from site-packages only one."""
    files = {"site-packages/x": Symlink("../../../share/x")}
    found = read(make_conda("a", files=files, noarch="python"), tmp_path)
    assert found.facts.links == {"site-packages/x": "../../../share/x"}


def test_archive_that_unpacks_beyond_reason_is_stopped(tmp_path):
    refused(tmp_path, make_conda("a", files={"x": bytes(300 << 20)}).data)


def test_file_of_another_hash_is_refused(tmp_path):
    data = with_paths({"x": "1"}, [{"_path": "x", "sha256": "0" * 64, "size_in_bytes": 1}])
    assert refused(tmp_path, data).member == "x"


SOUND_ENOUGH = {"through-link", "untold-file", "short-placeholder"}
"""A link may lead to the prefix itself; the others show in a warning, and when a prefix is planned."""


@pytest.mark.parametrize("archive", hostile_archives(), ids=lambda archive: archive.index["name"])
def test_hostile_archive_of_the_channel_is_refused(archive, tmp_path):
    if archive.index["name"] in SOUND_ENOUGH:
        read(archive, tmp_path)
    else:
        refused(tmp_path, archive.data, archive.filename)


def test_half_a_surrogate_pair_is_no_path(tmp_path):
    """JSON can say it, and so can a tar: `\\udc80` is how Python reads a byte that is not UTF-8."""
    assert refused(tmp_path, with_paths({}, [{"_path": "\udc80"}])).member == "info/paths.json"
    link = tarfile.TarInfo("lnk")
    link.type, link.linkname = tarfile.SYMTYPE, "\udc80"
    half = {
        "pkg-a-1.0-0.tar.zst": compress_zstd(tar_of((link, b""))),
        "info-a-1.0-0.tar.zst": compress_zstd(_info("lnk", "softlink")),
    }
    assert refused(tmp_path, dot_conda(**half)).member == "lnk"


def test_facts_are_written_whatever_the_archive_says(tmp_path):
    archive = make_conda("a", depends=["b \udc80"])
    facts = read(archive, tmp_path).facts
    assert parse_conda_facts(facts.to_bytes()) == facts


@pytest.mark.parametrize("name", ["a-1.0-0.zip", "a.conda", "x/a-1.0-0.conda", "b-1.0-0.conda"])
def test_archive_of_another_name_is_refused(name, tmp_path):
    refused(tmp_path, dot_conda(), name)


def test_archive_that_the_lock_does_not_mean_is_refused(tmp_path):
    archive = make_conda("a")
    facts = read(archive, tmp_path).facts
    package = locked(archive)
    check_identity(facts, package)
    with pytest.raises(CondaArchiveError) as caught:
        check_identity(facts, replace(package, build="1"))
    assert caught.value.archive == archive.filename
