"""Groups with a process of their own and the wheels that users get: other versions on the other side."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import threading
from dataclasses import dataclass
from pathlib import Path

import pytest
from live_kernel import close_event_loop, running_kernel  # noqa: F401 - a fixture

from nixlib.interpreters.host_python import find_hosts

pytestmark = pytest.mark.network
KERNEL_SIDE = Path(__file__).parents[2] / "nixenv" / "kernel"
HOSTS = {host.version.rpartition(".")[0]: host.executable for host in find_hosts()}
NOTEBOOK = ["pandas==2.2.3", "numpy==2.1.3", "pyarrow==17.0.0", "ipykernel>=6.29"]
# The kernel's Python, its packages, the group's Python, and its packages.
OTHERS = {
    "numpy 1 in an older Python": ("3.8", ["pandas==2.0.3", "numpy==1.24.4", "pydantic==1.10.15"]),
    "arrow on both sides": ("3.11", ["pandas==2.0.3", "numpy==1.26.4", "pyarrow==14.0.2"]),
    "newer than the notebook": ("3.13", ["pandas==2.3.3", "numpy==2.3.5"]),
}

PREAMBLE = f"""
import importlib.util, sys
spec = importlib.util.spec_from_file_location("launcher", {str(KERNEL_SIDE / "launcher.py")!r})
launcher = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launcher)
sys.meta_path.insert(0, launcher.KernelSideFinder)
"""
DECLARE = """
from nixenv.groups import registry
from nixenv.process.remote import ProcessGroup, Remote
remote = Remote(ProcessGroup("legacy", {environment!r}, {{}}))
registry.declare(remote)
"""
VALUES = """
from nixenv.private.legacy import builtins as there
same = there.eval("lambda value: value")
is_real = there.eval("lambda value: not hasattr(type(value), '_nixenv_key')")
"""


@dataclass(frozen=True)
class Sides:
    """The notebook's environment, and the group's."""

    kernel: Path
    group: Path

    @property
    def declare(self) -> str:
        return DECLARE.format(environment=str(self.group))

    def run(self, code: str) -> str:
        done = subprocess.run(
            [self.kernel / "bin" / "python", "-c", PREAMBLE + self.declare + VALUES + textwrap.dedent(code)],
            capture_output=True, text=True, check=False, timeout=200, stdin=subprocess.DEVNULL,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-6000:]
        return done.stdout


def made(folder: Path, python: str, requirements: list[str]) -> Path:
    """An environment of wheels."""
    if python not in HOSTS:
        pytest.skip(f"there is no Python {python}")
    host = str(HOSTS[python])
    subprocess.run([host, "-m", "venv", "--without-pip", folder], check=True)
    subprocess.run(
        [sys.executable, "-m", "uv", "pip", "install", "--quiet", "--only-binary", ":all:",
         "--python", folder / "bin" / "python", *requirements],
        check=True, stdin=subprocess.DEVNULL, timeout=280,
    )  # fmt: skip
    return folder


@pytest.fixture(scope="module")
def notebook(tmp_path_factory) -> Path:
    """The notebook's environment."""
    return made(tmp_path_factory.mktemp("notebook") / "env", "3.11", NOTEBOOK)


@pytest.fixture(scope="module", params=list(OTHERS))
def sides(request, notebook, tmp_path_factory) -> Sides:
    """The notebook's environment beside one of each kind of group's."""
    return Sides(notebook, made(tmp_path_factory.mktemp("group") / "env", *OTHERS[request.param]))


@pytest.fixture(scope="module")
def legacy(notebook, tmp_path_factory) -> Sides:
    """A group with pydantic 1, compiled, and matplotlib."""
    packages = ["pydantic==1.10.15", "matplotlib==3.7.5", "numpy==1.24.4", "pandas==2.0.3"]
    return Sides(notebook, made(tmp_path_factory.mktemp("legacy") / "env", "3.8", packages))


def test_arrays_and_scalars_travel_between_versions(sides):
    sides.run(
        """
        import numpy as np
        from nixenv.private.legacy import numpy as theirs
        assert theirs.__version__ != np.__version__
        values = [
            np.arange(10), np.arange(12.0).reshape(3, 4), np.asfortranarray(np.arange(12.0).reshape(3, 4)),
            np.arange(20)[::2], np.array(3), np.zeros((0, 3)), np.array(["a", "bb"]), np.array(["2020"], "M8[D]"),
            np.array([1, "a", None], object), np.zeros(3, [("a", "i4"), ("b", "f8")]), np.array([True, False]),
            np.zeros(100_000), np.arange(200_000).reshape(2, -1).T, np.zeros((3, 2), "S3"), np.arange(3, dtype=">i4"),
        ]
        for value in values:
            assert is_real(value), value
            back = same(value)
            assert type(back) is np.ndarray and back.dtype == value.dtype and back.shape == value.shape
            assert (back == value).all() and back.flags.writeable
        for value in (np.float64(1.5), np.int8(-3), np.datetime64("2020-01-01"), np.str_("q"), np.bool_(True), np.dtype("f4"), np.dtype("O")):
            back = same(value)
            assert is_real(value) and type(back) is type(value) and back == value
        assert theirs.arange(3).tolist() == [0, 1, 2] and type(theirs.arange(3)) is np.ndarray
        large = np.zeros(1_000_000)
        there.eval("lambda array: array.__setitem__(0, 5)")(large)
        assert large[0] == 0
        masked = np.ma.masked_array([1, 2], [True, False])
        assert not is_real(masked) and same(masked) is masked
        """
    )


def test_frames_series_and_indexes_travel_between_versions(sides):
    sides.run(
        """
        import numpy as np, pandas as pd
        zone = pd.date_range("2020", periods=3, tz="Europe/Paris")
        wide = pd.DataFrame({
            "int": [1, 2, 3], "float": [1.0, 2, np.nan], "object": ["x", None, "z"], "zone": zone,
            "category": pd.Categorical(["u", "v", "u"], ordered=True), "Int64": pd.array([1, None, 3], dtype="Int64"),
            "string": pd.array(["a", None, "b"], dtype="string"), "period": pd.period_range("2020", periods=3, freq="M"),
            "interval": pd.interval_range(0, 3), "length": pd.to_timedelta([1, 2, 3], unit="h"),
            "bool": pd.array([True, None, False], dtype="boolean"), "time": zone.tz_localize(None),
            "nested": [{"a": [1]}, (2,), object],
        })
        levels = pd.MultiIndex.from_tuples([("a", 1), ("b", 2), ("c", 3)], names=["p", "q"])
        frames = [
            wide, wide.set_index("time"), pd.DataFrame(np.arange(12.0).reshape(3, 4), columns=list("abcd")),
            pd.DataFrame({"a": [1] * 3}, index=levels), pd.DataFrame([[1, "a"], [2, "b"]], columns=["x", "x"]),
            pd.DataFrame(), pd.DataFrame(index=zone), pd.DataFrame({"a": [1, 2], "b": ["x", "y"]}, index=[5, 5]),
            pd.DataFrame(np.arange(6).reshape(2, 3), columns=levels), pd.DataFrame({"a": [1, 2]}, index=[5, 5]),
        ]
        for frame in frames:
            assert is_real(frame)
            pd.testing.assert_frame_equal(same(frame), frame, check_freq=False)
        for name in wide:
            assert is_real(wide[name]), name
            pd.testing.assert_series_equal(same(wide[name]), wide[name])
        for index in (wide.index, zone, wide.columns, levels, pd.Index([1.5, 2], name="n"), pd.CategoricalIndex(["a"])):
            assert is_real(index)
            pd.testing.assert_index_equal(same(index), index)
        for value in (pd.Timestamp("2020", tz="Europe/Paris"), pd.Timedelta(1, "h"), pd.Period("2020-01", "M"), pd.Interval(0, 1)):
            assert is_real(value) and same(value) == value and type(same(value)) is type(value)
        assert same(pd.NaT) is pd.NaT and same(pd.NA) is pd.NA
        wide.attrs["from"] = "here"
        assert same(wide).attrs == {"from": "here"}
        sparse = pd.DataFrame({"s": pd.arrays.SparseArray([0, 1])})
        assert not is_real(sparse) and same(sparse) is sparse
        from nixenv.private.legacy import pandas as theirs
        assert theirs.__version__ != pd.__version__
        total = theirs.DataFrame({"a": [1, 1, 2], "b": [1, 2, 3]}).groupby("a").sum()
        assert type(total) is pd.DataFrame and total.b.tolist() == [3, 3]
        theirs.testing.assert_frame_equal(frames[2], frames[2])
        """
    )


def test_arrow_travels_where_both_have_it_and_is_referred_to_elsewhere(sides):
    sides.run(
        """
        import pandas as pd, pyarrow as pa
        both = there.eval("__import__('importlib.util').util.find_spec('pyarrow') is not None")
        table = pa.table({"a": [1, 2], "b": ["x", None]})
        chunked = table.column(0)
        for value in (table, table.to_batches()[0], chunked, chunked.chunk(0), table.schema):
            assert is_real(value) == both and same(value).equals(value) and type(same(value)) is type(value)
        assert (same(table) is table) == (not both)
        # More than a message has files.
        assert [one.to_pydict() for one in same([pa.table({"a": [n]}) for n in range(300)])] == [{"a": [n]} for n in range(300)]
        series = pd.Series([1, None], dtype=pd.ArrowDtype(pa.int64()))
        assert is_real(series) == both
        assert same(series).equals(series)
        """
    )


def test_compiled_pydantic_1_works_beside_the_notebooks_packages(legacy):
    legacy.run(
        """
        from nixenv.private.legacy import pydantic
        assert pydantic.VERSION == "1.10.15" and pydantic.compiled
        names = {}
        remote.run_cell("from pydantic import BaseModel\\nclass Model(BaseModel):\\n    x: int\\n    y: list = []\\n", "<cell>", names)
        Model = names["Model"]
        model = Model(x="3", y=[1])
        assert model.x == 3 and model.dict() == {"x": 3, "y": [1]} and model == Model(x=3, y=[1])
        try: Model(x="q")
        except pydantic.ValidationError as error:
            assert isinstance(error, ValueError) and error.errors()[0]["loc"] == ("x",)
            assert "value is not a valid integer" in str(error)
        else: raise AssertionError
        assert not hasattr(model, "nothing")
        """
    )


@pytest.fixture(scope="module")
def kernel(legacy, tmp_path_factory):
    """A real kernel that has the group."""
    python = str(legacy.kernel / "bin" / "python")
    argv = [python, str(KERNEL_SIDE / "launcher.py"), "-f", "{connection_file}"]
    folder = tmp_path_factory.mktemp("kernel")
    with running_kernel(argv, dict(os.environ), folder) as kernel:
        assert not kernel.run(legacy.declare).error
        yield kernel


def test_cell_of_a_real_kernel_runs_whole_in_the_worker(kernel):
    cell = kernel.run(
        """%%private legacy
import pandas as pd
print("pandas", pd.__version__)
frame = pd.DataFrame({"a": [1, 2]})
frame.a.sum()
"""
    )
    assert not cell.error, cell.error
    assert cell.stream == "pandas 2.0.3\n"
    assert kernel.value("[int(_), type(frame).__module__, int(frame.a.sum()), pd.__version__]") == [
        3, "pandas.core.frame", 3, "2.0.3",
    ]  # fmt: skip


def test_arrays_and_frames_that_a_cell_changes_in_place_are_changed_here(kernel):
    assert not kernel.run(
        "import numpy as np, pandas as pd\na = b = np.array([3, 1, 2])\nlarge = np.ones(100_000)\n"
        "frame = pd.DataFrame({'a': [1, 2]})"
    ).error
    assert not kernel.run(
        "%%private legacy\na.sort()\nlarge.fill(2)\nframe.insert(0, 'new', 5)"
    ).error
    assert kernel.value("[b.tolist(), large.sum(), list(frame)]") == [
        [1, 2, 3],
        200_000,
        ["new", "a"],
    ]


def test_error_of_a_real_cell_shows_its_lines(kernel):
    cell = kernel.run("%%private legacy\nx = 1\n\nx / 0\n")
    assert cell.error["ename"] == "ZeroDivisionError"
    shown = "\n".join(cell.error["traceback"])
    assert "worker.py" not in shown
    assert "link.py" not in shown
    assert "4" in shown


def test_figures_of_cells_and_of_calls_are_shown(kernel):
    shown: list[str] = []

    def take(message):
        if message["msg_type"] == "display_data":
            shown.extend(message["content"]["data"])

    cell = "%%private legacy\nimport matplotlib.pyplot as plt\nplt.plot([1, 2]);"
    kernel.client.execute_interactive(cell, output_hook=take, timeout=120)
    assert shown.count("image/png") == 1
    kernel.client.execute_interactive("plt.plot([1, 2]);", output_hook=take, timeout=120)
    assert shown.count("image/png") == 2


@pytest.mark.parametrize(
    "cell",
    [
        "other_time.sleep(60)",
        "%%private legacy\nimport time\ntime.sleep(60)",
        "%%private legacy\nimport asyncio\nawait asyncio.sleep(60)",
    ],
    ids=["call", "cell", "await"],
)
def test_interrupting_the_kernel_interrupts_the_call(kernel, cell):
    setup = "from nixenv.private.legacy import time as other_time, os as other_os\npid = other_os.getpid()"
    assert not kernel.run(setup).error
    own = kernel.value("__import__('os').getpid()")
    threading.Timer(1.5, os.killpg, (os.getpgid(own), signal.SIGINT)).start()
    assert kernel.run(cell).error["ename"] == "KeyboardInterrupt"
    assert kernel.value("other_os.getpid() == pid") is True


def test_names_are_completed(kernel):
    assert not kernel.run("from nixenv.private.legacy import json as other_json").error
    message = kernel.client.complete("other_json.JSONDec", reply=True, timeout=30)
    assert any(match.endswith("JSONDecoder") for match in message["content"]["matches"])
