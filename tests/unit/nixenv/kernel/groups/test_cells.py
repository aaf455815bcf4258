"""`%%private` in IPython's own shell, in a process of an environment with a group."""

from __future__ import annotations

import json
import site
import sys
import textwrap
from pathlib import Path

import pytest

STANDIN = Path(__file__).parents[1] / "engine_standin.py"

SHELL = """
import contextlib, io, os
import nixenv
nixenv.start_session({name: os.environ[name] for name in ("NIXENV_ENGINE", "NIXENV_DOCUMENT")})
from IPython.core.interactiveshell import InteractiveShell
shell = InteractiveShell.instance()
shell.run_line_magic("colors", "NoColor")
nixenv.load_ipython_extension(shell)
nixenv.load_ipython_extension(shell)
def run(cell, **how):
    text = io.StringIO()
    with contextlib.redirect_stdout(text), contextlib.redirect_stderr(text):
        result = shell.run_cell(cell, **how)
    return result, text.getvalue()
def refusal(cell):
    result, text = run(cell)
    assert result.error_before_exec is not None and "it ran" not in text, (result, text)
    assert "Traceback" not in text and type(result.error_before_exec).__name__ in text, text
    return [type(result.error_before_exec).__name__, str(result.error_before_exec)]
class Recorder:
    name, refusal, told = "recorder", None, None
    def admit(self):
        if self.refusal: raise self.refusal
    def find_spec(self, rest, path): return None
    def rewritten(self, cell, source):
        import ast
        self.told = source
        type(self).same = ast.dump(ast.parse(source), include_attributes=True) == ast.dump(cell, include_attributes=True)
        if self.refusal_late: raise self.refusal_late
        return ast.parse("'in its place'")
    refusal_late = None
    def describes_same(self, other): return self is other
    def leave(self): pass
"""


@pytest.fixture
def shell(own_notebook, tmp_path):
    """Runs code in a process with IPython's shell and the group `old`."""
    packages = str(own_notebook.world.site_packages(own_notebook.prefix))
    paths = [packages, *site.getsitepackages()]
    variables = {
        "PYTHONPATH": ":".join(paths),
        "IPYTHONDIR": str(tmp_path / "ipython"),
        "NIXENV_ENGINE": json.dumps([sys.executable, str(STANDIN)]),
        "NIXENV_DOCUMENT": str(tmp_path / "a.ipynb"),
        "STANDIN": str(tmp_path / "plan.json"),
    }
    (tmp_path / "a.ipynb").write_text(
        json.dumps({"metadata": {"nixenv": {"private": {"old": []}}}})
    )

    def run(code):
        return own_notebook.run(SHELL + textwrap.dedent(code), **variables)

    return run


def test_imports_of_the_cell_lead_to_the_group(shell):
    told = shell(r"""
        import builtins
        before = builtins.__import__
        run("import lib\nfirst = lib")
        result, text = run("%%private old\nimport lib.deep.down, base as b, json\nfrom lib import shape\n"
            "def late():\n    import lib.late as found\n    return found\nprint(lib.NUMBER)\nlib.NUMBER")
        run("import lib.deep as public_deep, base\nimport lib as again")
        space = shell.user_ns
        from nixenv.private.old import lib as old, base as old_base
        print(json.dumps([result.success, text.split(), space["b"] is old_base, space["lib"] is old,
            space["shape"] is old.shape, space["late"]() is old.late, space["again"] is space["first"],
            space["base"] is old_base, builtins.__import__ is before, result.result]))
    """)
    assert told == [True, ["1", "Out[0]:", "1"], True, True, True, True, True, False, True, 1]


def test_groups_of_the_environment_are_declared_and_what_hinders_is_said_before_a_cell(
    shell, own_notebook
):
    declare_in(own_notebook.prefix, {"lib_1_0": own_notebook.old})
    file = own_notebook.prefix / "share" / "nixenv" / "private" / "groups.json"
    groups = json.loads(file.read_text())["groups"]
    file.write_text(json.dumps({"groups": [*groups, {"name": "less"}]}))
    told = shell(r"""
        result, text = run("%%private lib_1_0\nimport lib\nlib.__name__", store_history=True)
        print(json.dumps([result.result, [line for line in text.splitlines() if "nixenv: " in line], names()]))
    """)
    assert told[0] == "nixenv.private.lib_1_0.lib"
    assert len(told[1]) == 1
    assert told[1][0].startswith("nixenv: private group `less` cannot be read: KeyError(")
    assert told[2] == ["lib_1_0", "old"]


def test_nothing_is_loaded_for_other_cells(shell):
    told = shell(r"""
        loaded = {name for name in sys.modules if name.startswith("nixenv.")}
        steps = len(shell.ast_transformers), len(shell.input_transformers_post)
        run("x = 1"); run("%time x"); run("%%time\nx")
        print(json.dumps([("nixenv.groups.cells" in sys.modules), steps, len(shell.ast_transformers)]))
    """)
    assert told == [False, [0, 0], 0]


def test_cell_of_an_unknown_group_does_not_run(shell):
    told = shell("""print(json.dumps(refusal("%%private odl\\nprint('it ran')")))""")
    assert told[0] == "PrivateGroupError"
    assert told[1].splitlines()[:2] == [
        "there is no private group `odl`",
        "  the notebook has `old`",
    ]
    assert "did you mean `%%private old`?" in told[1]


def test_group_that_only_the_notebook_has_is_told_from_an_unknown_one(shell, tmp_path):
    def said(**value):
        document = {"metadata": {"nixenv": {"private": {"new": ["lib"]}, **value}}}
        (tmp_path / "a.ipynb").write_text(json.dumps(document))
        return shell("""print(json.dumps(refusal("%%private new\\nprint('it ran')")))""")[1]

    assert said().endswith("\n\nhint: `%nixenv sync`")
    stale = said(lock={"private": [{"name": "older"}]})
    assert "the lock is older than it" in stale
    assert stale.endswith("\n\nhint: `%nixenv lock`, then `%nixenv sync`")
    assert said(lock={"private": [{"name": "new"}]}).endswith("\n\nhint: `%nixenv sync`")


def test_cell_of_a_refused_group_does_not_run(shell):
    told = shell("""
        Recorder.refusal = RefusedError("recorder", ["it is for another Python"], "`mode`: `process`")
        declare(Recorder())
        early = refusal("%%private recorder\\nprint('it ran')")
        Recorder.refusal, Recorder.refusal_late = None, RuntimeError("a bug")
        result, text = run("%%private recorder\\nprint('it ran')")
        again = run("%%private recorder\\nprint('it ran')")[0].success
        print(json.dumps([early, "Traceback" in text and "a bug" in text, "it ran" in text, again]))
    """)
    assert told[0][0] == "RefusedError"
    assert "it is for another Python" in told[0][1]
    assert told[1:] == [True, False, False]


def test_holder_is_given_the_whole_cell_with_its_line_numbers(shell):
    told = shell(r"""
        holder = Recorder()
        declare(holder)
        result, _ = run("%%private recorder   \n# a comment\n\nx = !echo 1\n%time y = 2\nawait z\n'é'")
        print(json.dumps([holder.told.split("\n"), Recorder.same, result.result]))
    """)
    lines, same, result = told
    assert lines[:3] == ["pass", "# a comment", ""]
    assert lines[3].startswith("x = get_ipython().getoutput('echo 1')")
    assert lines[4].startswith("get_ipython().run_line_magic('time', 'y = 2')")
    assert lines[5:7] == ["await z", "'é'"]
    assert same
    assert result == "in its place"


def test_errors_of_the_cell_are_at_their_own_line(shell):
    told = shell(r"""
        result, text = run("%%private old\nimport lib\nlib.call(lambda: 1 / 0)")
        error = result.error_in_exec
        syntax = run("%%private old\nimport lib\n\nx = = 2")[0].error_before_exec
        print(json.dumps([error.__traceback__.tb_next.tb_lineno, type(error).__name__,
            "----> 3 lib.call(lambda: 1 / 0)" in text, syntax.lineno]))
    """)
    assert told == [3, "ZeroDivisionError", True, 4]


def test_magics_await_and_an_empty_body(shell):
    told = shell(r"""
        def value(cell):
            result, text = run(cell)
            result.raise_error()
            return result.result
        value("%%private old\nimport lib, asyncio\nfound = await lib.wait()\nwords = !echo one two\n%time word = words[0]")
        empty = value("%%private old"), value("%%private old\n\n# nothing")
        space = shell.user_ns
        print(json.dumps([space["found"].__name__, space["word"], empty]))
    """)
    assert told == ["nixenv.private.old.lib.deep.down", "one two", [None, None]]


def test_import_behind_a_magic_is_refused(shell):
    told = shell(r"""
        texts = ["%time import lib", "%timeit -n1 from lib import shape", "x = %time __import__('x'); import lib.deep"]
        refused = [refusal("%%private old\nprint('it ran')\n" + text)[1].splitlines()[0] for text in texts]
        kept = run("%%private old\n%time import json\nimport lib\n%time lib.NUMBER")[0].success
        print(json.dumps([refused, kept]))
    """)
    assert told == [[
        "line 3: `%time` would import the notebook's `lib`",
        "line 3: `%timeit` would import the notebook's `lib`",
        "line 3: `%time` would import the notebook's `lib`",
    ], True]  # fmt: skip


@pytest.mark.parametrize("order", [("%%private old", "{}"), ("{}", "%%private old")])
def test_time_and_capture_stand_above_or_below(shell, order):
    first = "\n".join(order)
    told = shell(f"""
        result, text = run({first.format("%%time")!r} + "\\nimport lib\\nlib.NUMBER")
        captured, nothing = run({first.format("%%capture out")!r} + "\\nimport lib as again\\nprint('seen')")
        timed, _ = run({first.format("%%timeit -n1 -r1 -o")!r} + "\\nimport lib\\nassert lib.NUMBER == 1")
        assert timed.success
        space = shell.user_ns
        print(json.dumps([result.result, "Wall time" in text, nothing, space["out"].stdout, space["again"].NUMBER]))
    """)
    assert told == [1, True, "", "seen\n", 1]


def test_other_cell_magics_beside_it_are_refused(shell):
    told = shell(r"""
        below = [refusal("%%private old\n" + other + "\nprint('it ran')")[1].splitlines()[0]
            for other in ("%%prun", "%%bash", "%%private old")]
        result, text = run("%%prun -q\n%%private old\nimport lib\nprint('it ran')")
        print(json.dumps([below, type(result.error_in_exec).__name__, "it ran" in text, str(result.error_in_exec)]))
    """)
    below, name, ran, why = told
    assert below[0] == "`%%private` and `%%prun` cannot be one cell"
    assert below[1] == "`%%private` and `%%bash` cannot be one cell"
    assert below[2].startswith("a cell has one group")
    assert (name, ran) == ("UsageError", False)
    assert why.startswith("`%%private old` can only be a cell's first line")


def test_nothing_behind_it_shows_usage_and_groups(shell):
    told = shell(r"""
        result, text = run("%%private")
        print(json.dumps([result.success, text, refusal("%%private\nprint('it ran')")]))
    """)
    assert told[0]
    assert told[1].startswith("Usage: %%private GROUP")
    assert told[1].rstrip().endswith("the notebook has `old`")
    assert told[2] == [
        "UsageError",
        "`%%private` needs to be told which group\n  the notebook has `old`",
    ]


def test_it_is_a_cell_magic_for_consoles_help_and_other_code(shell):
    told = shell(r"""
        check = shell.input_transformer_manager.check_complete
        asked = [check("%%private old")[0], check("%%private old\nimport lib")[0], check("%%private old\nimport lib\n\n")[0]]
        run("get_ipython().run_cell_magic('private', 'old', 'import lib as one')")
        help = run("%%private?")[1]
        other = run("%%privateer\nx = 1")
        nixenv.unload_ipython_extension(shell)
        gone = run("%%private old\npass")[0].success
        steps = shell.input_transformers_cleanup + shell.input_transformers_post + shell.ast_transformers
        left = [step for step in steps if "private" in repr(step)]
        print(json.dumps([asked, shell.user_ns["one"].NUMBER, "Usage: %%private" in help,
            "`%%privateer` not found" in other[1], gone, left]))
    """)
    assert told == [["incomplete", "incomplete", "complete"], 1, True, True, False, []]


def environment_with(notebook, groups: dict[str, Path]) -> Path:
    """Another environment of the same packages, with `groups` that are in one folder each."""
    packages = {entry.resolve().parent for entry in notebook.world.site_packages(notebook.prefix).iterdir()}  # fmt: skip
    prefix = notebook.world.environment("other", *packages)
    declare_in(prefix, groups)
    return prefix


def declare_in(prefix: Path, groups: dict[str, Path]) -> None:
    folder = prefix / "share" / "nixenv" / "private"
    folder.mkdir(parents=True)
    entries = []
    for name, home in groups.items():
        (folder / name).symlink_to(home)
        tops = sorted({entry.name.partition(".")[0] for entry in home.iterdir()} - {"lib-1"})
        entries.append({
            "name": name, "mode": "import", "folders": [name], "owned": [top for top in tops if "-" not in top],
            "distributions": {"lib": "1.0"}, "public": ["base", "shared"], "lent": {}, "exposed": [],
        })  # fmt: skip
    (folder / "groups.json").write_text(json.dumps({"groups": entries}))


def test_requirements_make_a_group_before_the_cell_runs(shell, own_notebook, tmp_path):
    other = environment_with(own_notebook, {"lib_1_0": own_notebook.old})
    answer = {
        "python": str(other / "bin" / "python"),
        "private": [{"group": "lib_1_0", "added": [{"name": "lib", "version": "1.0"}]}],
    }
    (tmp_path / "plan.json").write_text(json.dumps({"answer": answer}))
    told = shell(r"""
        withdraw("old")
        result, text = run("%%private lib==1.0\nimport lib\nlib.__name__")
        os.remove(os.environ["STANDIN"])
        again, quiet = run("%%private 'lib == 1.0'\nimport lib.shape\nlib.shape.__name__")
        named = run("%%private lib_1_0\nimport lib as named")[0].success
        print(json.dumps([result.result, "private group `lib_1_0`: 1 added" in text, again.result, quiet, named, names()]))
    """)
    heard = json.loads((tmp_path / "heard.json").read_text())["argv"]
    assert heard[2:5] == ["--private", "lib_1_0", "lib==1.0"]
    assert told[:3] == ["nixenv.private.lib_1_0.lib", True, "nixenv.private.lib_1_0.lib.shape"]
    assert told[3].startswith("Out[")
    assert told[4:] == [True, ["lib_1_0"]]


def test_a_name_that_is_anothers_is_not_taken(shell, tmp_path):
    document = {"metadata": {"nixenv": {"private": {"lib_1_0": ["other==3"]}}}}
    (tmp_path / "a.ipynb").write_text(json.dumps(document))
    (tmp_path / "plan.json").write_text(json.dumps({"answer": {}}))
    told = shell("""print(json.dumps(refusal("%%private lib==1.0 --process\\nprint('it ran')")))""")
    assert json.loads((tmp_path / "heard.json").read_text())["argv"][2:] == [
        "--private", "lib_1_0_process", "--process", "lib==1.0", "--json", "--events",
    ]  # fmt: skip
    told = shell("""print(json.dumps(refusal("%%private lib==1.0\\nprint('it ran')")))""")
    name = json.loads((tmp_path / "heard.json").read_text())["argv"][3]
    assert name.startswith("lib_1_0_")
    assert f"the group is in the notebook as `{name}`, but not in this kernel" in told[1]
    assert "restart the kernel to use it" in told[1]


def test_what_the_engine_says_is_the_cells_error(shell, tmp_path):
    error = {"type": "PrivateGroupError", "message": "cannot `lib`", "hint": '`"mode": "process"`'}
    (tmp_path / "plan.json").write_text(json.dumps({"answer": {"error": error}, "status": 3}))
    told = shell("""print(json.dumps(refusal("%%private lib<1\\nprint('it ran')")))""")
    assert told == ["PrivateGroupError", 'cannot `lib`\n\nhint: `"mode": "process"`']


def test_a_group_and_a_requirement_in_one_line_are_refused(shell):
    told = shell("""print(json.dumps(refusal("%%private old lib<1\\nprint('it ran')")))""")
    assert told[0] == "UsageError"
    assert told[1].startswith("`old` is a private group: a cell has one")
