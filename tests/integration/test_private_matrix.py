"""Two versions of real libraries in one notebook, with the wheels that users get: spec, lock, store, kernel.

One notebook has all of them, so one lock is resolved, one environment built and one kernel started. In it pools of
every kind are running before the first private import: what they are sent later leads them to the groups.
"""

from __future__ import annotations

import pytest
from private_notebook import MARKS, Cells, cells_of, group_of, lock_of, versions, write_notebook
from private_versions import CASES, PREAMBLE, PRIVATE, PUBLIC, PYDANTIC

pytestmark = MARKS


@pytest.fixture(scope="module")
def notebook(engine_home, tmp_path_factory):
    path = write_notebook(
        tmp_path_factory.mktemp("matrix") / "matrix.ipynb", *PUBLIC, private=PRIVATE
    )
    engine_home.engine("lock", path)
    return path


@pytest.fixture(scope="module")
def cells(notebook, engine_home):
    with cells_of(notebook, engine_home) as kernel:
        kernel.run(PREAMBLE)
        yield kernel
        kernel.run("for pool in POOLS.values(): pool.terminate()")


def test_lock_has_each_groups_own_and_shares_what_is_equal(notebook):
    public = versions(lock_of(notebook)["packages"])
    for name, lines in PRIVATE.items():
        group = group_of(notebook, name)
        own = versions(group["packages"])
        assert {line.split("==")[0] for line in lines} <= own.keys() | group.get("lent", {}).keys()
        shared = group.get("shared", "").split()
        assert not own.keys() & set(shared)
        assert all(own[name] != public[name] for name in own if name in public), own
    pandas = group_of(notebook, "pandas20")
    assert versions(pandas["packages"]) == {"pandas": "2.0.3"}
    assert {"numpy", "python-dateutil", "pytz", "tzdata"} <= set(pandas["shared"].split())
    assert versions(group_of(notebook, "requests25")["packages"])["urllib3"].startswith("1.")
    seaborn = group_of(notebook, "seaborn12")
    assert versions(seaborn["packages"]) == {"seaborn": "0.12.2"}
    assert seaborn["lent"].items() >= {("pandas", "pandas20"), ("matplotlib", "plot37")}
    assert "pydantic-core" in versions(group_of(notebook, "pydantic25")["packages"])


@pytest.mark.parametrize(
    ("group", "module", "private", "public", "rare"), CASES, ids=[case[1] for case in CASES]
)
def test_each_library_is_there_in_both_versions(cells, group, module, private, public, rare):
    cells.run(f"""
        %%private {group}
        import {module}
        imported_in_cell = {module}
        def imported_late():
            import {rare}
            return {rare}
    """)
    cells.run(f"""
        from nixenv.private.{group} import {module.partition(".")[0]}
        old = importlib.import_module("nixenv.private.{group}.{module}")
        new = importlib.import_module("{module}")
        version = lambda module: getattr(module, "__version__", None) or module.VERSION
        assert (version(old), version(new)) == ("{private}", "{public}")
        assert old is imported_in_cell is not new and sys.modules["{module}"] is new
        assert os.path.realpath(old.__file__) != os.path.realpath(new.__file__)
        late = in_thread(imported_late)
        assert late is importlib.import_module("nixenv.private.{group}.{rare}"), late
        assert late is not importlib.import_module("{rare}")
        assert os.path.realpath(late.__file__).startswith(os.path.dirname(os.path.realpath(old.__file__)))
    """)


def test_click(cells):
    cells.run("""
        from nixenv.private.click7 import click as old
        from nixenv.private.click7.click.testing import CliRunner as OldRunner
        import click
        from click.testing import CliRunner
        assert old.Command is not click.Command
        assert repr(old.Command) == "<class 'nixenv.private.click7.click.core.Command'>"
        def run(module, Runner):
            @module.command()
            @module.option("--number", type=int)
            def add(number):
                with module.progressbar([number]) as bar:  # imported when it is called
                    for one in bar: module.echo(one + 1)
            return Runner().invoke(add, ["--number", "3"])
        for module, runner in ((old, OldRunner), (click, CliRunner)):
            assert run(module, runner).output.split() == ["4"]
            assert run(module, runner).output == in_thread(run, module, runner).output
            crosses(module.Path(exists=True))
            crosses(module.Choice(["a"]))
        assert not isinstance(old.UsageError(""), click.UsageError)
    """)


def test_jinja2_with_its_markupsafe(cells):
    cells.run("""
        from nixenv.private.jinja30 import jinja2 as old, markupsafe as old_safe
        import jinja2, markupsafe
        assert old_safe._speedups is not markupsafe._speedups
        def render(module):
            environment = module.Environment(autoescape=True, extensions=["jinja2.ext.do"])  # by name, when called
            return environment.from_string("{{ a }}").render(a="<")
        for module, safe in ((old, old_safe), (jinja2, markupsafe)):
            assert render(module) == in_thread(render, module) == "&lt;"
            assert type(safe.escape("<")) is safe.Markup
            assert crosses(safe.Markup("x"))[0] == "x"
            assert {type(one) for one in crosses(module.UndefinedError("no"))} == {module.UndefinedError}
            try: module.Template("{{ 1 / 0 }}").render()
            except ZeroDivisionError: pass
            else: raise AssertionError
    """)


def test_attrs(cells):
    cells.run("""
        from nixenv.private.attrs21 import attr as old, attrs as old_attrs
        import attr, attrs
        assert old.define is old_attrs.define is not attrs.define
        for module in (old, attr):
            @module.s(auto_attribs=True)
            class Point:
                x: "int" = module.ib(validator=module.validators.instance_of(int))
            module.resolve_types(Point)
            assert module.asdict(Point(1)) == in_thread(lambda: module.asdict(Point(1))) == {"x": 1}
            assert module.fields(Point).x.type is int
            crosses(module.fields(Point).x)
            crosses(module.Factory(list))
    """)


MORE = """
    for module in (old, pydantic): crosses(module.SecretStr("x"))
    assert "pydantic version: %(version)s" in old.version.version_info().replace("  ", "")
"""


def test_two_pydantics_with_their_cores(cells):
    cells.run(
        (PYDANTIC + MORE)
        % {"group": "pydantic25", "schema": "model_json_schema", "version": "2.5.3"}
    )
    cells.run("""
        import pydantic_core
        from nixenv.private.pydantic25 import pydantic_core as old
        assert old.__version__ != pydantic_core.__version__
        assert old._pydantic_core is not pydantic_core._pydantic_core
        crosses(old.PydanticUndefined), crosses(old.TzInfo(60))
    """)


def test_compiled_pydantic_1_beside_2(cells):
    """Cython imports when it is called, past `__import__`: that must reach the group, too."""
    cells.run((PYDANTIC + MORE) % {"group": "pydantic1", "schema": "schema", "version": "1.10.15"})
    cells.run("""
        from nixenv.private.pydantic1 import pydantic as old
        assert old.compiled and old.main.__file__.endswith(".so")
        assert old.create_model("A", x=(int, ...))(x="1").x == 1
        assert old.parse_obj_as(list[int], ["1"]) == [1]
        assert old.BaseSettings().dict() == {}
    """)


def test_protobuf(cells):
    cells.run("""
        import google.protobuf
        from google.protobuf import json_format, struct_pb2
        from nixenv.private.protobuf3.google import protobuf as old
        from nixenv.private.protobuf3.google.protobuf import json_format as old_json, struct_pb2 as old_struct
        assert old_struct.Struct is not struct_pb2.Struct
        def make(module):
            value = module.Struct()
            value["a"] = 1
            return value
        assert make(old_struct).SerializeToString() == in_thread(make, struct_pb2).SerializeToString()
        assert old_json.MessageToDict(make(old_struct)) == json_format.MessageToDict(make(struct_pb2)) == {"a": 1.0}
        assert struct_pb2.Struct.FromString(make(old_struct).SerializeToString()) == make(struct_pb2)
        for module in (old_struct, struct_pb2):
            assert set(map(str, crosses(make(module)))) == {str(make(module))}
    """)


def test_requests_with_two_urllib3(cells):
    cells.run("""
        import http.server, requests, urllib3
        from nixenv.private.requests25 import requests as old, urllib3 as old_urllib3
        assert old_urllib3.__version__.startswith("1.26") and urllib3.__version__ >= "2"
        assert old.packages.urllib3 is old_urllib3 and requests.packages.urllib3 is urllib3
        class Quiet(http.server.SimpleHTTPRequestHandler):
            def log_message(self, *arguments): pass
        server = http.server.HTTPServer(("127.0.0.1", 0), Quiet)
        threading.Thread(target=server.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{server.server_port}/"
        for module in (old, requests):
            assert module.get(url).status_code == in_thread(module.get, url).status_code == 200
            assert {one.headers["User-Agent"] for one in crosses(module.Session())} == {f"python-requests/{module.__version__}"}
            assert {one.status_code for one in crosses(module.get(url))} == {200}
        server.shutdown()
        try: old.get("http://127.0.0.1:1/")
        except requests.ConnectionError: raise AssertionError("one class for two versions")
        except old.ConnectionError as error: assert isinstance(error.args[0], old_urllib3.exceptions.MaxRetryError)
        else: raise AssertionError
    """)


def test_matplotlib_saves_figures_in_both(cells):
    cells.run("""
        import matplotlib.pyplot, numpy
        from nixenv.private.plot37 import matplotlib as old
        from nixenv.private.plot37.matplotlib import pyplot as old_plot
        def draw(plot, kind):
            figure, axes = plot.subplots()
            axes.plot(numpy.arange(2)); axes.set_title("$x^2$"); axes.contour([[1, 2], [3, 4]])
            axes.tricontourf([0, 1, 0], [0, 0, 1], [1, 2, 3]); axes.imshow([[1, 2]])
            file = io.BytesIO()
            figure.savefig(file, format=kind)
            plot.close(figure)
            return figure, file.getvalue()
        for plot, module in ((old_plot, old), (matplotlib.pyplot, matplotlib)):
            for kind, start in (("png", b"\\x89PNG"), ("svg", b"<?xml"), ("pdf", b"%PDF")):
                assert draw(plot, kind)[1].startswith(start)
                assert in_thread(draw, plot, kind)[1].startswith(start)
            assert f"Matplotlib v{module.__version__}".encode() in draw(plot, "svg")[1]
            crosses(draw(plot, "png")[0])
        assert old_plot.Figure is not matplotlib.pyplot.Figure
    """)


def test_figures_of_both_are_shown(cells):
    assert cells.run("""
        %%private plot37
        import matplotlib.pyplot as old_plot
        old_plot.plot([1, 2]);
    """).kinds == [{"image/png", "text/plain"}]
    both = cells.run("""
        from matplotlib import pyplot
        assert pyplot is not old_plot
        pyplot.plot([1, 2]), old_plot.plot([1, 2])
        pyplot.show()
        old_plot.show();
    """)
    assert both.kinds == [{"image/png", "text/plain"}] * 2


def test_scikit_learn_fits_in_both(cells):
    cells.run("""
        import numpy, sklearn
        from sklearn import ensemble
        from nixenv.private.learn13 import joblib as old_joblib, sklearn as old
        from nixenv.private.learn13.sklearn import datasets, ensemble as old_ensemble, linear_model, model_selection
        assert (old_joblib.__version__, old_joblib is joblib) == ("1.3.2", False)
        X, y = datasets.load_iris(return_X_y=True)
        for kind in (old_ensemble.RandomForestClassifier, ensemble.RandomForestClassifier, linear_model.Ridge):
            model = in_thread(lambda: kind().fit(X, y))
            assert model.score(X, y) > 0.9
            for back in crosses(model): assert (back.predict(X) == model.predict(X)).all()
        scores = model_selection.cross_val_score(linear_model.Ridge(), X, y, n_jobs=2, cv=2)
        assert scores.shape == (2,)
    """)


def test_pandas_shares_a_numpy(cells):
    cells.run("""
        import numpy, pandas
        from nixenv.private.pandas20 import numpy as same, pandas as old
        assert same is numpy and old.DataFrame is not pandas.DataFrame
        def use(pd):
            frame = pd.DataFrame({"a": [1, 2, 2], "t": pd.date_range("2020", periods=3, tz="Europe/Berlin"), "s": list("xyz")})
            assert frame.groupby("a").s.sum().tolist() == ["x", "yz"]
            assert frame.merge(frame, on="a").shape == (5, 5)
            assert len(frame.query("a > 1")) == 2
            back = pd.read_csv(io.StringIO(frame.to_csv(index=False)), parse_dates=["t"])
            assert type(back) is pd.DataFrame and back.a.tolist() == [1, 2, 2]
            assert frame.t.dt.tz_convert("UTC").dt.hour.tolist() == [23, 23, 23]
            mixed = pd.Series([pd.Timestamp("2020"), pd.Timestamp("2021")], dtype=object).infer_objects()
            assert type(mixed.array) is pd.arrays.DatetimeArray
            return frame
        for pd in (old, pandas):
            frame = use(pd)
            assert type(frame) is type(in_thread(use, pd)) is pd.DataFrame
            assert all(back.equals(frame) for back in crosses(frame))
            for value in (pd.Timestamp("2020", tz="UTC"), pd.offsets.Day(3), pd.Timedelta("1d"), pd.Period("2020-01"),
                    pd.Interval(1, 2), pd.NaT, pd.NA, pd.period_range("2020", periods=3), pd.Categorical(["a"]),
                    pd.date_range("2020", periods=3, freq="B"), pd.arrays.SparseArray([0, 1])):
                crosses(value)
            for pool in POOLS.values():
                assert type(pool.apply(pd.concat, ([frame, frame],))) is pd.DataFrame
            found = joblib.Parallel(2)(joblib.delayed(pd.concat)([frame, frame]) for _ in range(2))
            assert [type(one) for one in found] == [pd.DataFrame] * 2
        assert not isinstance(old.DataFrame(), pandas.DataFrame)
        assert pandas.Series(old.Series([1]).to_numpy()).sum() == 1
        file = io.BytesIO()
        pandas.DataFrame({"a": [1]}).to_pickle(file)
        file.seek(0)
        assert type(old.read_pickle(file)) is old.DataFrame
    """)


def test_group_is_lent_what_earlier_ones_have(cells):
    shown = cells.run("""
        from nixenv.private.seaborn12 import matplotlib, pandas, seaborn
        from nixenv.private.pandas20 import pandas as of_pandas20
        from nixenv.private.plot37 import matplotlib as of_plot37
        assert pandas is of_pandas20 and matplotlib is of_plot37 and seaborn.__version__ == "0.12.2"
        frame = of_pandas20.DataFrame({"x": [1, 2, 3], "y": [2, 1, 3], "kind": list("aab")})
        axes = seaborn.lineplot(frame, x="x", y="y", hue="kind")
        assert isinstance(axes, of_plot37.axes.Axes)
        assert type(crosses(frame)[0]) is pandas.DataFrame
    """)
    assert shown.kinds == [{"image/png", "text/plain"}]


def test_public_code_is_as_if_there_were_no_groups(cells: Cells):
    """After all of the above: the notebook's modules, and the names they go by, are its own."""
    cells.run("""
        import builtins, nixenv.private, re
        assert builtins.__import__.__module__ == "builtins" and type(sys.modules) is dict
        for name, module in list(sys.modules.items()):
            file = os.path.realpath(getattr(module, "__file__", None) or "")
            for own in ("click-7.1.2", "jinja2-3.0.3", "attrs-21.4.0", "pydantic-2.5.3", "pydantic-1.10.15", "protobuf-3.20.3",
                    "requests-2.25.1", "urllib3-1.", "matplotlib-3.7.5", "scikit-learn-1.3.2", "pandas-2.0.3"):
                if f"-{own}" in re.sub("_", "-", file):
                    assert name.startswith("nixenv.private."), (name, file)
    """)
