from __future__ import annotations

from nixenv.kernel.output import Page, changes_page, list_page, status_page, tree_page


def test_changes_are_sorted_by_name():
    answer = {
        "added": [{"name": "seaborn", "version": "0.12.2"}],
        "changed": [{"name": "numpy", "from": "1.23.5", "to": "1.24.0"}],
        "removed": [{"name": "attrs", "version": "23.1"}],
        "held": ["numpy 1.24.0, held to 2023-03: pandas 1.5.0 is of 2022-09"],
        "warnings": ["`x` disagrees with its RECORD"],
    }
    assert changes_page(answer, ["ready"]).text() == (
        "packages: 1 added, 1 changed, 1 removed\n"
        "  -  attrs    23.1\n"
        "  ~  numpy    1.23.5 → 1.24.0\n"
        "  +  seaborn  0.12.2\n"
        "warning: `x` disagrees with its RECORD\n"
        "held in its own time: numpy 1.24.0, held to 2023-03: pandas 1.5.0 is of 2022-09\n"
        "ready"
    )


def test_no_change_says_so():
    assert changes_page({"frontend": None}, []).text() == "no package changes"


def test_missing_page_part_comes_last():
    answer = {"frontend": {"message": "`b` has a part for the page"}}
    assert changes_page(answer, ["ready"]).remarks == ("ready", "`b` has a part for the page")


def test_html_is_escaped_and_marks_names():
    page = Page("`<x>`", (("<a>", "b"),), "<pre>", ("see `y`",), ("<w>",))
    assert page.html() == (
        "<div><strong><code>&lt;x&gt;</code></strong></div>\n"
        "<table><tbody><tr><td>&lt;a&gt;</td><td>b</td></tr></tbody></table>\n"
        "<pre>&lt;pre&gt;</pre>\n"
        "<div><strong>warning:</strong> &lt;w&gt;</div>\n"
        "<div>see <code>y</code></div>"
    )


def test_list_says_what_was_asked_for_and_what_was_held():
    packages = [
        {"name": "numpy", "version": "1.24", "requirement": "", "held": "held to 2023-03"},
        {"name": "pandas", "version": "2.0", "requirement": "pandas>=2", "held": ""},
    ]
    assert list_page({"packages": packages, "python": "3.11.7"}).text() == (
        "2 packages\n"
        "  python  3.11.7\n"
        "  numpy   1.24               held to 2023-03\n"
        "  pandas  2.0     pandas>=2"
    )


def test_tree_is_drawn():
    tree = [
        {"name": "a", "version": "1", "dependencies": [
            {"name": "b", "version": "2", "dependencies": [{"name": "c", "version": "3"}]},
            {"name": "c", "version": "3", "seen": True},
        ]},
    ]  # fmt: skip
    assert tree_page({"tree": tree}).text() == "a 1\n├── b 2\n│   └── c 3\n└── c 3 (above)"


def test_status_has_the_documents_facts_and_the_kernels():
    answer = {
        "notebook": "/n/a.ipynb",
        "locked": True,
        "requirements": ["a", "b"],
        "lock_digest": None,
        "python": "3.11",
    }
    page = status_page(answer, {"notebook": "a.ipynb", "kernel python": "3.11.7"})
    assert page.title == "`a.ipynb`"
    assert page.rows == (
        ("locked", "yes"), ("requirements", "a, b"), ("python", "3.11"), ("kernel python", "3.11.7"),
    )  # fmt: skip


def test_tree_says_what_the_command_says():
    tree = [
        {"name": "a", "version": "1", "build": "h0_0", "origin": "conda-forge",
         "reason": "conda-forge: the first", "dependencies": [
            {"name": "b", "version": "2", "build": "h1_0", "origin": "conda-forge"}]},
        {"name": "c", "version": "3", "origin": "sdist", "reason": "asked for: `c`"},
    ]  # fmt: skip
    assert tree_page({"tree": tree}).text() == (
        "a 1 h0_0: conda-forge: the first\n└── b 2 h1_0 (conda-forge)\nc 3 (sdist): asked for: `c`"
    )


def test_list_has_builds_and_origins_and_one_python():
    packages = [
        {"name": "python", "version": "3.11.7", "build": "h0_0", "origin": "conda-forge"},
        {"name": "six", "version": "1.17.0", "requirement": "six"},
    ]
    assert list_page({"packages": packages, "python": "3.11.7"}).text() == (
        "2 packages\n  python  3.11.7 h0_0  conda-forge\n  six     1.17.0                    six"
    )


def test_sentences_of_the_status_have_a_line_each():
    answer = {"notes": ["a, b", "c"], "notebook": "/n/a.ipynb"}
    assert status_page(answer, {"notebook": "a.ipynb"}).rows == (("notes", "a, b"), ("", "c"))


def test_changes_of_private_groups_stand_behind_the_notebooks():
    answer = {
        "added": [{"name": "six", "version": "1.17.0"}],
        "private": [
            {"group": "old", "mode": "import",
             "added": [{"name": "pandas", "version": "2.0.3"}, {"name": "a", "version": "1"}],
             "changed": [{"name": "pytz", "from": "2023.1", "to": "the notebook's"}]},
            {"group": "legacy", "mode": "process", "removed": [{"name": "pydantic", "version": "1.10"}]},
        ],
    }  # fmt: skip
    assert changes_page(answer, []).text() == (
        "packages: 1 added; private group `old`: 2 added, 1 changed; private group `legacy`: 1 removed\n"
        "  +  six               1.17.0\n"
        "  +  old: a            1\n"
        "  +  old: pandas       2.0.3\n"
        "  ~  old: pytz         2023.1 → the notebook's\n"
        "  -  legacy: pydantic  1.10"
    )
    assert changes_page({"private": answer["private"][1:]}, []).title == "private group `legacy`: 1 removed"  # fmt: skip


def test_list_has_private_groups_below_the_packages():
    old = {
        "group": "old", "mode": "import", "python": None, "shared": ["numpy", "six"],
        "lent": {"pytz": "older", "tzdata": "older"},
        "packages": [{"name": "pandas", "version": "2.0.3", "requirement": "pandas==2.0.3"}],
    }  # fmt: skip
    legacy = {"group": "legacy", "mode": "process", "python": "3.8.18", "packages": []}
    packages = [{"name": "numpy", "version": "1.26.4", "for": "old"}]
    assert list_page({"packages": packages, "private": [old, legacy]}).text() == (
        "1 packages\n"
        "  numpy  1.26.4    for `old`\n"
        "private old\n"
        "  pandas  2.0.3  pandas==2.0.3\n"
        "  the notebook's numpy, six\n"
        "  older's pytz, tzdata\n"
        "private legacy\n"
        "  python  3.8.18  of its own process"
    )


def test_tree_has_private_groups_below_the_notebooks():
    tree = [{"name": "six", "version": "1.17.0"}]
    old = {"group": "old", "mode": "import", "tree": [
        {"name": "pandas", "version": "2.0.3", "dependencies": [
            {"name": "numpy", "version": "1.26.4", "shared": "the notebook"},
            {"name": "pytz", "version": "2023.3", "shared": "older"},
        ]},
    ]}  # fmt: skip
    assert tree_page({"tree": tree, "private": [old]}).text() == (
        "six 1.17.0\n"
        "private old\n"
        "  pandas 2.0.3\n"
        "  ├── numpy 1.26.4 (the notebook's)\n"
        "  └── pytz 2023.3 (older's)"
    )


def test_private_groups_of_the_status_have_a_line_each():
    answer = {"private": ["old: a==1, b", "legacy: c (process)"], "notebook": "/n/a.ipynb"}
    kernel = {"notebook": "a.ipynb", "private groups in use": ["old: its module `a` is loaded"]}
    assert status_page(answer, kernel).rows == (
        ("private", "old: a==1, b"), ("", "legacy: c (process)"),
        ("private groups in use", "old: its module `a` is loaded"),
    )  # fmt: skip
