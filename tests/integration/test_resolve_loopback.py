"""Whole resolutions by the real uv, out of a simple index on the loopback interface."""

import dataclasses
import json
import os
import re
import threading
import time

import pytest

from nixlib.cancel import Cancel
from nixlib.errors import NetworkError, RealisationCancelledError, ResolutionError
from nixlib.lock import Lock, LockedInterpreter
from nixlib.resolvers.base import Request
from nixlib.resolvers.increment import grow
from nixlib.resolvers.pypi import find_again, resolve_pypi
from nixlib.resolvers.requirements import parse_requirements
from nixlib.resolvers.session import open_session
from nixlib.settings import Settings
from nixlib.spec import SYSTEMS
from nixlib.testing.index import IndexServer, Manners, ServedFile, make_wheel

pytestmark = pytest.mark.usefixtures("no_configuration")

PYTHON = "3.11.7"


@pytest.fixture(autouse=True)
def narrow_terminal(monkeypatch):
    """A terminal whose width must not be seen."""
    monkeypatch.setenv("COLUMNS", "40")


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    """Resolve requirements out of one server, which is the user's default index."""

    def run(server, *requirements, cancel=None, timeout=5.0, systems=("x86_64-linux",), **fields):
        if "UV_DEFAULT_INDEX" not in os.environ:
            monkeypatch.setenv("UV_DEFAULT_INDEX", server.url)
        settings = Settings(tmp_path / "cache", tmp_path / "state", timeout=timeout)
        previous = fields.pop("previous", ())
        request = Request(requirements, PYTHON, systems, notebook="n.ipynb", **fields)
        request = request.preferring(previous) if previous else request
        return resolve_pypi(request, settings=settings, cancel=cancel)

    return run


def versions(resolution):
    return {package.name: package.version for package in resolution.packages}


def test_resolution_has_edges_sizes_times_and_hashes(resolve, monkeypatch):
    app, lib = (
        make_wheel("app", "1", requires=["Lib_X>=1"]),
        make_wheel("lib-x", "2", uploaded="2021-05-06T00:00:00Z"),
    )
    for manners in (Manners(), Manners(json=False), Manners(sizes=False)):
        with IndexServer([app, lib], manners) as server:
            monkeypatch.setenv("UV_DEFAULT_INDEX", server.url)
            first, second = resolve(server, "app").packages
            assert (first.name, first.requires) == ("app", ("lib-x",))
            assert (second.version, second.uploaded, second.index) == (
                "2",
                "2021-05-06",
                server.url,
            )
            (wheel,) = second.wheels
            assert (wheel.url, wheel.sha256) == (server.file_url(lib.filename), lib.sha256)
            assert wheel.size == len(lib.data)


def test_extras_and_markers_are_followed(resolve):
    files = [
        make_wheel(
            "app",
            "1",
            requires=[
                "a ; extra == 'x'",
                "b ; sys_platform == 'win32'",
                "c ; python_version > '3'",
            ],
        ),
        *(make_wheel(name, "1") for name in "abc"),
    ]
    files[0] = make_wheel(
        "app",
        "1",
        requires=["a ; extra == 'x'", "b ; sys_platform == 'win32'", "c ; python_version > '3'"],
    )
    with IndexServer(files) as server:
        assert versions(resolve(server, "app")) == {"app": "1", "c": "1"}


def test_previous_versions_stay_unless_an_upgrade_is_asked_for(resolve):
    files = [make_wheel(name, version) for name in ("a", "b", "c") for version in ("1", "2")]
    with IndexServer(files) as server:
        kept = {"a": "1", "b": "1"}
        assert versions(resolve(server, "a", "b", "c", preferences=kept)) == {
            "a": "1",
            "b": "1",
            "c": "2",
        }
        some = resolve(server, "a", "b", preferences=kept, upgrade=frozenset({"b"}))
        assert versions(some) == {"a": "1", "b": "2"}
        assert versions(resolve(server, "a", "b", preferences=kept, upgrade="all")) == {
            "a": "2",
            "b": "2",
        }


def test_preferences_survive_a_cut_off_and_an_index_with_a_query(resolve, monkeypatch):
    with IndexServer([make_wheel("a", "1"), make_wheel("a", "2")], Manners(query="t=1")) as server:
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{server.url}?t=1")
        found = resolve(server, "a", preferences={"a": "1"}, exclude_newer="2024-01-01")
        assert versions(found) == {"a": "1"}


def test_nothing_near_the_notebook_leaks_in(resolve, tmp_path, monkeypatch):
    (tmp_path / "pyproject.toml").write_text('[tool.uv]\nconstraint-dependencies = ["a<2"]\n')
    (tmp_path / "uv.toml").write_text('exclude-newer = "2001-01-01"\n')
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("UV_CONSTRAINT", "nonsense")
    monkeypatch.setenv("UV_RESOLUTION", "lowest")
    monkeypatch.setenv("UV_EXCLUDE_NEWER", "2001-01-01")
    with IndexServer([make_wheel("a", "1"), make_wheel("a", "2")]) as server:
        assert versions(resolve(server, "a")) == {"a": "2"}


def test_no_secret_enters_a_lock_or_a_message(resolve, monkeypatch, tmp_path):
    manners = Manners(login=("me", "s3cr3t-password"), query="token=s3cr3t-query")
    files = [make_wheel("a", "1", requires=["b"]), make_wheel("b", "1")]
    with IndexServer(files, manners) as server:
        login = f"http://me:s3cr3t-password@{server.host}"
        monkeypatch.setenv("UV_DEFAULT_INDEX", f"{login}/simple")
        direct = (
            f"b @ {login}/files/b-1-py3-none-any.whl?token=s3cr3t-query#sha256={files[1].sha256}"
        )
        found = resolve(server, "a", direct)
        assert versions(found) == {"a": "1", "b": "1"}
        assert "s3cr3t" not in json.dumps(
            [str(found), [str(w) for p in found.packages for w in p.wheels]]
        )
        with pytest.raises(ResolutionError) as caught:
            resolve(server, f"{direct.partition('?')[0]}?token=s3cr3t-query", "b==7", "a==9")
        assert "s3cr3t" not in caught.value.render()
        assert "s3cr3t" not in repr(caught.value.fields)
    kept = b"".join(path.read_bytes() for path in (tmp_path / "cache").rglob("*") if path.is_file())
    assert b"s3cr3t-password" not in kept


def test_spec_index_with_credentials_is_locked_without_them(resolve, monkeypatch):
    manners = Manners(login=("me", "s3cr3t"))
    with (
        IndexServer([], Manners()) as default,
        IndexServer([make_wheel("a", "1")], manners) as server,
    ):
        monkeypatch.setenv("UV_DEFAULT_INDEX", default.url)
        found = resolve(server, "a", indexes=(f"http://me:s3cr3t@{server.host}/simple",))
        assert found.packages[0].index == server.url


def test_index_without_upload_times_is_exempt_from_the_cut_off_with_a_note(resolve):
    with IndexServer([make_wheel("a", "1")], Manners(upload_times=False)) as server:
        found = resolve(server, "a", exclude_newer="2019-01-01")
        assert versions(found) == {"a": "1"}
        assert found.notes == (
            "a: its index gives no upload times, so exclude-newer does not bind it",
        )
        assert found.packages[0].uploaded == ""


def test_cut_off_counts_to_the_end_of_its_day_but_not_for_the_kernel(resolve):
    files = [
        make_wheel(
            name,
            version,
            uploaded=f"{day}T12:00:00Z",
            requires=["core"] if name == "ipykernel" else [],
        )
        for name in ("a", "ipykernel", "core")
        for version, day in (("6.1", "2020-01-01"), ("6.2", "2020-01-02"))
    ]
    with IndexServer(files) as server:
        fields = {"exclude_newer": "2020-01-01", "kernel": ("ipykernel",)}
        assert versions(resolve(server, "a", **fields)) == {
            "a": "6.1",
            "ipykernel": "6.2",
            "core": "6.2",
        }
        assert versions(resolve(server, "a", "core", **fields))["core"] == "6.1"


def test_legacy_metadata_is_mended_with_a_note(resolve):
    files = [
        make_wheel("a", "1"),
        make_wheel("a", "2", requires=["b (>=2011k)"]),
        make_wheel("b", "1"),
    ]
    with IndexServer(files) as server:
        found = resolve(server, "a")
        assert versions(found) == {"a": "2", "b": "1"}
        assert found.notes == (
            "a 2: its metadata is of before today's standards; read without the bounds of `b (>=2011k)`",
        )


def test_each_system_gets_its_wheel_and_one_without_is_left_out_with_a_note(resolve):
    tags = [
        "manylinux_2_17_x86_64",
        "manylinux_2_17_aarch64",
        "macosx_11_0_arm64",
        "musllinux_1_2_x86_64",
    ]
    files = [make_wheel("fast", "1", tag=f"cp311-cp311-{tag}") for tag in tags]
    files += [make_wheel("fast", "1", tag="pp311-pypy311_pp73-manylinux_2_17_x86_64")]
    with IndexServer([*files, make_wheel("app", "1", requires=["fast"])]) as server:
        found = resolve(server, "app", systems=SYSTEMS)
        assert found.systems == ("aarch64-darwin", "aarch64-linux", "x86_64-linux")
        fast = found.packages[1]
        assert sorted(wheel.filename.rsplit("-", 1)[1] for wheel in fast.wheels) == sorted(
            f"{tag}.whl" for tag in tags[:3]
        )
        assert len(found.notes) == 1
        assert found.notes[0].startswith(
            "not locked for x86_64-darwin: requirement 1 `app`: `fast 1` has no wheel"
        )


def test_resolving_twice_changes_nothing(resolve):
    files = [make_wheel("a", "1", requires=["b"]), make_wheel("b", "1"), make_wheel("b", "2")]
    with IndexServer(files) as server:
        first = resolve(server, "a", systems=SYSTEMS)
        assert resolve(server, "a", systems=SYSTEMS, preferences=versions(first)) == first


def failure(resolve, files, *requirements, **fields):
    with IndexServer(files) as server, pytest.raises(ResolutionError) as caught:
        resolve(server, *requirements, **fields)
    assert caught.value.notebook == "n.ipynb"
    assert "nixenv-notebook" not in caught.value.render()
    assert "python_full_version" not in caught.value.render()
    return caught.value


def test_conflict_names_the_requirements_of_the_notebook(resolve):
    files = [
        make_wheel("a", "1", requires=["b<2"]),
        make_wheel("b", "1"),
        make_wheel("b", "2"),
        make_wheel("c", "1"),
    ]
    error = failure(resolve, files, "c", "a", "b>=2")
    assert error.requirement == "b>=2"
    assert error.summary == (
        "cannot resolve `n.ipynb`: requirement 3 `b>=2` does not fit together with requirement 2 `a`"
    )
    assert any("b<2" in line for line in error.details)


def test_unknown_name_is_said_with_the_project_of_a_module(resolve):
    error = failure(resolve, [make_wheel("a", "1")], "a", "sklearn")
    assert error.requirement == "sklearn"
    assert "no index has a package `sklearn` (requirement 2 `sklearn`)" in error.summary
    assert '%nixenv add "scikit-learn"' in error.hint


def test_unknown_dependency_names_who_needs_it(resolve):
    error = failure(resolve, [make_wheel("a", "1", requires=["gone"])], "a")
    assert (
        error.summary
        == "cannot resolve `n.ipynb`: requirement 1 `a` needs `gone`, and no index has it"
    )


def test_unknown_version_lists_the_newest(resolve):
    error = failure(resolve, [make_wheel("a", "1"), make_wheel("a", "2")], "a==9")
    assert (
        error.summary
        == "cannot resolve `n.ipynb`: requirement 1 `a==9`: there is no version of `a` that is `9`"
    )
    assert error.details == ("the index has 1, 2",)


def test_version_without_a_fitting_wheel_says_where_it_has_one(resolve):
    files = [
        make_wheel("a", "1", tag=f"cp{minor}-cp{minor}-manylinux1_x86_64") for minor in ("37", "38")
    ]
    error = failure(resolve, files, "a==1.0")
    assert "`a 1` has no wheel for Python 3.11.7 on x86_64-linux" in error.summary
    assert error.details == ("it has wheels for Python 3.7, 3.8 on Linux x86_64",)


def test_bound_without_a_fitting_wheel_says_where_the_newest_has_one(resolve):
    files = [make_wheel("a", f"1.{minor}", tag=f"cp3{minor}-cp3{minor}-any") for minor in (7, 8)]
    error = failure(resolve, [*files, make_wheel("a", "2")], "a<2")
    assert error.summary == (
        "cannot resolve `n.ipynb`: requirement 1 `a<2`: no version of `a` that is `<2`"
        " has a wheel for Python 3.11.7 on x86_64-linux"
    )
    assert error.details == ("`a 1.8` has wheels for Python 3.8 on every platform",)


def test_kernel_that_is_too_old_is_refused_by_naming_the_pin(resolve):
    files = [make_wheel("ipykernel", "5.5.6"), make_wheel("ipykernel", "6.29.5")]
    error = failure(resolve, files, "ipykernel==5.5.6", kernel=("ipykernel",))
    assert error.requirement == "ipykernel==5.5.6"
    assert error.summary.endswith(
        "asks for a kernel older than `ipykernel>=6.0`, the oldest that nixenv can start"
    )


@pytest.mark.parametrize(
    "manners", [Manners(status=500), Manners(delay=3)], ids=["status 500", "slow"]
)
def test_registry_in_trouble_is_nobodys_requirement(resolve, manners):
    with (
        IndexServer([make_wheel("a", "1")], manners) as server,
        pytest.raises(NetworkError) as caught,
    ):
        resolve(server, "a", timeout=1.0)
    assert caught.value.url == f"{server.url}/a/"


def test_registry_that_is_down_is_nobodys_requirement(resolve):
    with IndexServer([]) as server:
        pass
    with pytest.raises(NetworkError) as caught:
        resolve(server, "a", timeout=1.0)
    assert caught.value.url == f"{server.url}/a/"


def test_registry_that_wants_a_login_says_so(resolve):
    with IndexServer([make_wheel("a", "1")], Manners(login=("me", "pw"))) as server:
        with pytest.raises(NetworkError) as caught:
            resolve(server, "a")
        assert caught.value.summary == (
            f"cannot resolve `n.ipynb`: the index `{server.url}` wants a valid login"
        )
        assert caught.value.details == ("without one, it does not say whether it has `a`",)


def test_index_that_wants_a_login_is_named_and_no_package_is_blamed(resolve, monkeypatch, tmp_path):
    """An index beside the default one is asked first, for everything, so the first package fails."""
    wheels = [make_wheel("a", "1"), make_wheel("ipykernel", "6.29")]
    with (
        IndexServer([make_wheel("own", "1")], Manners(login=("me", "pw"))) as private,
        IndexServer(wheels) as default,
    ):
        monkeypatch.setenv("UV_INDEX", f"lab={private.url}")
        with pytest.raises(NetworkError) as caught:
            resolve(default, "own", kernel=("ipykernel>=6",))
        assert f"the index `{private.url}` wants a valid login" in caught.value.summary
        assert "ipykernel" not in caught.value.summary
        line = re.search(r"`(machine [^`]+)`", caught.value.hint)[1]
        netrc = tmp_path / "netrc"
        netrc.write_text(line.replace("NAME", "me").replace("PASSWORD", "pw") + "\n")
        monkeypatch.setenv("NETRC", str(netrc))
        assert versions(resolve(default, "own")) == {"own": "1"}


def test_cancel_ends_uv_at_once(resolve):
    cancel = Cancel()
    with IndexServer([make_wheel("a", "1")], Manners(delay=20)) as server:
        threading.Timer(0.5, cancel.set).start()
        begun = time.monotonic()
        with pytest.raises(RealisationCancelledError):
            resolve(server, "a", cancel=cancel, timeout=30.0)
        assert time.monotonic() - begun < 5
    with pytest.raises(ChildProcessError):  # nothing is left to be reaped
        os.waitpid(-1, os.WNOHANG)


OLD = [
    make_wheel("pandas", "1.5", requires=["numpy>=1.21", "pytz"], uploaded="2022-09-19T00:00:00Z"),
    make_wheel("pandas", "3.0", requires=["numpy>=2"], uploaded="2026-01-01T00:00:00Z"),
    *(
        make_wheel("numpy", version, uploaded=f"{day}T00:00:00Z")
        for version, day in (
            ("1.23.3", "2022-09-01"),
            ("1.23.5", "2022-11-20"),
            ("1.24.0", "2022-12-18"),
            ("2.4", "2026-02-01"),
        )
    ),
    make_wheel("pytz", "2022.2", uploaded="2022-08-01T00:00:00Z"),
    make_wheel("pytz", "2026.1", uploaded="2026-08-01T00:00:00Z"),
]


def test_package_is_not_held_to_its_own_time(resolve):
    """`plots` is older because of the pin, and the extras of what it needs lead back to it."""

    def wheel(name, version, year, *requires):
        return make_wheel(name, version, requires=requires, uploaded=f"{year}-01-01T00:00:00Z")

    files = [
        wheel("app", "1", 2020, "lib"),
        wheel("app", "2", 2026, "lib"),
        wheel("lib", "1", 2019),
        wheel("lib", "2", 2026),
        wheel("plots", "1", 2020, "lib", "fonts"),
        wheel("plots", "2", 2026, "lib>=2", "fonts"),
        wheel("fonts", "1", 2019, "plots ; extra == 'draw'"),
        wheel("fonts", "2", 2026, "plots ; extra == 'draw'"),
    ]
    with IndexServer(files) as server:
        found = resolve(server, "app==1", "plots")
    held = {package.name: package.held for package in found.packages if package.held}
    assert versions(found)["plots"] == "1"
    assert held.keys() == {"lib", "fonts"}


def test_dependency_of_an_old_pin_is_held_to_its_time(resolve):
    with IndexServer(OLD) as server:
        found = resolve(server, "pandas==1.5")
        assert versions(found) == {"pandas": "1.5", "numpy": "1.23.5", "pytz": "2026.1"}
        assert [package.held for package in found.packages] == [
            "numpy 1.23.5, held to 2023-03: pandas 1.5 is of 2022-09",
            "",
            "",
        ]
        assert versions(resolve(server, "pandas==1.5", era=False))["numpy"] == "2.4"
        assert versions(resolve(server, "pandas")) == {"pandas": "3.0", "numpy": "2.4"}
        again = resolve(server, "pandas==1.5", preferences=versions(found))
        assert again == found


def test_hold_gives_way_to_what_is_asked_for_by_name(resolve):
    with IndexServer(OLD) as server:
        found = resolve(server, "pandas==1.5", "numpy>=1.24")
        assert versions(found)["numpy"] == "1.24.0"
        assert versions(resolve(server, "pandas==1.5", "numpy==2.4"))["numpy"] == "2.4"


def test_hold_gives_way_to_what_another_pin_needs(resolve):
    scipy = make_wheel("scipy", "1.16", requires=["numpy>=2"], uploaded="2025-06-01T00:00:00Z")
    with IndexServer([*OLD, scipy]) as server:
        assert versions(resolve(server, "pandas==1.5", "scipy==1.16"))["numpy"] == "2.4"


def test_old_pin_gets_the_setuptools_that_its_time_took_for_granted(resolve):
    tools = [make_wheel("setuptools", version) for version in ("65.5", "80.0")]
    with IndexServer([*OLD, *tools]) as server:
        found = {
            package.name: package
            for package in resolve(server, "pandas==1.5", systems=SYSTEMS).packages
        }
        assert found["setuptools"].version == "65.5"
        assert (
            found["setuptools"].held
            == "setuptools 65.5, which every environment had before Python 3.12"
        )
        assert "setuptools" not in versions(resolve(server, "pandas"))
        assert "setuptools" not in versions(resolve(server, "pandas==1.5", era=False))
        assert versions(resolve(server, "pandas==1.5", "setuptools"))["setuptools"] == "80.0"


def test_metadata_is_read_out_of_the_wheel_where_none_is_beside_it(resolve):
    bare = [dataclasses.replace(file, metadata=b"") for file in OLD]
    legacy = [make_wheel("a", "2", requires=["b (>=2011k)"]), make_wheel("b", "1")]
    bare += [dataclasses.replace(file, metadata=b"") for file in legacy]
    with IndexServer(bare) as server:
        found = resolve(server, "pandas==1.5", "a")
        assert versions(found) == {
            "pandas": "1.5",
            "numpy": "1.23.5",
            "pytz": "2026.1",
            "a": "2",
            "b": "1",
        }


def test_resolving_again_keeps_what_only_one_system_has(resolve):
    tags = {"1": ["manylinux1_x86_64", "macosx_11_0_arm64"], "2": ["manylinux1_x86_64"]}
    files = [
        make_wheel("fast", version, tag=f"cp311-cp311-{tag}")
        for version in "12"
        for tag in tags[version]
    ]
    systems = ("x86_64-linux", "aarch64-darwin")
    with IndexServer(files) as server:
        first = resolve(server, "fast", systems=systems)
        found = [(package.version, package.systems) for package in first.packages]
        assert found == [("1", ("aarch64-darwin",)), ("2", ("x86_64-linux",))]
        server.files = (*server.files, make_wheel("fast", "3", tag="cp311-cp311-manylinux1_x86_64"))
        assert resolve(server, "fast", systems=systems, previous=first.packages) == first


def test_signed_link_is_found_again_through_the_users_index(resolve, monkeypatch, tmp_path):
    file = make_wheel("a", "1")
    with IndexServer([file], Manners(query="signature=abc")) as server:
        (package,) = resolve(server, "a").packages
        url = package.wheels[0].url
        assert "signature" not in url
        settings = Settings(tmp_path / "cache", tmp_path / "state")
        assert find_again("a", url, settings=settings) == f"{url}?signature=abc"
        assert (
            find_again("a", "https://h.example/a.whl", settings=settings)
            == "https://h.example/a.whl"
        )


def test_library_shared_with_the_kernel_stays_before_the_cut_off_if_the_kernel_allows(resolve):
    old, new = "2020-01-01T00:00:00Z", "2024-01-01T00:00:00Z"
    files = [
        make_wheel("a", "1", requires=["core", "tool"], uploaded=old),
        make_wheel("ipykernel", "6.9", requires=["core>=1", "tool>=2"], uploaded=new),
        *(
            make_wheel(name, v, uploaded=at)
            for name in ("core", "tool")
            for v, at in (("1", old), ("2", new))
        ),
    ]
    with IndexServer(files) as server:
        found = versions(resolve(server, "a", exclude_newer="2020-06-01", kernel=("ipykernel",)))
        assert found == {"a": "1", "ipykernel": "6.9", "core": "1", "tool": "2"}


def test_version_for_newer_pythons_says_so(resolve):
    files = [
        make_wheel("a", "1", requires_python=">=3.13"),
        make_wheel("a", "0.9", requires_python=">=3.8"),
    ]
    error = failure(resolve, files, "a==1")
    assert error.requirement == "a==1"
    assert error.summary.endswith("`a 1` needs Python >=3.13, and the notebook has 3.11.7")


def test_project_with_source_only_says_so_and_names_the_project_of_the_module(resolve):
    source = ServedFile("sklearn-1.0.tar.gz", b"source")
    error = failure(resolve, [source], "sklearn")
    assert error.details == ("it has source only, and nothing is built here",)
    assert "scikit-learn" in error.hint


def test_cut_off_before_the_first_version_says_so(resolve):
    error = failure(resolve, [make_wheel("a", "1")], "a", exclude_newer="2019-12-31")
    assert "there is no version of `a` from before 2020-01-01T00:00:00Z" in error.summary


def grown(resolve, server, old, new, **fields):
    """The lock of `old` with `new` after it: from the old lock, and from everything at once."""
    fields = {"systems": SYSTEMS, "kernel": ("ipykernel",), **fields}
    first = resolve(server, *old, **fields)
    lock = Lock(
        "0" * 64,
        LockedInterpreter(PYTHON, "host"),
        first.packages,
        first.systems,
        notes=first.notes,
    )
    both = (*old, *new)
    whole = resolve(server, *both, previous=first.packages, **fields)
    asked = Request(both, PYTHON, notebook="n.ipynb", added=new, **fields).preferring(
        first.packages
    )
    return lock, whole, dataclasses.replace(asked, previous=lock)


KERNEL = make_wheel("ipykernel", "6.29", requires=["core"])
WORLD = [
    KERNEL,
    *(make_wheel("core", version) for version in ("1", "2")),
    *(make_wheel("old", version, requires=["core<2"]) for version in ("1",)),
    make_wheel("rich-app", "1", requires=["core", "gui ; extra == 'gui'"]),
    make_wheel("gui", "1", requires=["paint"]),
    make_wheel("paint", "1"),
    make_wheel("new", "1"),
    make_wheel("new", "2", requires=["core", "helper ; sys_platform == 'darwin'"]),
    make_wheel("helper", "1"),
    make_wheel("moves", "1", requires=["core>=2"]),
    make_wheel("steps-back", "1", requires=["core"]),
    make_wheel("steps-back", "2", requires=["core>=2"]),
    *(
        make_wheel("fast", "1", tag=f"cp311-cp311-{tag}")
        for tag in (
            "manylinux_2_17_x86_64",
            "manylinux_2_17_aarch64",
            "macosx_11_0_arm64",
            "macosx_11_0_x86_64",
        )
    ),
    make_wheel("linux-only", "1"),
    make_wheel("linux-only", "2", tag="cp311-cp311-manylinux_2_17_x86_64"),
    make_wheel("nowhere-else", "1", tag="cp311-cp311-manylinux_2_17_x86_64"),
]


@pytest.mark.parametrize(
    ("old", "new", "is_simple"),
    [
        (("old",), ("new",), True),
        (("old",), ("fast", "new"), True),
        (("rich-app",), ("rich-app[gui]",), True),
        (("old",), ("core",), True),
        (("old",), ("new ; sys_platform == 'darwin'",), True),
        (("rich-app",), ("paint>=1",), True),
        (("old",), ("steps-back",), False),
        (("rich-app",), ("steps-back",), True),
        (("old",), ("linux-only",), False),
        (("old",), ("nowhere-else",), False),
        (("nowhere-else",), ("new",), True),
        (("rich-app",), ("new==1",), False),
        (("rich-app<2",), ("new",), False),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_lock_that_grows_is_the_one_of_a_whole_resolution(resolve, tmp_path, old, new, is_simple):
    with IndexServer(WORLD) as server:
        lock, whole, asked = grown(resolve, server, old, new)
        settings = Settings(tmp_path / "cache", tmp_path / "state", timeout=5.0)
        assert resolve_pypi(asked, settings=settings) == whole
        wanted = parse_requirements(asked.requirements)
        with open_session(asked, wanted, settings, Cancel(), resolve_pypi) as session:
            alone = grow(session, ("x86_64-linux", *sorted({*SYSTEMS} - {"x86_64-linux"})))
        assert (alone is not None) is is_simple
        assert alone in (None, whole)
        assert {package.name for package in lock.packages} <= {p.name for p in whole.packages}


def test_lock_that_grows_keeps_what_the_index_has_newer_versions_of(resolve, monkeypatch, tmp_path):
    with IndexServer([make_wheel("a", "1"), KERNEL, make_wheel("core", "1")]) as server:
        lock, *_ = grown(resolve, server, ("a",), ())
    later = [make_wheel("b", "1", requires=["a"]), make_wheel("b", "2", requires=["a", "c"])]
    later += [make_wheel("a", "1"), make_wheel("a", "2"), make_wheel("c", "1"), KERNEL]
    later += [make_wheel("core", "1"), make_wheel("core", "2")]
    with IndexServer(later) as server:
        monkeypatch.setenv("UV_DEFAULT_INDEX", server.url)
        moved = tuple(dataclasses.replace(package, index=server.url) for package in lock.packages)
        asked = Request(
            ("a", "b"),
            PYTHON,
            SYSTEMS,
            kernel=("ipykernel",),
            previous=dataclasses.replace(lock, packages=moved),
            added=("b",),
        ).preferring(moved)
        found = resolve_pypi(asked, settings=Settings(tmp_path / "c", tmp_path / "s"))
        assert versions(found) == {"a": "1", "b": "2", "c": "1", "core": "1", "ipykernel": "6.29"}
        assert not [path for path in server.asked if "/core/" in path]


def test_new_line_that_nothing_answers_is_refused_as_ever_when_the_lock_could_grow(
    resolve, tmp_path
):
    with IndexServer(WORLD) as server:
        lock, _, asked = grown(resolve, server, ("old",), ())
        gone = dataclasses.replace(asked, requirements=("old", "sklearn"), added=("sklearn",))
        with pytest.raises(ResolutionError) as caught:
            resolve_pypi(gone, settings=Settings(tmp_path / "c", tmp_path / "s"))
        assert "(requirement 2 `sklearn`)" in caught.value.summary
        assert lock.packages


def test_what_conda_brings_counts_and_is_not_locked(resolve):
    files = [
        make_wheel("numpy", "2.0"),
        make_wheel("pandas", "1", requires=["NumPy>=1.20"]),
        make_wheel("pandas", "2", requires=["numpy>=2"]),
        make_wheel("tables", "1", requires=["pandas", "tz-data"]),
    ]
    with IndexServer(files) as server:
        brought = {"numpy": "1.26.4", "tz-data": "2024a"}
        found = resolve(server, "tables", "numpy>=1", systems=SYSTEMS, provided=brought)
        assert versions(found) == {"tables": "1", "pandas": "1"}
        assert found.packages[0].requires == ("numpy",)
        assert found.systems == tuple(sorted(SYSTEMS))
        assert not [path for path in server.asked if "/numpy/" in path]


def test_what_conda_brings_on_one_system_counts_there(resolve):
    files = [
        make_wheel("numpy", "2.0"),
        make_wheel("pandas", "1", requires=["numpy"]),
        make_wheel("pandas", "2", requires=["numpy>=2"]),
    ]
    systems = ("x86_64-linux", "aarch64-darwin")
    with IndexServer(files) as server:
        there = {"aarch64-darwin": {"numpy": "1.26.4"}}
        found = resolve(server, "pandas", systems=systems, provided_on=there)
    assert [(p.name, p.version, p.systems) for p in found.packages] == [
        ("numpy", "2.0", ("x86_64-linux",)),
        ("pandas", "1", ("aarch64-darwin",)),
        ("pandas", "2", ("x86_64-linux",)),
    ]


def test_extras_of_what_conda_brings_are_installed(resolve):
    files = [
        make_wheel("requests", "2.31", requires=["socks ; extra == 'socks'", "idna"]),
        make_wheel("socks", "1"),
        make_wheel("idna", "1"),
        make_wheel("app", "1", requires=["requests[socks]"]),
    ]
    with IndexServer(files) as server:
        found = resolve(server, "app", provided={"requests": "2.31"})
        assert versions(found) == {"app": "1", "socks": "1"}


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ("numpy>=2", "requirement 1 `numpy>=2`: conda brings `numpy 1.26.4`"),
        ("pandas", "requirement 1 `pandas`: it needs `numpy>=2`, and conda brings `numpy 1.26.4`"),
        ("app", "requirement 1 `app`: `pandas` needs `numpy>=2`, and conda brings `numpy 1.26.4`"),
    ],
)
def test_requirement_that_contradicts_conda_is_named_with_what_conda_brings(resolve, line, said):
    files = [make_wheel("numpy", "2.0"), make_wheel("pandas", "2", requires=["numpy>=2"])]
    files += [make_wheel("app", "1", requires=["pandas"])]
    error = failure(resolve, files, line, provided={"numpy": "1.26.4"})
    assert error.summary == f"cannot resolve `n.ipynb`: {said}"
    assert error.requirement == line


def test_name_that_is_a_path_is_nobodys(resolve, tmp_path):
    with IndexServer([make_wheel("a", "1")]) as server:
        hostile = {"../../../evil": "1", "b/c": "1", "": "1", "x\n": "1"}
        assert versions(resolve(server, "a", provided=hostile)) == {"a": "1"}
    assert not list(tmp_path.rglob("*evil*"))


def test_requirement_is_named_by_its_place_in_the_notebook(resolve):
    error = failure(resolve, [make_wheel("a", "1")], "a", "b", numbers=(2, 7))
    assert "(requirement 7 `b`)" in error.summary


def test_who_brings_it_is_named(resolve):
    files = [make_wheel("numpy", "2.0")]
    brought = {"provided": {"numpy": "1.26.4"}, "provided_by": {"numpy": "nixpkgs"}}
    error = failure(resolve, files, "numpy>=2", **brought)
    assert error.summary.endswith("requirement 1 `numpy>=2`: nixpkgs brings `numpy 1.26.4`")


def test_old_pin_holds_nothing_that_conda_brings(resolve):
    files = [
        make_wheel("pandas", "1", requires=["numpy"], uploaded="2015-01-01T00:00:00Z"),
        make_wheel("pandas", "2", requires=["numpy"], uploaded="2023-01-01T00:00:00Z"),
        make_wheel("numpy", "1", uploaded="2014-01-01T00:00:00Z"),
        make_wheel("numpy", "2", uploaded="2023-01-01T00:00:00Z"),
    ]
    with IndexServer(files) as server:
        found = resolve(server, "pandas==1", provided={"numpy": "2"})
        assert versions(found)["pandas"] == "1"
        assert "numpy" not in versions(found)


def test_lock_beside_conda_grows(resolve, tmp_path):
    with IndexServer(WORLD) as server:
        brought = {"core": "2", "ipykernel": "6.29"}
        _, whole, asked = grown(resolve, server, ("rich-app",), ("new",), provided=brought)
        settings = Settings(tmp_path / "cache", tmp_path / "state", timeout=5.0)
        assert resolve_pypi(asked, settings=settings) == whole
        with open_session(
            asked, parse_requirements(asked.requirements), settings, Cancel(), resolve_pypi
        ) as session:
            assert grow(session, SYSTEMS) == whole
    assert versions(whole) == {"rich-app": "1", "new": "2", "helper": "1"}
