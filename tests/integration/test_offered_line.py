"""The line that is offered where requirements contradict each other, found by the real uv out of a loopback index."""

import time

import pytest

from nixlib.cancel import Cancel
from nixlib.errors import RealisationCancelledError, ResolutionError
from nixlib.resolvers.base import Request
from nixlib.resolvers.pypi import resolve_pypi
from nixlib.settings import Settings
from nixlib.testing.builder import StandInBuilder
from nixlib.testing.index import IndexServer, Manners, make_sdist, make_wheel

pytestmark = pytest.mark.usefixtures("no_configuration")

COMPILED = "cp311-cp311-manylinux_2_17_x86_64"
CLICKS = [make_wheel("click", "7.0"), make_wheel("click", "8.0")]
NUMPYS = [make_wheel("numpy", "1.26"), make_wheel("numpy", "2.0")]
APP = make_wheel("app", "1", requires=["click>=8"])
SOMELIB = make_wheel("somelib", "1", requires=["click<8"])


@pytest.fixture
def refused(tmp_path, monkeypatch):
    """The error of a resolution out of one server."""

    def run(files, *lines, manners=None, cancel=None, private=frozenset(), **more):
        with IndexServer(files, manners or Manners()) as server:
            monkeypatch.setenv("UV_DEFAULT_INDEX", server.url)
            settings = Settings(tmp_path / "cache", tmp_path / "state")
            request = Request(
                lines, "3.11.7", ("x86_64-linux",), private=private, notebook="n.ipynb", **more
            )
            with pytest.raises((ResolutionError, RealisationCancelledError)) as caught:
                resolve_pypi(request, settings=settings, cancel=cancel)
        return caught.value

    return run


def test_package_whose_dependencies_contradict_the_others_gets_its_own(refused):
    error = refused([*CLICKS, APP, SOMELIB], "app", "somelib")
    assert error.hint == (
        '`"private": {"somelib": {"for": "somelib"}}` gives `somelib` dependencies of its own:'
        " `%nixenv add --private somelib --for somelib`"
    )
    assert error.offer == {
        "group": "somelib",
        "mode": "import",
        "package": "somelib",
        "line": "somelib",
    }
    assert error.notebook == "n.ipynb"


def test_command_says_which_version_was_asked_for(refused):
    error = refused([*CLICKS, APP, SOMELIB], "app", "somelib == 1")
    assert error.hint.endswith('`%nixenv add --private somelib --for somelib "somelib == 1"`')


def test_package_of_many_versions_is_found(refused):
    files = [make_wheel("app", str(n), requires=["click>=8"]) for n in range(1, 6)]
    files += [make_wheel("somelib", str(n), requires=["click<8"]) for n in range(1, 6)]
    assert refused([*CLICKS, *files], "somelib>1,<4", "app>2").offer["line"] == "app>2"


def test_what_the_others_need_is_not_what_is_offered(refused):
    error = refused([*CLICKS, SOMELIB], "somelib", "click>=8")
    assert error.offer["line"] == "somelib"


def test_group_gets_a_name_that_no_other_has(refused):
    error = refused([*CLICKS, APP, SOMELIB], "app", "somelib", private=frozenset({"somelib"}))
    assert '{"somelib_2": {"for": "somelib"}}' in error.hint


def test_contradiction_over_what_a_process_has_one_of_leads_to_another_process(refused):
    files = [
        *NUMPYS,
        make_wheel("app", "1", requires=["numpy>=2"]),
        make_wheel("somelib", "1", requires=["numpy<2"]),
    ]
    error = refused(files, "app", "somelib>=1")
    assert error.hint == (
        '`"private": {"somelib": {"requirements": ["somelib>=1"], "mode": "process"}}` in the place of'
        " requirement 2 runs `somelib` in a process of its own:"
        ' `%nixenv add --private somelib --process "somelib>=1"`'
    )


def test_package_that_can_stay_in_the_process_is_preferred(refused):
    # Beside `heavy`, which takes the newest numpy, `base` cannot be; `heavy` can do with that of `base`.
    files = [
        *NUMPYS,
        *CLICKS,
        make_wheel("base", "1", requires=["numpy<2", "click<8"]),
        make_wheel("heavy", "1", requires=["numpy", "click>=8"]),
    ]
    error = refused(files, "heavy", "base")
    assert (error.offer["mode"], error.offer["line"]) == ("import", "heavy")


def test_new_package_that_a_process_has_one_of_counts_with_all_that_it_needs(refused):
    # numpy would become the notebook's, and with it a click that contradicts `app`, which `other` needs.
    files = [
        *CLICKS,
        APP,
        make_wheel("other", "1", requires=["app"]),
        make_wheel("numpy", "1", requires=["click<8"]),
        make_wheel("somelib", "1", requires=["numpy"]),
    ]
    error = refused(files, "app", "other", "somelib")
    assert (error.offer["mode"], error.offer["line"]) == ("process", "somelib")


def test_what_is_held_is_only_what_the_group_uses(refused):
    # The notebook's numpy needs click 8, which forbids a private click 7 to those only that use numpy.
    files = [
        *CLICKS,
        make_wheel("numpy", "1", requires=["click>=8"]),
        SOMELIB,
        make_wheel("uses", "1", requires=["numpy", "plain"]),
        make_wheel("plain", "1", requires=["click<8"]),
    ]
    assert refused(files, "numpy", "somelib").offer["mode"] == "import"
    assert not hasattr(refused(files, "numpy", "uses"), "offer")
    more = [*files, make_wheel("numpy", "0.9")]
    assert refused(more, "numpy>=1", "uses").offer["mode"] == "process"


def test_file_of_compiled_code_is_not_offered_to_be_loaded_twice(refused):
    files = [
        *CLICKS,
        make_wheel("fast", "1", requires=["click"], tag=COMPILED),
        make_wheel("app", "1", requires=["click>=8", "fast"]),
        make_wheel("somelib", "1", requires=["click<8", "fast"]),
    ]
    error = refused(files, "app", "somelib")
    assert (error.offer["mode"], error.offer["line"]) == ("process", "somelib")
    pure = [file for file in files if file.project != "fast"]
    pure.append(make_wheel("fast", "1", requires=["click"]))
    assert refused(pure, "app", "somelib").offer["mode"] == "import"


def test_package_compiled_before_the_notebooks_numpy_is_offered_a_process(refused):
    files = [
        *CLICKS,
        make_wheel("numpy", "1.26", uploaded="2020-01-01T00:00:00Z"),
        make_wheel("numpy", "2.0", uploaded="2024-06-01T00:00:00Z"),
        make_wheel("app", "1", requires=["click>=8", "numpy>=2"], uploaded="2024-07-01T00:00:00Z"),
        make_wheel("somelib", "1", requires=["click<8", "numpy"], tag=COMPILED),
        make_wheel("somelib", "2", requires=["click<8", "numpy"], uploaded="2024-07-01T00:00:00Z"),
    ]
    error = refused(files, "somelib==1", "app")
    assert error.offer["mode"] == "process"
    assert refused(files, "somelib", "app").offer["mode"] == "import"


def test_package_that_a_process_has_one_of_gets_no_dependencies_of_its_own(refused):
    files = [*CLICKS, make_wheel("lxml", "1", requires=["click<8"]), APP]
    assert refused(files, "app", "lxml").offer == {
        "group": "app",
        "mode": "import",
        "package": "app",
        "line": "app",
    }


def test_contradiction_with_the_kernel_leads_to_another_process(refused):
    files = [*CLICKS, SOMELIB, make_wheel("ipykernel", "6.1", requires=["click>=8"])]
    error = refused(files, "somelib", kernel=("ipykernel",))
    assert (error.offer["mode"], error.offer["line"]) == ("process", "somelib")


@pytest.mark.parametrize(
    ("files", "lines"),
    [
        ([APP, SOMELIB, *CLICKS], ("click<8", "click>=8")),
        ([*CLICKS, APP, make_wheel("somelib", "1", requires=["click<8", "app"])], ("somelib",)),
        (
            [*CLICKS, SOMELIB, make_wheel("app", "1", requires=["click>=8", "somelib"])],
            ("app", "somelib==1"),
        ),
        ([*CLICKS, APP, make_wheel("somelib", "1", requires=["click>9"])], ("app", "somelib")),
        ([*CLICKS, APP], ("app", "somelib==1")),
        ([*CLICKS, APP, SOMELIB], ("app", "somelib==2")),
    ],
    ids=["one name", "itself", "needed", "absent", "unknown", "no version"],
)
def test_nothing_is_offered_that_would_not_help(refused, files, lines):
    error = refused(files, *lines)
    assert not hasattr(error, "offer")
    assert "private" not in error.render()


def test_package_that_comes_as_source_is_built_before_it_is_offered(refused):
    files = [*CLICKS, APP, make_sdist("somelib", "1", requires=["click<8"])]
    builder = StandInBuilder()
    assert refused(files, "app", "somelib", builder=builder).offer["line"] == "somelib"
    assert "somelib" in [name for name, *_ in builder.built]


def test_package_that_cannot_be_built_is_not_offered(refused):
    part = make_sdist("part", "1")
    files = [*CLICKS, APP, make_wheel("somelib", "1", requires=["click<8", "part"]), part]
    builder = StandInBuilder(broken=frozenset({"part"}))
    error = refused(files, "app", "somelib", builder=builder)
    assert not hasattr(error, "offer")


def test_nothing_that_is_compiled_is_built_for_a_line(refused):
    old = "cp38-cp38-manylinux_2_17_x86_64"
    parts = [make_sdist("part", "1"), make_wheel("part", "1", tag=old)]
    files = [*CLICKS, make_wheel("app", "1", requires=["click>=8", "part"]), *parts]
    files.append(make_wheel("somelib", "1", requires=["click<8", "part"]))
    builder = StandInBuilder()
    assert not hasattr(refused(files, "app", "somelib", builder=builder), "offer")
    assert builder.built == []


def test_nothing_is_offered_to_who_is_no_notebook(refused):
    error = refused([*CLICKS, APP, SOMELIB], "app", "somelib", private=None)
    assert not hasattr(error, "offer")


def test_no_more_than_three_are_tried(refused):
    class Counted(Cancel):
        """Asked once for each run of uv."""

        checks = 0

        def check(self):
            self.checks += 1
            super().check()

    numbers, counted = range(1, 7), Counted()
    files = [make_wheel("numpy", str(number)) for number in numbers]
    files += [make_wheel(f"lib{n}", "1", requires=[f"numpy!={n}"]) for n in numbers]
    error = refused(files, *(f"lib{number}" for number in numbers), cancel=counted)
    assert (error.offer["mode"], error.offer["line"]) == ("process", "lib6")
    assert counted.checks == 1 + 3 * 2 + 1


def test_search_for_a_line_is_stopped_with_the_rest(refused):
    class Late(Cancel):
        """Set by the second question to uv, which is the first of the search."""

        checks = 0

        def check(self):
            self.checks += 1
            if self.checks > 1:
                self.set()
            super().check()

    started = time.monotonic()
    error = refused([*CLICKS, APP, SOMELIB], "app", "somelib", cancel=Late())
    assert isinstance(error, RealisationCancelledError)
    assert time.monotonic() - started < 10


def test_text_of_a_notebook_is_no_command_of_a_shell(refused):
    line = "somelib==1 ; python_version > '$(touch x)' or python_version > \"2\""
    error = refused([*CLICKS, APP, SOMELIB], "app", line)
    command = error.hint.rpartition("--for somelib ")[2].rstrip("`")
    assert command.startswith("'")
    import shlex

    assert shlex.split(command) == [line]
