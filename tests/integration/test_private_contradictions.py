"""Packages whose newest releases contradict each other, in one notebook: each gets dependencies of its own.

`md2cf` needs mistune 0.8, `md2gemini` mistune 2, `m2r2` mistune 3; each imports it by its plain name.
"""

from __future__ import annotations

import json

import pytest
from private_notebook import MARKS, cells_of, group_of, lock_of, versions, write_notebook

pytestmark = MARKS

CONFLUENCE, GEMINI, SPHINX = "md2cf>=2.3", "md2gemini>=1.9.1", "m2r2>=2.1"
LINES = (CONFLUENCE, GEMINI, SPHINX)


@pytest.mark.parametrize(
    "pair", [(CONFLUENCE, GEMINI), (CONFLUENCE, SPHINX), (GEMINI, SPHINX)], ids="-".join
)
def test_each_two_of_them_contradict_each_other(engine_home, tmp_path, pair):
    path = write_notebook(tmp_path / "a.ipynb", *pair)
    answer = engine_home.engine("lock", path, "--json", check=False)
    assert answer.returncode
    error = json.loads(answer.stdout)["error"]
    assert error["type"] == "ResolutionError", error
    assert "mistune" in answer.stdout


@pytest.fixture(scope="module")
def notebook(engine_home, tmp_path_factory):
    """Grown as a user grows it: each line that contradicts what is there is given the group that is offered."""
    path = write_notebook(tmp_path_factory.mktemp("contradictions") / "a.ipynb", GEMINI)
    for line in (CONFLUENCE, SPHINX):
        before = path.read_text()
        answer = engine_home.engine("add", path, line, "--json", check=False)
        assert answer.returncode
        assert path.read_text() == before
        offer = json.loads(answer.stdout)["error"]["offer"]
        assert (offer["group"], offer["package"], offer["mode"]) == (name_of(line),) * 2 + (
            "import",
        )
        grown = ("--private", offer["group"], "--for", offer["package"])
        engine_home.engine("add", path, offer["line"], *grown)
    return path


def name_of(line: str) -> str:
    return line.partition(">=")[0]


def test_lock_has_three_mistunes(notebook):
    spec = json.loads(notebook.read_text())["metadata"]["nixenv"]
    assert spec["private"].keys() == {"md2cf", "m2r2"}
    locked = [lock_of(notebook)["packages"]]
    locked += [group_of(notebook, name)["packages"] for name in ("md2cf", "m2r2")]
    found = [versions(packages) for packages in locked]
    assert [packages["mistune"].split(".")[0] for packages in found] == ["2", "0", "3"]
    assert found[0].keys() & {"md2cf", "m2r2", "docutils"} == set()


USE = r"""
    import md2cf.document, md2gemini, m2r2, os, pickle, sys
    TEXT = "# A title\n\nSome *text*.\n"
    assert md2cf.document.parse_page([TEXT]).body == "<h1>A title</h1>\n<p>Some <em>text</em>.</p>\n"
    assert md2gemini.md2gemini(TEXT).split() == ["#", "A", "title", "Some", "*text*."]
    assert m2r2.convert(TEXT).split() == ["A", "title", "=======", "Some", "*text*."]
"""


def test_all_three_are_used_in_one_notebook(notebook, engine_home):
    with cells_of(notebook, engine_home) as cells:
        cells.run(USE)
        cells.run("""
            import mistune
            from nixenv.private.md2cf import mistune as of_md2cf, md2cf as same
            from nixenv.private.m2r2 import mistune as of_m2r2
            assert [module.__version__.split(".")[0] for module in (mistune, of_md2cf, of_m2r2)] == ["2", "0", "3"]
            assert md2gemini.mistune is mistune and md2cf.document.mistune is of_md2cf
            assert same is md2cf is sys.modules["md2cf"]
            try: import docutils  # what it needs is its own
            except ModuleNotFoundError: pass
            else: raise AssertionError(docutils)
            import multiprocessing, concurrent.futures
            page = md2cf.document.parse_page([TEXT])
            assert pickle.loads(pickle.dumps(page)).body == page.body
            for method in ("fork", "spawn"):
                with multiprocessing.get_context(method).Pool(1) as pool:
                    assert pool.apply(md2cf.document.parse_page, ([TEXT],)).body == page.body
                    assert pool.apply(m2r2.convert, (TEXT,)) == m2r2.convert(TEXT)
                    assert pool.apply(md2gemini.md2gemini, (TEXT,)) == md2gemini.md2gemini(TEXT)
            from importlib import metadata
            assert metadata.version("mistune").startswith("2.")
        """)


def test_groups_for_all_three_need_nothing_of_the_notebooks(engine_home, tmp_path):
    groups = {name_of(line): {"for": name_of(line)} for line in LINES}
    path = write_notebook(tmp_path / "a.ipynb", *LINES, private=groups)
    engine_home.engine("lock", path)
    assert "mistune" not in versions(lock_of(path)["packages"])
    with cells_of(path, engine_home) as cells:
        cells.run(USE)
        assert cells.fails("import mistune")["ename"] == "ModuleNotFoundError"
