"""What a group's packages meet in a kernel: builtins of compiled code, keys made of names, what shows figures."""

from __future__ import annotations

import textwrap

FILES = {
    "matplotlib/__init__.py": """
        WHO = "the group's"
        TABLE = {"matplotlib:own": 1}
        def keyed():
            return TABLE[f"{__name__}:own"]
        def finds():
            import builtins
            return sorted(vars(builtins))
        def draws():
            import matplotlib_inline
            from IPython.core.pylabtools import who
            return matplotlib_inline.who(), who()
        def entry():
            from importlib import metadata
            return metadata.version("matplotlib-inline")
    """,
}
PUBLIC = {
    "matplotlib/__init__.py": "WHO = 'the notebook\\'s'\n",
    "matplotlib_inline/__init__.py": """
        import traitlets
        def who():
            import matplotlib
            return matplotlib.WHO
    """,
    "traitlets.py": "",
    "IPython/__init__.py": "",
    "IPython/core/__init__.py": "",
    "IPython/core/pylabtools.py": """
        def who():
            import matplotlib
            return matplotlib.WHO
    """,
    "matplotlib_inline-1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: matplotlib-inline\nVersion: 1.0\n",
}


def written(folder, files):
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))
    return folder


def surrounded(notebook, tmp_path, code):
    """Run `code` beside a group `plots` that has a matplotlib of its own."""
    own, public = written(tmp_path / "own", FILES), written(tmp_path / "public", PUBLIC)
    preamble = f"""
        import sys, builtins
        sys.path.insert(0, {str(public)!r})
        declare(Domain(Group("plots", ({str(own)!r},), frozenset({{"matplotlib"}}), {{"matplotlib": "1.0"}})))
    """
    return notebook.run(textwrap.dedent(preamble) + textwrap.dedent(code))


def test_capsules_of_compiled_code_in_builtins_are_not_taken_over(notebook, tmp_path):
    """pybind11 keeps its registry of types there: two versions in one registry do not load."""
    said = surrounded(
        notebook,
        tmp_path,
        """
        import datetime
        builtins.__registry = datetime.datetime_CAPI
        builtins.plain = 1
        from nixenv.private.plots import matplotlib
        print(json.dumps({"found": matplotlib.finds()}))
        """,
    )
    assert "plain" in said["found"]
    assert "__registry" not in said["found"]


def test_key_that_a_package_makes_of_its_name_is_its_own(notebook, tmp_path):
    said = surrounded(
        notebook,
        tmp_path,
        """
        from nixenv.private.plots import matplotlib
        print(json.dumps({"own": matplotlib.keyed(), "full": f"{matplotlib.__name__}"}))
        """,
    )
    assert said == {"own": 1, "full": "nixenv.private.plots.matplotlib"}


def test_figures_are_shown_by_copies_that_draw_with_the_groups_matplotlib(notebook, tmp_path):
    said = surrounded(
        notebook,
        tmp_path,
        """
        from nixenv.private.plots import matplotlib as old
        import matplotlib, matplotlib_inline, IPython.core.pylabtools as tools
        print(json.dumps({"old": old.draws(), "new": [matplotlib_inline.who(), tools.who()], "entry": old.entry()}))
        """,
    )
    assert said == {"old": ["the group's"] * 2, "new": ["the notebook's"] * 2, "entry": "1.0"}
