"""The files in `bin/`: each finds the Python beside itself, wherever that is."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from nixlib.composition.scripts import (
    command_fault,
    console_script,
    is_python_script,
    relocate_python_script,
)


@pytest.fixture(params=["bin", "a place with spaces", 'it\'s $(touch x) "quoted"'])
def folder(request, tmp_path):
    found = tmp_path / request.param
    found.mkdir()
    (found / "python").symlink_to(sys.executable)
    return found


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    path.chmod(0o755)
    return path


def run(*argv, **more):
    done = subprocess.run(argv, capture_output=True, text=True, check=False, **more)
    return done.returncode, done.stdout.splitlines(), done.stderr


def test_console_script_runs_beside_its_python(folder):
    script = write(folder / "x", console_script("platform:python_implementation"))
    assert run(script) == (1, [], "CPython\n")


def test_console_script_calls_a_nested_attribute(folder):
    script = write(folder / "x", console_script("io:BytesIO.fromkeys") or b"")
    assert "AttributeError" in run(script)[2]
    script = write(folder / "x", console_script("io:StringIO.__new__") or b"")
    assert "TypeError" in run(script)[2]


def test_script_runs_through_a_link_and_from_path(folder, tmp_path):
    script = write(
        folder / "x", relocate_python_script(b"#!python\nimport sys\nprint(sys.argv[1:])\n")
    )
    (tmp_path / "links").mkdir()
    other = tmp_path / "links" / "other"
    other.symlink_to(script)
    again = tmp_path / "links" / "again"
    again.symlink_to("other")
    for argv, env in [
        ([again, "a b", "*"], None),
        (["./other", "a b", "*"], None),
        (["x", "a b", "*"], {"PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"}),
    ]:
        assert run(*argv, cwd=tmp_path / "links", env=env)[:2] == (0, ["['a b', '*']"])


def test_script_is_also_a_program_for_python(folder):
    made = write(folder / "x", console_script("platform:python_implementation"))
    assert run(sys.executable, made)[2] == "CPython\n"
    kept = write(folder / "y", relocate_python_script(b"#!python\nprint(1)\n"))
    assert run(sys.executable, kept)[1] == ["1"]


def test_python_script_keeps_docstring_future_and_coding(folder):
    source = (
        b"#!pythonw -s\n# -*- coding: latin-1 -*-\n"
        b'"""the doc"""\nfrom __future__ import annotations\n'
        b"import sys\nprint(__doc__, '\xe9' == chr(233), sys._getframe().f_lineno)\n"
    )
    script = write(folder / "x", relocate_python_script(source))
    assert run(script)[1] == ["the doc True 6"]


def test_first_line_is_short_enough_for_old_kernels():
    assert len(relocate_python_script(b"#!python\n").splitlines()[0]) <= 127


def test_python_script_of_one_line_without_newline_is_relocated():
    assert relocate_python_script(b"#!python").count(b"\n") == 1


@pytest.mark.parametrize(
    "name", ["f2py", "jupyter-lab", "2to3", "a.b", "a+b", "_x", "python-argcomplete", "pip3.11"]
)
def test_ordinary_command_name_has_no_fault(name):
    assert command_fault(name) == ""


@pytest.mark.parametrize("entry_point", ["a.b:c.d", " a : b ", "a:b [extra]", "a:b[x,y]", "ä:ö"])
def test_entry_point_in_every_legal_spelling_is_a_script(entry_point):
    assert console_script(entry_point)


LONG = "/opt/" + "long/" * 30
HANDED_OVER = [
    f"#!/bin/sh\n'''exec' \"{LONG}bin/python3.11\" \"$0\" \"$@\" #'''\n",
    f"#!/bin/sh\n'''exec' {LONG}bin/python3.11 \"$0\" \"$@\"\n' '''\n",
]


@pytest.mark.parametrize("start", HANDED_OVER, ids=["one-line", "two-lines"])
def test_script_that_sh_hands_to_python_finds_the_environments(folder, start):
    script = write(folder / "x", relocate_python_script(f"{start}print('here')\n".encode()))
    assert run(script)[1] == ["here"]


@pytest.mark.parametrize(
    ("start", "prefix", "is_one"),
    [
        ("#!/opt/p/bin/python3.11\n", "/opt/p", True),
        ("#! /opt/p/bin/python -E\n", "/opt/p", True),
        ("#!/opt/other/bin/python\n", "/opt/p", False),
        ("#!/usr/bin/env python3\n", "/opt/p", True),
        ("#!/usr/bin/env bash\n", "/opt/p", False),
        ("#!/opt/p/bin/perl\n", "/opt/p", False),
        (HANDED_OVER[0], LONG.rstrip("/"), True),
        (HANDED_OVER[1], LONG.rstrip("/"), True),
        (HANDED_OVER[1], "/opt/p", False),
        ("#!/bin/sh\nexec python\n", "/opt/p", False),
        ("\x7fELF", "/opt/p", False),
    ],
)
def test_script_of_a_prefix_is_known_by_what_starts_it(start, prefix, is_one):
    assert is_python_script(start.encode(), prefix) is is_one
