"""The path in VS Code's startup code, made as its extension makes it."""

import pytest

from nixenv.bootstrap.vscode import told_paths


def startup_code(path):
    """Like `gatherInternalStartupCode`: providers' code, the path with doubled backslashes, the rest."""
    escaped = path.replace("\\", "\\\\")
    lines = (
        "import os",
        f'__vsc_ipynb_file__ = "{escaped}"',
        "try:",
        '    get_ipython().run_line_magic("config", "Completer.use_jedi = False")',
        "except:",
        "    print('Failed')",
    )
    return "\n".join(lines)


@pytest.mark.parametrize(
    "path",
    [
        "/home/ana/a.ipynb",
        "/home/ana/with space/é ü 日本.ipynb",
        "/home/ana/it's.ipynb",
        '/home/ana/say "hello".ipynb',
        "/home/ana/back\\slash.ipynb",
        "/home/ana/two\nlines.ipynb",
    ],
)
def test_path_is_read_whatever_is_in_it(path):
    assert path in told_paths(startup_code(path))


def test_last_line_without_an_end_is_read():
    assert told_paths('__vsc_ipynb_file__ = "/a.ipynb"') == ("/a.ipynb",)


def test_quote_before_a_newline_gives_both_readings():
    assert told_paths(startup_code('/a"\nb.ipynb'))[:2] == ("/a", '/a"\nb.ipynb')


@pytest.mark.parametrize(
    "code",
    [
        "",
        "print('__vsc_ipynb_file__')",
        "x = __vsc_ipynb_file__",
        "try:\n    import ipywidgets as _VSCODE_ipywidgets\nexcept:\n    pass",
    ],
)
def test_other_code_says_nothing(code):
    assert told_paths(code) == ()
