"""The archives of the tests' channel are what conda's own tools take."""

import asyncio
import http.client
import io
import json
import subprocess
import urllib.request
import zipfile

import pytest

from nixlib.testing.conda_archives import PLACEHOLDER, make_conda
from nixlib.testing.conda_channel import local_channel
from nixlib.testing.conda_packages import hostile_archives, sound_archives
from nixlib.testing.fileserver import FileServer, Trouble
from nixlib.tree import Regular, Symlink

FILES = {
    "bin/tool": Regular.of(f"#!{PLACEHOLDER}/bin/python\n".encode(), executable=True),
    "lib/x.bin": f"\0{PLACEHOLDER}\0".encode(),
    "lib/link": Symlink("x.bin"),
}


@pytest.fixture(scope="session")
def channel():
    return local_channel()


def solve(url, cache, *specs, cuda=None):
    import rattler

    overrides = rattler.VirtualPackageOverrides(
        **({"cuda": rattler.Override.string(cuda)} if cuda else {})
    )
    return asyncio.run(
        rattler.solve(
            [rattler.Channel(url)],
            list(specs),
            gateway=rattler.Gateway(cache_dir=cache),
            platforms=["linux-64", "noarch"],
            virtual_packages=rattler.VirtualPackage.detect(overrides=overrides),
        )
    )


def builds(records):
    return {record.name.normalized: str(record.build) for record in records}


def test_equal_arguments_give_equal_bytes():
    assert make_conda("a", files=FILES).data == make_conda("a", files=FILES).data
    assert make_conda("a", suffix=".tar.bz2").data == make_conda("a", suffix=".tar.bz2").data


def test_placeholders_are_found_and_told(tmp_path):
    from rattler import PathsJson

    (tmp_path / "a-1.0-0.conda").write_bytes(make_conda("a", files=FILES).data)
    paths = PathsJson.from_package_archive(tmp_path / "a-1.0-0.conda").paths
    told = {
        str(one.relative_path): one.prefix_placeholder and str(one.prefix_placeholder.file_mode)
        for one in paths
    }
    assert len(PLACEHOLDER) == 255
    assert told["lib/link"] is None
    assert "text" in told["bin/tool"].lower()
    assert "binary" in told["lib/x.bin"].lower()


def test_index_can_be_replaced_and_left_out():
    archive = make_conda("a", index={"timestamp": None, "depends": ["b"]}, info={"files": None})
    with zipfile.ZipFile(io.BytesIO(archive.data)) as inside:
        assert [name for name in inside.namelist() if name.startswith("info-")]
    assert archive.index["depends"] == ["b"]
    assert "timestamp" not in archive.index


def test_names_are_unique_and_hostile_ones_apart():
    names = [archive.filename for archive in sound_archives("3.11", "linux-64")]
    hostile = {archive.filename for archive in hostile_archives()}
    assert len(set(names)) == len(names)
    assert hostile.isdisjoint(names)


def test_channel_has_every_kind_of_repodata(channel):
    for subdir in (channel.subdir, "noarch"):
        for name in ("repodata.json", "repodata.json.zst", "repodata_shards.msgpack.zst"):
            assert (channel.folder / subdir / name).is_file()
    listed = json.loads((channel.folder / "noarch" / "repodata.json").read_text())
    assert "both-1.0-h0_0.tar.bz2" in listed["packages"]
    assert "both-1.0-h0_0.conda" in listed["packages.conda"]


@pytest.mark.parametrize(
    ("specs", "cuda", "expected"),
    [
        (["arrays", "blas * mkl*"], None, {"blas": "mkl"}),
        (["arrays", "blas * openblas"], None, {"blas": "openblas"}),
        (["tensors"], None, {"tensors": "cpu"}),
        (["tensors"], "11.8", {"tensors": "cuda118"}),
        (["tensors"], "12.4", {"tensors": "cuda124"}),
        (["featured"], None, {"featured": "h0_0"}),
        (["arrays", "constrainer"], None, {"constrainer": "h0_0"}),
    ],
)
def test_channel_is_solved_as_it_is_meant(channel, tmp_path, specs, cuda, expected):
    found = builds(solve(channel.url, tmp_path, *specs, cuda=cuda))
    assert {name: found[name].split("_py")[0] for name in expected} == expected


def test_what_cannot_be_solved_has_a_reason(channel, tmp_path):
    from rattler.exceptions import SolverError

    with pytest.raises(SolverError, match="constrainer"):
        solve(channel.url, tmp_path, "torn")


def test_all_of_it_is_installed_together_and_starts(channel, tmp_path):
    import rattler

    names = {archive.index["name"] for archive in sound_archives("3.11", "linux-64")}
    names -= {"torn", "needs-new-glibc", "constrainer", "libopenblas", "cuda-version"}
    records = solve(channel.url, tmp_path / "cache", *names)
    prefix = tmp_path / "prefix"
    asyncio.run(rattler.install(records, prefix, cache_dir=tmp_path / "packages"))
    question = "import ssl, ctypes, zlib, sqlite3, arrays, tensors, greeter; print(arrays.BLAS)"
    said = [
        subprocess.run(argv, capture_output=True, text=True, check=True, env={}).stdout.strip()
        for argv in (
            [prefix / "bin/python", "-c", question],
            [prefix / "bin/greet"],
            [prefix / "bin/embedded"],
            [prefix / "bin/embedded-python"],
        )
    ]
    assert said == ["mkl", f"hello from {prefix}", f"{prefix}/share/embedded", f"{prefix}"]


def test_server_answers_conditional_requests_with_nothing(channel, tmp_path):
    with FileServer(channel.files()) as server:
        for _ in range(2):
            solve(server.url("").rstrip("/"), tmp_path, "zones")
        shards = f"{channel.subdir}/repodata_shards.msgpack.zst"
        assert (server.asked[shards], server.unchanged[shards]) == (2, 1)


def test_server_can_send_half_of_it():
    # Not through `rattler`: it tries again for five seconds.
    with (
        FileServer(
            {"repodata.json": b"{}" * 99}, {"repodata.json": [Trouble(cut_after=9)]}
        ) as server,
        urllib.request.urlopen(server.url("repodata.json")) as answer,
        pytest.raises(http.client.IncompleteRead),
    ):
        answer.read()


def test_server_asks_for_a_login(tmp_path):
    from rattler.exceptions import GatewayError

    with (
        FileServer({"noarch/repodata.json": b"{}"}, login="Bearer t0k3n") as server,
        pytest.raises(GatewayError),
    ):
        solve(server.url("").rstrip("/"), tmp_path, "a")
