import pytest

from nixlib.conda.linkscripts import left_undone, link_script_of


@pytest.mark.parametrize(
    ("path", "package"),
    [
        ("bin/.font-ttf-post-link.sh", "font-ttf"),
        ("bin/.a-pre-link.sh", "a"),
        ("bin/.a-pre-unlink.sh", ""),
        ("bin/a-post-link.sh", ""),
        ("share/.a-post-link.sh", ""),
    ],
)
def test_scripts_that_conda_would_run_are_known_by_name(path, package):
    assert link_script_of(path) == package


HARMLESS = {
    "message": '#!/bin/bash\nset -e\necho "Read the docs" >> "${PREFIX}/.messages.txt"\nexit 0\n',
    "here-document": "cat <<EOF >> $PREFIX/.messages.txt\nrm -rf this is text\nEOF\n",
    "quoted here-document": "cat << 'END' >> ${PREFIX}/.messages.txt\n  mv a b\nEND\n",
    "cache": '"${PREFIX}/bin/fc-cache" -f > /dev/null 2>&1\n',
    "structure": 'if [ -z "$X" ]; then\n  echo no >&2\nfi\n',
    "nothing": "",
}


@pytest.mark.parametrize("script", HARMLESS.values(), ids=HARMLESS.keys())
def test_script_that_only_talks_is_no_loss(script):
    assert left_undone(script) == ""


HARMFUL = {
    "program": ('echo hello\n"${PREFIX}/bin/dot" -c\n', '"${PREFIX}/bin/dot" -c'),
    "file": ("echo 1 > $PREFIX/etc/x\n", "echo 1 > $PREFIX/etc/x"),
    "inside": ("if true; then\n  ln -s a b\nfi\n", "ln -s a b"),
    "joined line": ("glib-compile-schemas \\\n  share\n", "glib-compile-schemas    share"),
}


@pytest.mark.parametrize(("script", "line"), HARMFUL.values(), ids=HARMFUL.keys())
def test_script_that_does_something_is_told_by_its_first_line(script, line):
    assert left_undone(script) == line
