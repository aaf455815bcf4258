"""What is chosen, by the real solver, out of channels on disk."""

from dataclasses import replace

import pytest
from conda_records import ask, chosen, record, settings_in, write_records

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError, RealisationCancelledError, SpecError
from nixlib.lock.conda import LockedConda, parse_conda
from nixlib.progress import Progress
from nixlib.resolvers.conda.channels import located
from nixlib.resolvers.conda.resolve import names_in_channels

LINUX, ARM, MAC = "x86_64-linux", "aarch64-linux", "aarch64-darwin"
MARCH_2024 = 1709251200000


@pytest.fixture(autouse=True)
def nobodys_home(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("RATTLER_AUTH_FILE", "CONDARC", "NETRC", "CONDA_OVERRIDE_CUDA"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def channel(tmp_path):
    """Two makes of one package, three of another, a chain, and Python."""
    return write_records(
        tmp_path / "channel",
        record("python", "3.11.7", "h0_cpython"),
        record("python", "3.12.1", "h0_cpython"),
        record("blas", "1.0", "mkl"),
        record("blas", "1.0", "openblas"),
        record("arrays", "1.2", "py311_mkl_0", depends=["blas * mkl", "python >=3.11,<3.12"]),
        record(
            "arrays",
            "1.2",
            "py311_openblas_1",
            number=1,
            depends=["blas * openblas", "python >=3.11,<3.12"],
        ),
        record("tensors", "2.0", "cuda124_0", number=200, depends=["__cuda >=12"]),
        record("tensors", "2.0", "cuda118_0", number=100, depends=["__cuda >=11"]),
        record("tensors", "2.0", "cpu_0"),
        record("models", "1.0", "h0_0", depends=["tensors >=2", "arrays"]),
        record("low", "1.0"),
        record("low", "2.0", time=MARCH_2024),
        record("high", "1.0", depends=["low >=1"]),
        record("tool", "1.0", subdir="noarch", noarch="generic"),
        record("tool", "1.1", subdir="noarch", noarch="generic", time=MARCH_2024),
    )


def test_highest_build_number_wins_where_nobody_chooses(channel, tmp_path):
    assert chosen(ask(tmp_path, [channel], "arrays *"))["arrays"] == ("1.2", "py311_openblas_1")


@pytest.mark.parametrize("make", ["mkl", "openblas"])
def test_blas_variant_chooses_the_make_of_everything(channel, tmp_path, make):
    found = chosen(ask(tmp_path, [channel], "models *", variants={"blas": make}))
    assert found["blas"] == ("1.0", make)
    assert make in found["arrays"][1]


@pytest.mark.parametrize(
    ("choice", "build"),
    [("12.4", "cuda124_0"), ("12.8", "cuda124_0"), ("11.8", "cuda118_0"), (None, "cpu_0")],
)
def test_cuda_variant_chooses_the_build_and_is_recorded(channel, tmp_path, choice, build):
    found = ask(tmp_path, [channel], "models *", variants={"cuda": choice})
    assert chosen(found)["tensors"] == ("2.0", build)
    cuda = [item for item in found.conda.virtual[LINUX] if item.startswith("__cuda")]
    assert cuda == ([f"__cuda={choice}"] if choice else [])
    assert found.conda.needs == ({LINUX: (f"__cuda >={choice[:2]}",)} if choice else {})


def test_machine_decides_where_no_variant_does(channel, tmp_path, monkeypatch):
    monkeypatch.setenv("CONDA_OVERRIDE_CUDA", "12.2")
    found = ask(tmp_path, [channel], "tensors *")
    assert chosen(found)["tensors"] == ("2.0", "cuda124_0")
    assert "__cuda=12.2" in found.conda.virtual[LINUX]


def test_author_who_names_a_build_has_chosen(channel, tmp_path):
    found = ask(tmp_path, [channel], "tensors * cpu*", variants={"cuda": "12.4"})
    assert chosen(found)["tensors"] == ("2.0", "cpu_0")


def test_older_version_is_right_where_only_it_has_the_choice(tmp_path):
    channel = write_records(
        tmp_path / "channel",
        record("nets", "1.0", "cuda124_0", depends=["__cuda >=12"]),
        record("nets", "1.0", "cpu_0"),
        record("nets", "2.0", "cuda130_0", depends=["__cuda >=13"]),
        record("nets", "2.0", "cpu_0"),
    )
    found = ask(tmp_path, [channel], "nets *", variants={"cuda": "12.4"})
    assert chosen(found) == {"nets": ("1.0", "cuda124_0")}


def test_version_without_the_choice_is_right_where_it_is_all_there_is(tmp_path):
    channel = write_records(
        tmp_path / "channel",
        record("nets", "1.0", "py_0"),
        record("nets", "2.0", "mkl_0"),
        record("nets", "2.0", "openblas_0"),
        record("needs", "1.0", depends=["nets <2"]),
    )
    found = ask(tmp_path, [channel], "needs *", variants={"blas": "mkl"})
    assert chosen(found)["nets"] == ("1.0", "py_0")


@pytest.mark.parametrize(("priority", "version"), [("strict", "1.0"), ("flexible", "1.0")])
def test_first_channel_wins_with_either_priority(tmp_path, priority, version):
    first = write_records(tmp_path / "first", record("a", "1.0"))
    second = write_records(tmp_path / "second", record("a", "2.0"))
    found = ask(tmp_path, [first, second], "a *", channel_priority=priority)
    assert chosen(found)["a"][0] == version
    assert chosen(ask(tmp_path, [first, second], f"{second}::a *"))["a"][0] == "2.0"


def test_flexible_priority_lets_a_later_channel_have_what_an_earlier_has_not(tmp_path):
    first = write_records(tmp_path / "first", record("a", "1.0"))
    second = write_records(tmp_path / "second", record("a", "2.0"), record("b", depends=["a >=2"]))
    found = ask(tmp_path, [first, second], "b *", channel_priority="flexible")
    assert chosen(found)["a"] == ("2.0", "h0_0")
    assert {p.name: p.channel for p in found.conda.packages} == {"a": second, "b": second}


def test_channel_that_only_a_requirement_names_is_asked_last(tmp_path):
    first = write_records(tmp_path / "first", record("a", "1.0"))
    second = write_records(tmp_path / "second", record("a", "2.0"), record("b"))
    found = ask(tmp_path, [first], "a *", f"{second}::b *")
    assert chosen(found) == {"a": ("1.0", "h0_0"), "b": ("1.0", "h0_0")}
    assert found.conda.channels == (first, second)


def test_tracked_features_come_last_and_constrains_bind(tmp_path):
    channel = write_records(
        tmp_path / "channel",
        record("a", "1.0", "slow_9", number=9, track_features="slow"),
        record("a", "1.0", "h0_0"),
        record("b", constrains=["c <2"]),
        record("c", "1.0"),
        record("c", "2.0"),
    )
    assert chosen(ask(tmp_path, [channel], "a *", "b *", "c *")) == {
        "a": ("1.0", "h0_0"),
        "b": ("1.0", "h0_0"),
        "c": ("1.0", "h0_0"),
    }


def test_nothing_is_newer_than_the_cutoff(channel, tmp_path):
    assert chosen(ask(tmp_path, [channel], "tool *"))["tool"][0] == "1.1"
    found = ask(tmp_path, [channel], "tool *", exclude_newer="2024-02-29")
    assert chosen(found)["tool"][0] == "1.0"
    assert found.notes == ()
    found = ask(tmp_path, [channel], "tool *", exclude_newer="2024-03-01")
    assert chosen(found)["tool"][0] == "1.1"


def test_channel_without_times_is_exempt_and_that_is_said(tmp_path):
    channel = write_records(tmp_path / "channel", record("a", time=None), record("b"))
    found = ask(tmp_path, [channel], "a *", "b *", exclude_newer="2021-01-01")
    assert sorted(chosen(found)) == ["a", "b"]
    assert found.notes == ("not held to 2021-01-01, because their channel tells no times: `a`",)


def test_only_what_is_asked_for_moves(channel, tmp_path):
    old = ask(tmp_path, [channel], "high *", "tool *", exclude_newer="2021-01-01").conda
    assert chosen(ask(tmp_path, [channel], "high *", "tool *"))["low"][0] == "2.0"

    grown = chosen(ask(tmp_path, [channel], "high *", "tool *", "arrays *", previous=old))
    assert (grown["low"][0], grown["tool"][0]) == ("1.0", "1.0")
    assert "arrays" in grown

    moved = ask(tmp_path, [channel], "high *", "tool *", previous=old, upgrade=frozenset({"low"}))
    assert (chosen(moved)["low"][0], chosen(moved)["tool"][0]) == ("2.0", "1.0")
    asked = chosen(ask(tmp_path, [channel], "high *", "tool >=1.1|>1.1", previous=old))
    assert (asked["low"][0], asked["tool"][0]) == ("1.0", "1.1")
    everything = chosen(ask(tmp_path, [channel], "high *", "tool *", previous=old, upgrade="all"))
    assert (everything["low"][0], everything["tool"][0]) == ("2.0", "1.1")


@pytest.mark.parametrize("name", ["py_low.x", "py-low-x", "lows"])
def test_a_name_may_move_by_what_anybody_calls_it(tmp_path, name):
    channel = write_records(
        tmp_path / "channel",
        record("py_low.x", "1.0", purls=["pkg:pypi/lows"]),
        record("py_low.x", "2.0", purls=["pkg:pypi/lows"], time=MARCH_2024),
    )
    old = ask(tmp_path, [channel], "py_low.x *", exclude_newer="2021-01-01").conda
    assert chosen(ask(tmp_path, [channel], "py_low.x *", previous=old))["py_low.x"][0] == "1.0"
    moved = ask(tmp_path, [channel], "py_low.x *", previous=old, upgrade=frozenset({name}))
    assert chosen(moved)["py_low.x"][0] == "2.0"


def test_preference_that_left_its_channel_is_forgotten(channel, tmp_path):
    old = ask(tmp_path, [channel], "low *", exclude_newer="2021-01-01").conda
    gone = replace(old.packages[0].artifact, sha256="0" * 64)
    changed = LockedConda((replace(old.packages[0], artifact=gone),))
    assert chosen(ask(tmp_path, [channel], "low *", previous=changed))["low"][0] == "2.0"


def test_previous_variant_does_not_hold_against_the_new_one(channel, tmp_path):
    old = ask(tmp_path, [channel], "arrays *", variants={"blas": "openblas"}).conda
    found = chosen(ask(tmp_path, [channel], "arrays *", variants={"blas": "mkl"}, previous=old))
    assert found["blas"] == ("1.0", "mkl")


@pytest.mark.parametrize(
    ("python", "version"),
    [(None, "3.12.1"), ("3.11", "3.11.7"), ("3.11.7", "3.11.7"), (">=3.10, <3.12", "3.11.7"), ("==3.11.*", "3.11.7"), ("===3.11.7", "3.11.7"), ("~=3.11.0", "3.11.7"), ("!=3.12.1", "3.11.7")],
)  # fmt: skip
def test_python_of_the_spec_binds_where_conda_brings_one(channel, tmp_path, python, version):
    found = ask(tmp_path, [channel], "python *", "tool *", python=python)
    assert found.python == version
    (package,) = [package for package in found.conda.packages if package.name == "python"]
    assert package.site == f"lib/python{version[:4]}/site-packages"


def test_python_is_not_brought_because_the_spec_names_its_version(channel, tmp_path):
    found = ask(tmp_path, [channel], "tool *", python="3.11")
    assert (found.python, sorted(chosen(found))) == ("", ["tool"])


def test_site_folder_is_what_the_record_says(tmp_path):
    site = "lib/python3.13t/site-packages"
    python = record("python", "3.13.0", "h0_cp313t", python_site_packages_path=site)
    found = ask(tmp_path, [write_records(tmp_path / "channel", python)], "python *")
    assert found.conda.packages[0].site == site


def test_systems_share_what_is_the_same_and_the_python(tmp_path):
    channel = write_records(
        tmp_path / "channel",
        record("python", "3.11.7"),
        record("python", "3.12.1", subdir="osx-arm64"),
        record("python", "3.11.7", subdir="osx-arm64"),
        record("tool", subdir="noarch", noarch="python", depends=["python"]),
    )
    events = []
    found = ask(tmp_path, [channel], "tool *", systems=(LINUX, MAC), on_event=events.append)
    assert (found.systems, found.python) == ((MAC, LINUX), "3.11.7")
    assert [(p.name, p.version, p.subdir, p.systems) for p in found.conda.packages] == [
        ("python", "3.11.7", "linux-64", (LINUX,)),
        ("python", "3.11.7", "osx-arm64", (MAC,)),
        ("tool", "1.0", "noarch", ()),
    ]
    assert [event.done for event in events if isinstance(event, Progress)] == [1, 2]


def test_system_that_cannot_be_served_is_left_out_with_a_note(channel, tmp_path):
    found = ask(tmp_path, [channel], "tool *", "low *", systems=(LINUX, ARM))
    assert found.systems == (LINUX,)
    assert list(found.conda.virtual) == [LINUX]
    assert found.notes == (
        "not locked for aarch64-linux: requirement 2 `low *`: no channel has a package `low` for aarch64-linux",
    )


def test_cuda_is_asked_of_those_who_can_have_it(tmp_path):
    channel = write_records(
        tmp_path / "channel",
        record("nets", "1.0", "cuda124_0", depends=["__cuda >=12"]),
        record("nets", "1.0", "cpu_0", subdir="osx-arm64"),
    )
    found = ask(tmp_path, [channel], "nets *", systems=(LINUX, MAC), variants={"cuda": "12.4"})
    assert found.systems == (MAC, LINUX)
    assert list(found.conda.needs) == [LINUX]


def test_lock_survives_its_own_reading(channel, tmp_path):
    conda = ask(tmp_path, [channel], "models *", variants={"cuda": "12.4"}).conda
    assert parse_conda("conda", conda.to_json()) == conda
    assert conda.packages == tuple(sorted(conda.packages))
    depends = {package.name: package.depends for package in conda.packages}
    assert depends["models"] == ("arrays", "tensors")
    assert depends["tensors"] == ()


def test_equal_requests_give_equal_locks(channel, tmp_path):
    one, other = (ask(tmp_path, [channel], "models *", "high *") for _ in range(2))
    assert one.conda.to_json() == other.conda.to_json()


def test_folder_beside_the_notebook_is_locked_relative_to_it(channel, tmp_path):
    (tmp_path / "notebooks").mkdir()
    for folder, written in ((tmp_path, "./channel"), (tmp_path / "notebooks", "../channel")):
        found = ask(folder, [written], "low *", settings=settings_in(tmp_path)).conda
        assert found.channels == (f"file://{written}",)
        assert found.packages[0].artifact.url == f"file://{written}/linux-64/low-2.0-h0_0.conda"
        assert str(tmp_path) not in str(found.to_json())
        assert parse_conda("conda", found.to_json()) == found


@pytest.mark.parametrize(
    "name", ["with space", "ünï", "a+b,c=d", "50%", "a@b", "q?x#y", "[x]", "~x", "x|y"]
)
def test_folders_of_any_name_are_channels(tmp_path, name):
    write_records(tmp_path / name, record("low"))
    for written in (f"./{name}", (tmp_path / name).as_uri()):
        conda = ask(tmp_path, [written], "low *").conda
        assert parse_conda("conda", conda.to_json()) == conda
        url = located(conda.packages[0].artifact.url, tmp_path)
        assert url == f"{(tmp_path / name).as_uri()}/linux-64/low-1.0-h0_0.conda"


def test_names_are_looked_up_by_channel_in_order(channel, tmp_path):
    other = write_records(tmp_path / "other", record("low"), record("other"))
    found = names_in_channels(
        ["low", "other", "nosuch"],
        ["./channel", other],
        systems=(LINUX, ARM),
        folder=tmp_path,
        settings=settings_in(tmp_path),
    )
    assert found == {"low": "./channel", "other": other}


def test_nothing_is_asked_for_nothing(tmp_path):
    found = ask(tmp_path, ["http://127.0.0.1:9/dead"])
    assert (found.conda, found.systems) == (LockedConda(), (LINUX,))


def test_channel_that_is_not_there_is_named(tmp_path, channel):
    with pytest.raises(NetworkError) as caught:
        ask(tmp_path, [channel, "./nowhere"], "low *")
    assert caught.value.summary == "the channel `./nowhere` did not answer as it should"
    assert caught.value.url == "file://./nowhere"


def test_half_of_an_index_is_its_channels_fault(tmp_path, channel):
    path = tmp_path / "second/linux-64/repodata.json"
    second = write_records(tmp_path / "second", record("a"))
    path.write_bytes(path.read_bytes()[:150])
    with pytest.raises(NetworkError) as caught:
        ask(tmp_path, [channel, second], "low *")
    assert caught.value.url == second


def test_date_that_is_none_is_refused(tmp_path, channel):
    with pytest.raises(SpecError) as caught:
        ask(tmp_path, [channel], "low *", exclude_newer="2024-13-45")
    assert caught.value.key == "nixenv.exclude-newer"


def test_text_that_is_no_channel_is_refused(tmp_path):
    with pytest.raises(SpecError) as caught:
        ask(tmp_path, ["/etc"], "a *")
    assert caught.value.key == "nixenv.channels"


def test_cancel_before_it_begins_asks_nobody(tmp_path, channel):
    cancel = Cancel()
    cancel.set()
    with pytest.raises(RealisationCancelledError):
        ask(tmp_path, [channel], "low *", cancel=cancel)
