"""Compiled modules of a group: what their C code imports, on every Python that a notebook may ask for."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from dataclasses import dataclass
from pathlib import Path

import pytest

from nixlib.interpreters.host_python import find_hosts

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        sys.platform != "linux" or os.uname().machine != "x86_64", reason="compiled groups"
    ),
]
KERNEL_SIDE = Path(__file__).parents[2] / "nixenv" / "kernel"

EXTENSION = r"""
#include <Python.h>
static PyObject *by_name(PyObject *self, PyObject *name) { return PyImport_ImportModule(PyUnicode_AsUTF8(name)); }
static PyObject *by_object(PyObject *self, PyObject *name) { return PyImport_Import(name); }
static PyObject *by_level(PyObject *self, PyObject *name) {
    return PyImport_ImportModuleLevelObject(name, NULL, NULL, NULL, 0); }
static PyObject *present(PyObject *self, PyObject *name) {
    PyObject *found = PyImport_GetModule(name);
    if (!found && !PyErr_Occurred()) Py_RETURN_NONE;
    return found; }
static PyObject *added(PyObject *self, PyObject *name) {
    PyObject *found = PyImport_AddModule(PyUnicode_AsUTF8(name));
    Py_XINCREF(found); return found; }
static PyObject *in_dictionary(PyObject *self, PyObject *name) {
    PyObject *found = PyDict_GetItem(PyImport_GetModuleDict(), name);
    if (!found) Py_RETURN_NONE;
    Py_INCREF(found); return found; }
static PyObject *placed(PyObject *self, PyObject *pair) {
    if (PyDict_SetItem(PyImport_GetModuleDict(), PyTuple_GetItem(pair, 0), PyTuple_GetItem(pair, 1))) return NULL;
    return PyImport_GetModule(PyTuple_GetItem(pair, 0)); }
static PyObject *raising(PyObject *self, PyObject *name) {
    PyErr_SetString(PyExc_LookupError, "pending");
    Py_XDECREF(PyImport_GetModule(name));
    if (!PyThreadState_GetDict() || !PyEval_GetBuiltins()) Py_RETURN_NONE;
    return NULL; }
static PyObject *keep(PyObject *self, PyObject *value) {
    if (PyDict_SetItemString(PyThreadState_GetDict(), "kept", value)) return NULL;
    Py_RETURN_NONE; }
static PyObject *kept(PyObject *self, PyObject *none) {
    PyObject *found = PyDict_GetItemString(PyThreadState_GetDict(), "kept");
    if (!found) Py_RETURN_NONE;
    Py_INCREF(found); return found; }
static PyObject *without_lock(PyObject *self, PyObject *none) {
    PyThreadState *state = PyEval_SaveThread();
    void *found = PyThreadState_GetDict();
    PyEval_RestoreThread(state);
    return PyBool_FromLong(found == NULL); }
static PyObject *builtin(PyObject *self, PyObject *name) {
    PyObject *found = PyDict_GetItem(PyEval_GetBuiltins(), name);
    Py_XINCREF(found); return found; }
static PyObject *capsule(PyObject *self, PyObject *name) {
    char *text = PyCapsule_Import(PyUnicode_AsUTF8(name), 0);
    return text ? PyUnicode_FromString(text) : NULL; }
static PyMethodDef methods[] = {
    {"by_name", by_name, METH_O}, {"by_object", by_object, METH_O}, {"by_level", by_level, METH_O},
    {"present", present, METH_O}, {"added", added, METH_O}, {"in_dictionary", in_dictionary, METH_O},
    {"raising", raising, METH_O}, {"placed", placed, METH_O}, {"keep", keep, METH_O}, {"kept", kept, METH_NOARGS},
    {"without_lock", without_lock, METH_NOARGS}, {"builtin", builtin, METH_O}, {"capsule", capsule, METH_O}, {NULL}};
typedef struct { PyObject_HEAD } Plain;
static PyTypeObject PlainType = { PyVarObject_HEAD_INIT(NULL, 0) .tp_name = "both.fast.Plain",
    .tp_basicsize = sizeof(Plain), .tp_flags = Py_TPFLAGS_DEFAULT, .tp_new = PyType_GenericNew };
static struct PyModuleDef definition = { PyModuleDef_HEAD_INIT, "fast", NULL, -1, methods };
PyMODINIT_FUNC PyInit_fast(void) {
    PyObject *module = PyModule_Create(&definition);
    if (PyType_Ready(&PlainType) < 0) return NULL;
    Py_INCREF(&PlainType); PyModule_AddObject(module, "Plain", (PyObject *)&PlainType);
    PyObject *at_start = PyImport_ImportModule("both.number");
    if (!at_start) return NULL;
    PyModule_AddObject(module, "at_start", at_start);
    PyModule_AddObject(module, "SECRET", PyCapsule_New(TEXT, "both.fast.SECRET", NULL));
    return module; }
"""

ASKED = """
import json, sysconfig
print(json.dumps([sysconfig.get_path("include"), sysconfig.get_config_var("EXT_SUFFIX")]))
"""
PREAMBLE = f"""
import gc, importlib.util, json, os, sys, threading, time
spec = importlib.util.spec_from_file_location("launcher", {str(KERNEL_SIDE / "launcher.py")!r})
launcher = importlib.util.module_from_spec(spec)
spec.loader.exec_module(launcher)
sys.meta_path.insert(0, launcher.KernelSideFinder)
from nixenv.groups import RefusedError, declare
from nixenv.groups.importing.domain import Domain
from nixenv.groups.group import Group
root = sys.argv[1]
sys.path.append(root + "/two")
declare(Domain(Group("one", (root + "/one",), frozenset(["both"]), {{"both": "1"}})))
def in_thread(function, *arguments):
    answers = []
    thread = threading.Thread(target=lambda: answers.append(function(*arguments)))
    thread.start(); thread.join()
    return answers[0]
"""


@dataclass(frozen=True)
class Both:
    """A package in two versions, `one` of a group and `two` of the notebook, each with a C module."""

    root: Path
    python: Path

    def run(self, code: str, *, timeout: int = 60) -> str:
        done = subprocess.run(
            [self.python, "-X", "faulthandler", "-c", PREAMBLE + textwrap.dedent(code), self.root],
            capture_output=True, text=True, check=False, timeout=timeout, cwd=self.root,
            env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
        )  # fmt: skip
        assert done.returncode == 0, done.stderr[-6000:]
        return done.stdout


def make(root: Path, python: Path, *flags: str, more: str = "") -> Both:
    told = subprocess.run(
        [python, "-c", ASKED],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    include, suffix = json.loads(told)
    (root / "fast.c").write_text(EXTENSION + more)
    for version in ("one", "two"):
        home = root / version / "both"
        home.mkdir(parents=True)
        (home / "__init__.py").write_text("")
        (home / "number.py").write_text(f"NAME = {version!r}\n")
        (home / "later.py").write_text(f"NAME = {version!r}\n")
        (home / "broken.py").write_text("1 / 0\n")
        (home / "slow.py").write_text("import time\ntime.sleep(30)\n")
        subprocess.run(
            ["gcc", "-shared", "-fPIC", "-w", f"-I{include}", f'-DTEXT="{version}"', *flags,
             "-o", home / f"fast{suffix}", root / "fast.c"],
            check=True,
        )  # fmt: skip
    return Both(root, python)


PYTHONS = sorted(
    {host.version.rpartition(".")[0]: host.executable for host in find_hosts()}.items()
)


@pytest.fixture(scope="module", params=PYTHONS, ids=lambda found: found[0])
def both(request, tmp_path_factory) -> Both:
    """On every supported Python of this machine."""
    return make(tmp_path_factory.mktemp("both"), request.param[1])


LEADS = """
    from nixenv.private.one.both import fast as old
    from both import fast
    import both.later
    assert (old.at_start.NAME, fast.at_start.NAME) == ("one", "two")
    assert old.Plain.__module__ == "nixenv.private.one.both.fast" and fast.Plain.__module__ == "both.fast"
    for call in (old.by_name, old.by_object):
        assert call("both.later").NAME == "one" == in_thread(call, "both.later").NAME
    assert old.by_level("both").__name__ == "nixenv.private.one.both"
    assert old.present("both.later").NAME == old.in_dictionary("both.later").NAME == "one"
    assert old.added("both.later").NAME == "one" and fast.added("both.later").NAME == "two"
    assert old.added("both.new").__name__ == "nixenv.private.one.both.new"
    assert old.present("both.none") is None and old.by_name("json") is json
    assert fast.by_name("both.later").NAME == "two" == fast.in_dictionary("both.later").NAME
    assert (old.capsule("both.fast.SECRET"), fast.capsule("both.fast.SECRET")) == ("one", "two")
    assert old.placed(("both.placed", sys)) is sys is sys.modules["nixenv.private.one.both.placed"]
    assert "both.placed" not in sys.modules and old.by_name("both.placed") is sys
    assert old.added("swig_runtime_data4").__name__ == "nixenv.private.one.swig_runtime_data4"
    assert old.by_name("importlib").import_module("both") is sys.modules["nixenv.private.one.both"]
"""


def test_c_code_imports_from_its_group_whenever_it_runs(both):
    both.run(LEADS)


@pytest.mark.parametrize("link", ["lazy", "now"])
def test_slots_are_set_however_the_library_is_linked(tmp_path, link):
    made = make(tmp_path, Path(sys.executable), f"-Wl,-z,relro,-z,{link}")
    made.run(LEADS)
    made.run("""
        from nixenv.private.one.both import fast
        from nixenv.groups.compiled import elf
        with open("/proc/self/maps") as maps: lines = [line.split() for line in maps]
        base = min(int(line[0].split("-")[0], 16) for line in lines if line[-1] == fast.__file__)
        ((start, size),) = elf.read_only_part(fast.__file__)
        first, last = (base + start) // 4096 * 4096, (base + start + size) // 4096 * 4096
        for line in lines:
            low, high = (int(part, 16) for part in line[0].split("-"))
            if low < last and high > first: assert "w" not in line[1], line
    """)


def test_exceptions_arrive_in_c_code(both):
    both.run("""
        from nixenv.private.one.both import fast as old
        for call in (old.by_name, old.by_object, old.by_level):
            for name, kind in (("both.none", ModuleNotFoundError), ("both.broken", ZeroDivisionError),
                    ("absent", ModuleNotFoundError), ("numpy", ModuleNotFoundError)):
                for _ in range(100):
                    try: call(name)
                    except kind: pass
                    else: raise AssertionError(name)
            try: call("both.none")
            except ModuleNotFoundError as error: assert error.name == "both.none"; last = sys.getrefcount(error)
            assert last <= 4, last
        try: old.capsule("both.fast.NOTHING")
        except AttributeError: pass
        else: raise AssertionError
    """)


def test_pending_exception_stays_pending(both):
    both.run("""
        from nixenv.private.one.both import fast as old
        for name in ("both", "both.nothing"):
            for call in (old.raising, lambda name: in_thread(caught, name)):
                def caught(name):
                    try: old.raising(name)
                    except LookupError as error: return error
                found = caught(name)
                assert str(found) == "pending", found
        """)


def test_state_of_the_thread_and_builtins_are_the_groups(both):
    both.run("""
        from nixenv.private.one.both import fast as old
        from both import fast
        old.keep(1); fast.keep(2)
        assert (old.kept(), fast.kept(), in_thread(old.kept), old.without_lock()) == (1, 2, None, True)
        own = old.builtin("__import__")
        assert own is not __import__ and fast.builtin("__import__") is __import__
        assert own("both").fast is old
    """)


def test_imports_from_c_leak_nothing(both):
    both.run("""
        from nixenv.private.one.both import fast as old
        gc.disable()
        def use(times):
            for _ in range(times):
                old.by_name("both.later"); old.by_object("both.later"); old.by_level("both"); old.present("both.none")
                old.in_dictionary("both"); old.added("both"); old.capsule("both.fast.SECRET"); old.keep(1); old.kept()
                try: old.by_name("both.none")
                except ModuleNotFoundError: pass
                try: old.raising("both")
                except LookupError: pass
        def resident():
            with open("/proc/self/statm") as file: return int(file.read().split()[1]) * 4096
        use(300); gc.collect()
        held = [sys.getrefcount(one) for one in (old, old.at_start, sys.modules["nixenv.private.one.both"], KeyboardInterrupt)]
        blocks, memory = sys.getallocatedblocks(), resident()
        use(3000)
        gc.collect()
        after = [sys.getrefcount(one) for one in (old, old.at_start, sys.modules["nixenv.private.one.both"], KeyboardInterrupt)]
        assert after == held, (held, after)
        assert sys.getallocatedblocks() - blocks < 300, sys.getallocatedblocks() - blocks
        assert resident() - memory < 1_000_000, resident() - memory
    """)


def test_interrupt_ends_an_import_from_c(both):
    both.run("""
        import signal
        from nixenv.private.one.both import fast as old
        for call in (old.by_name, old.by_object, old.by_level):
            timer = threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT))
            timer.start()
            start = time.monotonic()
            try: call("both.slow")
            except KeyboardInterrupt: pass
            else: raise AssertionError
            assert time.monotonic() - start < 10
            assert old.by_name("both.later").NAME == "one"
    """)


def test_interrupts_at_any_moment_are_interrupts(both):
    """A signal between C code and Python may not become a call without a result."""
    both.run("""
        import signal
        from nixenv.private.one.both import fast as old
        ended, done, armed = time.monotonic() + 2, 0, []
        def stop(number, frame):
            if armed: armed.clear(); raise KeyboardInterrupt
        signal.signal(signal.SIGALRM, stop)
        def use():
            while armed: assert old.by_object("both.later").NAME == "one"
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.0007)
        while time.monotonic() < ended:
            try:
                armed.append(1)
                use()
            except KeyboardInterrupt: done += 1
        signal.setitimer(signal.ITIMER_REAL, 0)
        assert done > 100, done
    """)


def test_threads_that_import_public_modules_meanwhile_keep_theirs(both):
    """A library that another thread loads at the same time must not be led to the group."""
    both.run("""
        import importlib
        names = ["_decimal", "_sqlite3", "_curses", "_lzma", "_bz2", "_ctypes_test", "_testbuffer", "_elementtree"]
        def load():
            for name in names:
                try: importlib.import_module(name)
                except ImportError: pass
            from both import fast
        thread = threading.Thread(target=load)
        thread.start()
        from nixenv.private.one.both import fast as old
        thread.join()
        from both import fast
        assert fast.by_name("both.later").NAME == "two" and old.by_name("both.later").NAME == "one"
    """)


HARDENED = """
    import ctypes
    PR_SET_MDWE = 65
    if ctypes.CDLL(None).prctl(PR_SET_MDWE, 1, 0, 0, 0): print("unknown"); raise SystemExit
"""


def test_machine_that_refuses_memory_which_becomes_executable_holds_compiled_groups(both):
    told = both.run(
        HARDENED
        + """
    try:
        from nixenv.private.one.both import fast
        print(fast.by_name("both.later").NAME)
    except RefusedError as error: print(error)
    """
    )
    if "unknown" in told:
        pytest.skip("this kernel cannot refuse it")
    assert told == "one\n" or "this machine refuses the machine code" in told


def test_machine_that_refuses_executable_memory_refuses_compiled_groups(both):
    """A seccomp filter answers EACCES to every mapping that is executable, as SELinux may."""
    told = both.run("""
        import ctypes, struct
        from nixenv.private.one import both as plain
        sys.modules.pop("nixenv.private.one"); sys.modules.pop("nixenv.private.one.both")
        from nixenv.groups import registry
        registry.withdraw("one")
        declare(Domain(Group("one", (root + "/one",), frozenset(["both"]), {"both": "2"})))
        libc = ctypes.CDLL(None, use_errno=True)
        def statement(code, value, yes=0, no=0): return struct.pack("<HBBI", code, yes, no, value)
        LOAD, EQUAL, AND, GIVE = 0x20, 0x15, 0x54, 0x06
        program = b"".join([
            statement(LOAD, 0), statement(EQUAL, 9, 0, 4),                       # mmap
            statement(LOAD, 32), statement(AND, 4), statement(EQUAL, 4, 0, 1),   # its protection
            statement(GIVE, 0x00050000 | 13), statement(GIVE, 0x7FFF0000),
        ])
        held = ctypes.create_string_buffer(program)
        filter = ctypes.create_string_buffer(struct.pack("<HxxxxxxQ", len(program) // 8, ctypes.addressof(held)))
        assert libc.prctl(38, 1, 0, 0, 0) == 0
        if libc.prctl(22, 2, filter, 0, 0): print("unknown"); raise SystemExit
        try: import nixenv.private.one.both
        except RefusedError as error: print(error)
    """)
    if "unknown" in told:
        pytest.skip("this machine has no seccomp filters")
    assert "is compiled, and this machine refuses the machine code that leads its imports" in told
    assert '`"mode": "process"` in `private.one`' in told


IN_CODE = r"""
__asm__(".text\nslot_in_code: .quad PyImport_ImportModule\n");
"""


def test_library_with_a_slot_in_its_code_can_still_run(tmp_path):
    made = make(tmp_path, Path(sys.executable), "-Wl,-z,notext", more=IN_CODE)
    made.run("""
        from nixenv.private.one.both import fast
        assert fast.by_name("both.later").NAME == "one"
        with open("/proc/self/maps") as maps:
            parts = [line.split()[1] for line in maps if "/one/both/fast" in line]
        assert not [part for part in parts if "w" in part and "x" in part]
    """)


def test_library_whose_code_lies_among_what_it_writes_can_still_run(tmp_path):
    """`-N` makes one part of a library of everything: read, written and executed."""
    made = make(tmp_path, Path(sys.executable), "-nodefaultlibs", "-Wl,-N", more=IN_CODE)
    made.run("""
        from nixenv.private.one.both import fast
        assert fast.by_name("both.later").NAME == "one"
    """)
