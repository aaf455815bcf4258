"""Build variables that follow their interpreter."""

import sys

import pytest

from nixlib.interpreters.sysconfigdata import relocated


def variables(source):
    space = {}
    exec(compile(source, "_sysconfigdata", "exec"), space)
    return space["build_time_vars"]


@pytest.mark.parametrize("prefix", ["/home/ana/.pyenv/versions/3.11.7", "/install", "/opt/python"])
def test_own_folders_become_those_of_the_running_interpreter(prefix):
    before = {
        "prefix": prefix,
        "LIBDIR": f"{prefix}/lib",
        "LDFLAGS": f"-L{prefix}/lib -Wl,-rpath,{prefix}/lib -L/usr/lib",
        "OTHER": f"{prefix}extra/lib /other{prefix}",
        "EXT_SUFFIX": ".cpython-311-x86_64-linux-gnu.so",
        "Py_DEBUG": 0,
    }
    after = relocated(f"build_time_vars = {before!r}\n", prefix)
    here = sys.base_prefix

    assert prefix + "/lib" not in after
    assert variables(after) == before | {
        "prefix": here,
        "LIBDIR": f"{here}/lib",
        "LDFLAGS": f"-L{here}/lib -Wl,-rpath,{here}/lib -L/usr/lib",
    }


def test_system_folders_stay_when_the_prefix_is_the_system():
    before = {
        "prefix": "/usr",
        "INCLUDEPY": "/usr/include/python3.11",
        "INSTALL": "/usr/bin/install -c",
        "CFLAGS": "-I/usr/include -I/usr/include/python3.11",
    }
    here = sys.base_prefix

    assert variables(relocated(f"build_time_vars = {before!r}", "/usr")) == {
        "prefix": here,
        "INCLUDEPY": f"{here}/include/python3.11",
        "INSTALL": "/usr/bin/install -c",
        "CFLAGS": f"-I/usr/include -I{here}/include/python3.11",
    }


def test_order_of_the_variables_makes_no_difference():
    one = relocated("build_time_vars = {'A': '/p/x', 'B': 1}", "/p")

    assert one == relocated("# generated\nbuild_time_vars = {'B': 1,\n 'A': '/p/x'}", "/p")


@pytest.mark.parametrize(
    "source", ["", "build_time_vars = make()", "x = 1", "build_time_vars = [", "1/"]
)
def test_other_modules_are_left_as_they_are(source):
    assert relocated(source, "/usr") == source
