"""Two versions of real libraries in one process, with the wheels that users get, on every Python.

The whole way from a notebook's metadata to such an import is in `test_private_matrix`.
"""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass

import pytest
from private_versions import PYDANTIC
from private_wheels import Wheels, make_wheels

from nixlib.interpreters.host_python import find_hosts

pytestmark = [
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.uname().machine != "x86_64", reason="compiled groups"
    ),
]


@dataclass(frozen=True)
class Chosen:
    """Versions of which one Python has wheels: what both share, the notebook's own, the group's own."""

    numpy: str = "1.26.4"
    pandas: tuple[str, str] = ("2.2.3", "2.0.3")
    markupsafe: tuple[str, str] = ("2.1.5", "2.1.2")
    pydantic: tuple[str, str] = ("2.9.2", "2.5.3")
    core: tuple[str, str] = ("2.23.4", "2.14.6")
    pydantic_1: str = "1.10.21"
    dateutil: str = "2.9.0.post0"

    @property
    def shared(self) -> list[str]:
        return [f"numpy=={self.numpy}", f"python-dateutil=={self.dateutil}", "pytz==2024.1", "tzdata==2024.1",
                "six==1.16.0"]  # fmt: skip

    @property
    def public(self) -> list[str]:
        return [f"pandas=={self.pandas[0]}", f"markupsafe=={self.markupsafe[0]}", f"pydantic=={self.pydantic[0]}",
                f"pydantic-core=={self.core[0]}", "jinja2==3.1.4", "charset-normalizer==3.4.1", "joblib==1.4.0",
                "annotated-types==0.7.0", "typing-extensions==4.12.2", *self.shared]  # fmt: skip


CHOSEN = {
    "3.8": Chosen(numpy="1.24.4", pandas=("2.0.3", "1.5.3")),
    "3.9": Chosen(),
    "3.10": Chosen(),
    "3.11": Chosen(),
    "3.12": Chosen(pandas=("2.2.3", "2.1.4"), markupsafe=("2.1.5", "2.1.3")),
    "3.13": Chosen(
        numpy="2.1.3",
        pandas=("2.3.1", "2.2.3"),
        markupsafe=("3.0.2", "3.0.0"),
        pydantic=("2.9.2", "2.8.2"),
        core=("2.23.4", "2.20.1"),
    ),
}
HOSTS = {host.version.rpartition(".")[0]: host.executable for host in find_hosts()}


@pytest.fixture(scope="module", params=[version for version in CHOSEN if version in HOSTS])
def python(request, tmp_path_factory) -> tuple[Wheels, Chosen]:
    """An environment on each Python."""
    version, chosen = request.param, CHOSEN[request.param]
    root = tmp_path_factory.mktemp(f"private-{version}")
    return make_wheels(root, HOSTS[version], version, chosen.public), chosen


@pytest.fixture(scope="module")
def wheels(tmp_path_factory) -> Wheels:
    """An environment on the Python of which there are most wheels."""
    if "3.11" not in HOSTS:
        pytest.skip("there is no Python 3.11")
    root = tmp_path_factory.mktemp("private")
    public = [*CHOSEN["3.11"].public, "debugpy==1.8.5"]
    return make_wheels(root, HOSTS["3.11"], "3.11", public)


def test_pandas_shares_a_numpy(python):
    wheels, chosen = python
    public, private = chosen.pandas
    wheels.run(
        [f"pandas=={private}"],
        chosen.shared,
        f"""
        from nixenv.private.old import pandas as old, numpy as same
        import pandas, numpy, io
        assert same is numpy and (old.__version__, pandas.__version__) == ({private!r}, {public!r})
        def use(pd):
            frame = pd.DataFrame({{"a": [1, 2, 2], "t": pd.date_range("2020", periods=3, tz="Europe/Berlin"), "s": list("xyz")}})
            assert frame.groupby("a").s.sum().tolist() == ["x", "yz"]
            assert frame.merge(frame, on="a").shape == (5, 5) and len(frame.query("a > 1")) == 2
            back = pd.read_csv(io.StringIO(frame.to_csv(index=False)), parse_dates=["t"])
            assert type(back) is pd.DataFrame and back.a.tolist() == [1, 2, 2]
            mixed = pd.Series([pd.Timestamp("2020"), pd.Timestamp("2021")], dtype=object).infer_objects()
            assert type(mixed.array) is pd.arrays.DatetimeArray
            for value in (pd.Timestamp("2020", tz="UTC"), pd.offsets.Day(3), pd.Timedelta("1d"), pd.Period("2020-01"),
                    pd.Interval(1, 2), pd.NaT, pd.NA, pd.period_range("2020", periods=3), pd.Categorical(["a"]),
                    pd.date_range("2020", periods=3, freq="B"), pd.arrays.SparseArray([0, 1]), frame):
                there_and_back(value)
            return frame
        assert type(use(old)) is old.DataFrame and type(use(pandas)) is pandas.DataFrame
        assert type(in_thread(use, old)) is old.DataFrame
        assert numpy.asarray(old.Series([1])).sum() == pandas.Series(old.Series([1]).to_numpy()).sum()
        file = io.BytesIO(); pandas.DataFrame({{"a": [1]}}).to_pickle(file); file.seek(0)
        {"assert type(old.read_pickle(file)) is old.DataFrame" if private > "2" else ""}
        nothing_leaked("pandas")
    """,
    )


MORE = """
    assert (old.VERSION, pydantic.VERSION) == ("%(own)s", "%(public)s")
    for kind in (Old, New): assert there_and_back(kind(x=1)) == kind(x=1)
    nothing_leaked("pydantic", "pydantic_core")
"""
TYPES = ["annotated-types==0.7.0", "typing-extensions==4.12.2"]


def used(version, chosen, schema):
    """Code that uses this version of pydantic in a group, and the notebook's beside it."""
    said = {"group": "old", "schema": schema, "own": version, "public": chosen.pydantic[0]}
    return (PYDANTIC + MORE) % said


def test_two_pydantics_with_their_cores_of_rust(python):
    wheels, chosen = python
    own = [f"pydantic=={chosen.pydantic[1]}", f"pydantic-core=={chosen.core[1]}"]
    wheels.run(own, TYPES, used(chosen.pydantic[1], chosen, "model_json_schema"))


def test_compiled_pydantic_1_beside_2(python):
    """Cython imports at call time go past `__import__`; they must reach the group, too."""
    wheels, chosen = python
    code = used(chosen.pydantic_1, chosen, "schema") + "    assert old.compiled\n"
    wheels.run([f"pydantic=={chosen.pydantic_1}"], TYPES, code)


def test_jinja2_with_its_markupsafe(python):
    wheels, chosen = python
    wheels.run(
        ["jinja2==3.0.3", f"markupsafe=={chosen.markupsafe[1]}"],
        [],
        f"""
        from nixenv.private.old import jinja2 as old, markupsafe as old_safe
        import jinja2, markupsafe
        assert (old.__version__, old_safe.__version__) == ("3.0.3", {chosen.markupsafe[1]!r})
        assert old_safe._speedups is not markupsafe._speedups
        def call(module): return module.Environment(autoescape=True, extensions=["jinja2.ext.do"]).from_string("{{{{ a }}}}").render(a="<")
        for module, safe in ((old, old_safe), (jinja2, markupsafe)):
            assert call(module) == in_thread(call, module) == "&lt;"
            assert type(safe.escape("<")) is safe.Markup
            assert there_and_back(safe.Markup("x")) == "x"
        nothing_leaked("jinja2", "markupsafe")
    """,
    )


def test_mypyc_finds_its_own_parts(python):
    wheels, _ = python
    wheels.run(
        ["charset-normalizer==3.4.0"],
        [],
        """
        from nixenv.private.old import charset_normalizer as old
        import charset_normalizer
        from nixenv.private.old.charset_normalizer import md
        assert (old.__version__, charset_normalizer.__version__) == ("3.4.0", "3.4.1")
        assert md.__file__.endswith(".so"), md.__file__
        for one in (old, charset_normalizer): assert one.from_bytes("Bäckerei für alle, überall".encode()).best().encoding == "utf_8"
        nothing_leaked("charset_normalizer")
    """,
    )


def test_workers_of_multiprocessing_and_joblib_hold_the_group(wheels):
    chosen = CHOSEN["3.11"]
    wheels.run(
        ["pandas==2.0.3"],
        chosen.shared,
        """
        from nixenv.private.old import pandas as old
        import joblib, multiprocessing
        frame = old.DataFrame({"a": [1, 2]})
        for method in ("fork", "spawn", "forkserver"):
            with multiprocessing.get_context(method).Pool(1) as pool:
                assert type(pool.apply(old.concat, ([frame, frame],))) is old.DataFrame
        found = joblib.Parallel(2)(joblib.delayed(old.concat)([frame, frame]) for _ in range(2))
        assert [type(one) for one in found] == [old.DataFrame] * 2
        found = joblib.Parallel(2)(joblib.delayed(lambda: (old.__version__, type(frame)))() for _ in range(2))
        assert found == [("2.0.3", old.DataFrame)] * 2, found
    """,
    )


def test_module_that_the_notebook_loads_from_the_same_file_is_refused(wheels):
    told = wheels.run(
        ["markupsafe==2.1.5"],
        [],
        """
        try: import nixenv.private.old
        except RefusedError as error: print(error)
    """,
    )
    assert "_speedups.cpython-311-x86_64-linux-gnu.so` is also the notebook's" in told


def test_module_of_another_group_is_refused(wheels):
    told = wheels.run(
        ["markupsafe==2.1.2"],
        [],
        """
        import nixenv.private.older
        try: import nixenv.private.old
        except RefusedError as error: print(error)
    """,
        wheels.group("older", ["markupsafe==2.1.2", "jinja2==3.0.3"], []),
    )
    assert "_speedups.cpython-311-x86_64-linux-gnu.so` is also in group `older`" in told


def test_library_of_a_name_that_is_loaded_is_refused(wheels, tmp_path):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        source = tmp_path / name / "x.c"
        source.write_text(f"int answer(void) {{ return {len(source.as_posix())}{ord(name[0])}; }}")
        library = tmp_path / name / "libshared.so.1"
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-Wl,-soname,libshared.so.1", "-o", library, source],
            check=True,
        )
    told = wheels.run(
        [],
        [],
        f"""
        import ctypes
        declare(Domain(Group("first", ({str(tmp_path / "one")!r},), frozenset(), {{}})))
        declare(Domain(Group("second", ({str(tmp_path / "two")!r},), frozenset(), {{}})))
        import nixenv.private.first
        ctypes.CDLL({str(tmp_path / "one" / "libshared.so.1")!r})
        try: import nixenv.private.second
        except RefusedError as error: print(error)
    """,
    )
    assert "library `libshared.so.1` is another file than" in told
