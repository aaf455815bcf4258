"""Resolutions by the real uv in which some packages come as source, built by a stand-in."""

from dataclasses import replace

import pytest

from nixlib.errors import BuildError, ResolutionError, SourceError
from nixlib.lock import Lock, LockedInterpreter, parse_lock
from nixlib.platforms import current_system
from nixlib.providers import parse_orders
from nixlib.resolvers.base import Request
from nixlib.resolvers.pypi import resolve_pypi
from nixlib.settings import Settings
from nixlib.testing.builder import StandInBuilder
from nixlib.testing.index import IndexServer, Manners, make_sdist, make_wheel

pytestmark = pytest.mark.usefixtures("no_configuration")

PYTHON = "3.11.7"
HERE = current_system()
DARWIN = "aarch64-darwin"
TOOLS = [
    make_wheel("tool", "1"),
    make_wheel("tool", "2", requires=["part"]),
    make_wheel("part", "1"),
]


@pytest.fixture
def resolve(tmp_path, monkeypatch):
    """Resolve requirements out of one server, with a builder that takes sources at their word."""

    def run(server, *requirements, builder=None, systems=(HERE,), previous=(), **fields):
        monkeypatch.setenv("UV_DEFAULT_INDEX", server.url)
        settings = Settings(tmp_path / "cache", tmp_path / "state", timeout=5.0)
        fields["providers"] = parse_orders(fields.get("providers", {}))
        request = Request(requirements, PYTHON, systems, notebook="n.ipynb", **fields)
        request = request.preferring(previous) if previous else request
        builder = builder or StandInBuilder()
        return resolve_pypi(replace(request, builder=builder), settings=settings)

    return run


def versions(resolution):
    return {package.name: package.version for package in resolution.packages}


def package(resolution, name):
    (found,) = (package for package in resolution.packages if package.name == name)
    return found


def test_package_without_wheels_is_built_with_what_it_asks_for(resolve):
    sdist = make_sdist("app", "1", requires=["lib>=1"], build=["tool>=1"])
    builder = StandInBuilder(more={"app": ("extra-tool",)})
    with IndexServer(
        [sdist, make_wheel("lib", "1"), make_wheel("extra-tool", "1"), *TOOLS]
    ) as server:
        found = resolve(server, "app", builder=builder)
    app = package(found, "app")
    assert (versions(found), app.requires, app.wheels) == ({"app": "1", "lib": "1"}, ("lib",), ())
    assert (app.source.kind, app.source.artifact.url) == ("sdist", server.file_url(sdist.filename))
    assert (app.source.artifact.sha256, app.source.artifact.size) == (sdist.sha256, len(sdist.data))
    assert app.source.build == ("extra-tool 1", "part 1", "tool 2")
    assert (app.index, app.uploaded) == (server.url, "2020-01-01")
    assert [item.name for item in found.build_packages] == ["extra-tool", "part", "tool"]
    assert builder.built == [("app", "1", app.source.build)]
    assert found.built == {f"app {HERE}": f"sha256-{'A' * 43}="}
    assert found.choices == {
        "app": "sdist: `app 1` has no wheel for Python 3.11.7",
    }
    lock = Lock(
        "0" * 64,
        LockedInterpreter(PYTHON, "host"),
        found.packages,
        found.systems,
        build_packages=found.build_packages,
        built=found.built,
        choices=found.choices,
    )
    assert parse_lock(lock.to_json()) == lock


def test_build_requirements_are_not_the_notebooks_pins(resolve):
    files = [make_sdist("app", "1", build=["tool"]), make_wheel("tool", "0.5"), *TOOLS]
    with IndexServer(files) as server:
        found = resolve(server, "app", "tool<1")
    assert versions(found) == {"app": "1", "tool": "0.5"}
    assert package(found, "app").source.build == ("part 1", "tool 2")


def test_wheel_is_preferred_to_a_newer_source(resolve):
    files = [make_wheel("app", "1"), make_sdist("app", "2", build=["tool"]), *TOOLS]
    with IndexServer(files) as server:
        assert versions(resolve(server, "app")) == {"app": "1"}
        builder = StandInBuilder()
        assert versions(resolve(server, "app>=2", builder=builder)) == {"app": "2"}
        assert [name for name, *_ in builder.built] == ["app"]


@pytest.mark.parametrize("order", ["sdist", "sdist,wheel"])
def test_provider_sdist_builds_what_has_a_wheel_too(resolve, order):
    files = [make_wheel("app", "1"), make_sdist("app", "1"), make_wheel("other", "1")]
    with IndexServer(files) as server:
        found = resolve(server, "app", "other", providers={"app": order})
    assert package(found, "app").source.kind == "sdist"
    assert package(found, "app").wheels == ()
    assert package(found, "other").source is None
    assert found.choices == {"app": f"sdist: the order is `{order}`"}


def test_provider_wheel_refuses_what_has_none(resolve):
    with IndexServer([make_sdist("app", "1")]) as server, pytest.raises(ResolutionError) as caught:
        resolve(server, "app", providers={"_default": "wheel"})
    assert "requirement 1 `app`" in caught.value.summary
    assert "has source only, and `providers` asks for a wheel" in caught.value.render()


def test_provider_sdist_refuses_what_has_no_source(resolve):
    with IndexServer([make_wheel("app", "1")]) as server, pytest.raises(ResolutionError) as caught:
        resolve(server, "app", providers={"app": "sdist"})
    assert "`app` has no source archive" in caught.value.summary


def test_newest_version_is_not_left_for_want_of_a_dependencys_wheel(resolve):
    files = [
        make_wheel("app", "1"),
        make_wheel("app", "2", requires=["only-source"]),
        make_sdist("only-source", "1"),
    ]
    with IndexServer(files) as server:
        assert versions(resolve(server, "app")) == {"app": "2", "only-source": "1"}


def test_version_with_wheels_for_others_is_not_built_where_an_older_one_does(resolve):
    files = [
        make_wheel("app", "1"),
        make_wheel("app", "2", requires=["fast==2"]),
        make_wheel("fast", "2", tag="cp37-cp37m-manylinux1_x86_64"),
        make_sdist("fast", "2"),
    ]
    with IndexServer(files) as server:
        assert versions(resolve(server, "app")) == {"app": "1"}
        assert versions(resolve(server, "app==2")) == {"app": "2", "fast": "2"}


def test_what_only_the_build_tells_counts(resolve):
    files = [
        make_sdist("app", "1"),
        make_wheel("dep", "1"),
        make_wheel("dep", "2"),
        make_sdist("deeper", "3"),
    ]
    builder = StandInBuilder(truth={"app": ("dep<2", "deeper")})
    with IndexServer(files) as server:
        found = resolve(server, "app", builder=builder)
    assert versions(found) == {"app": "1", "deeper": "3", "dep": "1"}
    assert sorted(name for name, *_ in builder.built) == ["app", "deeper"]


def test_build_overrules_what_wheels_for_others_say(resolve):
    files = [
        make_wheel("app", "1", requires=["old"], tag="cp37-cp37m-manylinux1_x86_64"),
        make_sdist("app", "1", requires=["new"]),
        make_wheel("old", "1"),
        make_wheel("new", "1"),
    ]
    with IndexServer(files) as server:
        assert versions(resolve(server, "app")) == {"app": "1", "new": "1"}


def test_package_with_wheels_for_some_systems_is_built_on_the_others(resolve):
    files = [
        make_wheel("app", "1", requires=["dep"], tag="cp311-cp311-manylinux_2_17_x86_64"),
        make_wheel("app", "1", requires=["dep"], tag="cp311-cp311-manylinux_2_17_aarch64"),
        make_sdist("app", "1", requires=["dep"], build=["tool==1"]),
        make_wheel("dep", "1"),
        *TOOLS,
    ]
    builder = StandInBuilder()
    with IndexServer(files) as server:
        found = resolve(server, "app", systems=(HERE, DARWIN), builder=builder)
    app = package(found, "app")
    assert (found.systems, found.notes, app.systems) == ((DARWIN, HERE), (), ())
    assert (len(app.wheels), app.source.build) == (1, ("tool 1",))
    assert (builder.built, found.built) == ([], {})
    assert found.choices == {"app": f"sdist: `app 1` has no wheel for Python 3.11.7 on {DARWIN}"}


def test_system_whose_source_cannot_be_locked_is_left_out_with_a_note(resolve):
    files = [
        make_wheel("app", "1", tag="cp311-cp311-manylinux_2_17_x86_64"),
        make_wheel("app", "1", tag="cp311-cp311-manylinux_2_17_aarch64"),
        make_sdist("app", "1", build=["nowhere"]),
    ]
    with IndexServer(files) as server:
        found = resolve(server, "app", systems=(HERE, DARWIN))
    assert found.systems == (HERE,)
    (note,) = found.notes
    assert note == (
        f"not locked for {DARWIN}: `app 1` comes as source there: cannot build `app 1`:"
        " what it is built with cannot be resolved"
    )


def test_build_requirement_that_comes_as_source_is_built_too(resolve):
    files = [make_sdist("app", "1", build=["tool-x"]), make_sdist("tool-x", "1", build=["tool==1"])]
    builder = StandInBuilder()
    with IndexServer([*files, *TOOLS]) as server:
        found = resolve(server, "app", builder=builder)
    assert package(found, "app").source.build == ("tool-x 1",)
    assert [(p.name, bool(p.source)) for p in found.build_packages] == [
        ("tool", False),
        ("tool-x", True),
    ]
    assert found.build_packages[1].source.build == ("tool 1",)


def test_package_that_is_built_with_itself_is_refused(resolve):
    files = [make_sdist("egg", "1", build=["hen"]), make_sdist("hen", "1", build=["egg"])]
    with IndexServer(files) as server, pytest.raises(ResolutionError) as caught:
        resolve(server, "egg")
    assert "needs itself to be built" in caught.value.render()
    assert "requirement 1 `egg` needs it" in caught.value.details


def test_failed_build_says_who_needs_it_and_where_there_are_wheels(resolve):
    files = [make_wheel("app", "1", requires=["bad"]), make_sdist("bad", "2")]
    files += [make_wheel("bad", "2", tag="cp37-cp37m-manylinux1_x86_64")]
    builder = StandInBuilder(broken=frozenset({"bad"}))
    with IndexServer(files) as server, pytest.raises(BuildError) as caught:
        resolve(server, "numpy-free>=0 ; python_version < '3'", "app", builder=builder)
    assert caught.value.summary == "cannot build `bad 2`"
    assert caught.value.details == (
        "requirement 2 `app` needs it",
        "`bad 2` has wheels for Python 3.7 on Linux x86_64",
    )


@pytest.mark.parametrize("line", ["./../secrets", "-e .", "nixpkgs#x", "x =1", "--index-url=x"])
def test_build_requirement_out_of_an_archive_names_no_folder_and_no_option(resolve, line):
    with IndexServer([make_sdist("app", "1", build=[line])]) as server:
        with pytest.raises(ResolutionError) as caught:
            resolve(server, "app")
        assert caught.value.summary.startswith("cannot build `app 1`: it cannot be built with")


def test_old_source_is_built_with_what_its_python_had(resolve):
    files = [
        make_sdist("app", "1", build=["tool"], uploaded="2014-01-01T00:00:00Z"),
        make_wheel("tool", "1", uploaded="2013-01-01T00:00:00Z"),
        make_wheel("tool", "2", uploaded="2023-01-01T00:00:00Z"),
        make_wheel("tool", "3", uploaded="2025-01-01T00:00:00Z"),
    ]
    with IndexServer(files) as server:
        assert package(resolve(server, "app"), "app").source.build == ("tool 2",)
        assert package(resolve(server, "app", era=False), "app").source.build == ("tool 3",)


def test_source_whose_own_time_has_no_backend_gets_todays_with_a_note(resolve):
    files = [
        make_sdist("app", "1", build=["tool"], uploaded="2014-01-01T00:00:00Z"),
        make_wheel("tool", "3", uploaded="2025-01-01T00:00:00Z"),
    ]
    with IndexServer(files) as server:
        found = resolve(server, "app")
    assert package(found, "app").source.build == ("tool 3",)
    assert found.notes == (
        "app 1 is built with packages of today: those of its own time do not fit together",
    )


def test_old_pin_holds_what_comes_as_source(resolve):
    files = [
        make_wheel("app", "1", requires=["lib"], uploaded="2015-01-01T00:00:00Z"),
        make_wheel("app", "2", requires=["lib"], uploaded="2023-01-01T00:00:00Z"),
        make_sdist("lib", "1", uploaded="2014-01-01T00:00:00Z"),
        make_sdist("lib", "2", uploaded="2023-01-01T00:00:00Z"),
        make_wheel("setuptools", "65"),
    ]
    with IndexServer(files) as server:
        found = resolve(server, "app==1")
    assert versions(found) == {"app": "1", "lib": "1", "setuptools": "65"}
    assert package(found, "lib").held == "lib 1, held to 2015-06: app 1 is of 2015-01"


def test_cut_off_binds_sources(resolve):
    files = [
        make_sdist("app", "1", uploaded="2019-01-01T00:00:00Z"),
        make_sdist("app", "2", uploaded="2021-01-01T00:00:00Z"),
    ]
    with IndexServer(files) as server:
        assert versions(resolve(server, "app", exclude_newer="2020-06-01")) == {"app": "1"}
        with pytest.raises(ResolutionError):
            resolve(server, "app==2", exclude_newer="2020-06-01")
    with IndexServer(files, Manners(upload_times=False)) as server:
        assert versions(resolve(server, "app", exclude_newer="2020-06-01")) == {"app": "2"}


def test_source_for_other_pythons_is_not_taken(resolve):
    files = [make_sdist("app", "1"), make_sdist("app", "2", requires_python=">=3.12")]
    with IndexServer(files) as server:
        assert versions(resolve(server, "app")) == {"app": "1"}


def test_secret_of_a_link_reaches_the_builder_and_not_the_lock(resolve):
    manners = Manners(query="token=t0k3n")
    with IndexServer([make_sdist("app", "1")], manners) as server:
        found = resolve(server, "app")
    assert package(found, "app").source.artifact.url == server.file_url("app-1.tar.gz")


def test_previous_versions_of_sources_and_their_backends_stay(resolve):
    old = [make_sdist("app", "1", build=["tool"]), make_wheel("tool", "1"), make_wheel("lib", "1")]
    new = [make_sdist("app", "2", build=["tool"]), *TOOLS]
    with IndexServer(old) as server:
        before = resolve(server, "app")
    with IndexServer([*old, *new]) as server:
        kept = resolve(server, "app", "lib", previous=before.packages)
        assert versions(kept) == {"app": "1", "lib": "1"}
        assert package(kept, "app").source.build == ("tool 1",)
        moved = resolve(server, "app", previous=before.packages, upgrade="all")
        assert versions(moved) == {"app": "2"}
        assert package(moved, "app").source.build == ("part 1", "tool 2")


@pytest.mark.parametrize(
    ("new", "grows"),
    [("new", True), ("lib>=1", True), ("app[x]", False), ("wants-extra", False), ("app>=2", False)],
)
def test_lock_with_sources_grows_without_a_build(resolve, tmp_path, new, grows):
    needs = ["lib", "extra ; extra == 'x'"]
    files = [make_sdist("app", "1", requires=needs, build=["tool"]), *TOOLS]
    files += [make_wheel(name, "1") for name in ("lib", "new", "extra")]
    files += [make_wheel("wants-extra", "1", requires=["app[x]"])]
    with IndexServer(files) as server:
        before = resolve(server, "app", systems=(HERE, DARWIN))
    with IndexServer([*files, make_wheel("app", "2")]) as server:
        moved = tuple(replace(package, index=server.url) for package in before.packages)
        lock = Lock(
            "0" * 64,
            LockedInterpreter(PYTHON, "host"),
            moved,
            before.systems,
            build_packages=before.build_packages,
            choices=before.choices,
        )
        whole = resolve(server, "app", new, systems=(HERE, DARWIN), previous=moved)
        builder = StandInBuilder()
        asked = Request(
            ("app", new),
            PYTHON,
            (HERE, DARWIN),
            added=(new,),
            previous=lock,
            builder=builder,
        ).preferring(moved)
        grown = resolve_pypi(asked, settings=Settings(tmp_path / "c", tmp_path / "s"))
    assert (builder.built == []) is (grows or new == "app>=2")
    assert versions(grown) == versions(whole)
    assert [p.requires for p in grown.packages] == [p.requires for p in whole.packages]
    assert [p.source and p.source.build for p in grown.packages] == [
        p.source and p.source.build for p in whole.packages
    ]
    assert grown.choices == whole.choices


PROJECT = {
    "pyproject.toml": '[build-system]\nrequires = ["tool==1"]\n',
    "PKG-INFO": "Name: My_Lib\nVersion: 0.1.0\nRequires-Dist: dep\nRequires-Dist: gui; extra == 'x'\n",
}
COMMIT = "4b1164c3215f018c4442463a27689d973cffd750"


@pytest.mark.parametrize(
    ("line", "kind", "place"),
    [
        ("./lib[x]", "path", "./lib"),
        ("-e ./lib[x]", "editable", "./lib"),
        ("my-lib[x] @ ../lib", "path", "../lib"),
        (
            f"my-lib[x] @ git+https://h.example/o/r@{COMMIT}",
            "git",
            f"https://h.example/o/r@{COMMIT}",
        ),
    ],
)
def test_line_that_is_a_source_is_built_and_locked(resolve, line, kind, place):
    builder = StandInBuilder(folders={place: PROJECT})
    files = [make_wheel(name, "1") for name in ("dep", "gui")]
    files += [make_wheel("my-lib", "9"), make_wheel("app", "1", requires=["my-lib>=0.1"]), *TOOLS]
    with IndexServer(files) as server:
        found = resolve(server, line, "app", builder=builder, systems=(HERE, DARWIN))
        assert not [path for path in server.asked if "/my-lib/" in path]
    lib = package(found, "my-lib")
    assert versions(found) == {"app": "1", "dep": "1", "gui": "1", "my-lib": "0.1.0"}
    assert (lib.source.kind, lib.source.location) == (kind, place.partition("@")[0])
    assert (lib.source.build, lib.requires, lib.index) == (("tool 1",), ("dep", "gui"), "")
    assert found.choices == {}


def test_source_that_its_own_project_needs_from_a_repository_is_built_too(resolve):
    project = '[build-system]\nrequires = []\nbuild-backend = "own"\n'
    there = f"git+https://h.example/o/dep@{COMMIT}"
    builder = StandInBuilder(
        folders={
            "./lib": {
                "pyproject.toml": project,
                "PKG-INFO": f"Name: lib\nVersion: 1\nRequires-Dist: dep @ {there} ; os_name == 'posix'\n",
            },
            f"https://h.example/o/dep@{COMMIT}": {
                "pyproject.toml": project,
                "PKG-INFO": "Name: dep\nVersion: 2\nRequires-Dist: lib\n",
            },
        }
    )
    with IndexServer([make_wheel("dep", "9")]) as server:
        found = resolve(server, "-e ./lib", builder=builder)
    assert versions(found) == {"dep": "2", "lib": "1"}
    assert package(found, "lib").requires == ("dep",)
    assert package(found, "dep").source.kind == "git"


def test_url_of_a_source_archive_is_built(resolve):
    sdist = make_sdist("app", "1", requires=["dep"])
    with IndexServer([sdist, make_wheel("dep", "1"), make_wheel("app", "2")]) as server:
        found = resolve(server, f"app @ {server.file_url(sdist.filename)}")
    assert versions(found) == {"app": "1", "dep": "1"}
    assert package(found, "app").source.artifact.sha256 == sdist.sha256


@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (("x @ ./lib",), "requirement 1 `x @ ./lib` is a project that calls itself `my-lib`"),
        (
            ("./lib", "my-lib @ ./copy"),
            "requirement 2 `my-lib @ ./copy` is another source of `my-lib`",
        ),
        (("./lib", "my-lib>=1"), "requirement 2 `my-lib>=1`"),
    ],
)
def test_source_that_is_not_what_was_asked_for_is_refused(resolve, lines, said):
    builder = StandInBuilder(folders={"./lib": PROJECT, "./copy": PROJECT})
    with (
        IndexServer([make_wheel("dep", "1"), *TOOLS]) as server,
        pytest.raises(ResolutionError) as caught,
    ):
        resolve(server, *lines, builder=builder)
    assert said in caught.value.summary


def test_source_that_is_not_there_says_which_line_asks_for_it(resolve):
    with IndexServer([]) as server, pytest.raises(SourceError) as caught:
        resolve(server, "./gone")
    assert caught.value.details[-1] == "requirement 1 `./gone` asks for it"


def test_other_systems_get_the_version_that_is_built_here(resolve):
    files = [
        make_wheel("app", "1", tag="cp311-cp311-macosx_11_0_arm64"),
        make_sdist("app", "2"),
    ]
    with IndexServer(files) as server:
        found = resolve(server, "app", systems=(HERE, DARWIN))
    assert [(p.name, p.version, p.systems) for p in found.packages] == [("app", "2", ())]


def test_version_that_providers_had_built_stays(resolve):
    files = [make_sdist("app", "1"), make_wheel("app", "1")]
    order = {"providers": {"app": "sdist"}}
    with IndexServer(files) as server:
        before = resolve(server, "app", **order)
    with IndexServer([*files, make_sdist("app", "2")]) as server:
        assert versions(resolve(server, "app", previous=before.packages, **order)) == {"app": "1"}
        assert versions(resolve(server, "app", **order)) == {"app": "2"}


@pytest.mark.parametrize(("pin", "others"), [("app==1", "my-lib"), ("app==3a1", "my-lib==7")])
def test_no_index_is_asked_about_a_project_of_ones_own(resolve, pin, others):
    files = [
        make_wheel("app", "3a1", requires=["my-lib"], uploaded="2015-01-01T00:00:00Z"),
        make_wheel("app", "1", requires=[others], uploaded="2015-01-01T00:00:00Z"),
        make_wheel("app", "2", requires=[others], uploaded="2023-01-01T00:00:00Z"),
        make_wheel("my-lib", "0.0.1", uploaded="2014-01-01T00:00:00Z"),
        make_wheel("dep", "1", uploaded="2014-01-01T00:00:00Z"),
        make_wheel("dep", "2", uploaded="2023-01-01T00:00:00Z"),
        make_wheel("setuptools", "65"),
        *TOOLS,
    ]
    builder = StandInBuilder(folders={"./lib": PROJECT})
    with IndexServer(files) as server:
        found = resolve(server, "./lib", pin, builder=builder)
        assert not [path for path in server.asked if "/my-lib" in path]
    expected = {"app": pin.partition("==")[2], "dep": "2", "my-lib": "0.1.0"}
    assert versions(found).items() >= expected.items()
