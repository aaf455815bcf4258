"""Calls into a group's process: threads, callbacks, exceptions, interrupts, output and the process's life."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

import pytest


def test_threads_call_at_the_same_time(two):
    two.run(
        """
        from nixenv.private.legacy import time as there, threading as other
        start = time.monotonic()
        seen = []
        def work():
            there.sleep(0.4)
            seen.append((other.get_ident(), other.get_ident()))
        threads = [threading.Thread(target=work) for _ in range(5)]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        assert time.monotonic() - start < 1.5
        assert all(one == two for one, two in seen) and len(set(seen)) == 5
        assert other.current_thread().name == "MainThread"
        until(lambda: other.active_count() < 9)
        """
    )


def test_callbacks_run_in_the_thread_that_called_and_nest(two):
    two.run(
        """
        from nixenv.private.legacy import functools, builtins as there
        idents = []
        def add(one, other):
            idents.append(threading.get_ident())
            return there.sum([one, other])
        assert functools.reduce(add, [1, 2, 3]) == 6
        assert set(idents) == {threading.get_ident()}
        deep = there.eval("lambda f, n: n and f(f, n - 1) + 1")
        mine = lambda f, n: deep(f, n)
        assert deep(mine, 20) == 20
        answers = []
        thread = threading.Thread(target=lambda: answers.append(functools.reduce(add, [1, 2])))
        thread.start(); thread.join()
        assert answers == [3] and idents[-1] != threading.get_ident()
        later = there.eval("lambda f: __import__('threading').Timer(0.05, f).start()")
        event = threading.Event()
        later(event.set)
        assert event.wait(10)
        """
    )


def test_exceptions_come_back_whole(two):
    two.run(
        """
        from nixenv.private.legacy import builtins as there, json
        import json as own, traceback
        assert raised(own.JSONDecodeError, json.loads, "{").pos == 1
        error = raised(FileNotFoundError, there.open, "/absent")
        assert (error.errno, error.filename, error.strerror) == (2, "/absent", "No such file or directory")
        assert str(error) == "[Errno 2] No such file or directory: '/absent'"
        error = raised(UnicodeDecodeError, there.eval("lambda: b'\\\\xff'.decode()"))
        assert error.start == 0
        error = raised(KeyError, there.eval, "{}['x']")
        assert error.args == ("x",) and str(error) == "'x'"
        names = cell('''
        class BaseFault(Exception):
            def __init__(self, text, more): super().__init__(text); self.more = more
            def detail(self): return {"more": self.more}
        class Fault(BaseFault, LookupError):
            def __str__(self): return "said otherwise"
        def fail():
            try: 1 / 0
            except ZeroDivisionError as cause: raise Fault("text", [1]) from cause
        ''')
        Fault, BaseFault = names["Fault"], names["BaseFault"]
        error = raised(Fault, names["fail"])
        assert isinstance(error, (BaseFault,)) and isinstance(error, LookupError) and type(error) is Fault
        assert error.args == ("text",) and str(error) == "said otherwise"
        assert error.more == [1] and error.detail() == {"more": [1]}
        assert type(error.__cause__) is ZeroDivisionError
        text = "".join(traceback.format_exception(type(error), error, error.__traceback__))
        assert "in fail" in text and "ZeroDivisionError" in text and "direct cause" in text, text
        assert Fault("text", 2).more == 2 and Fault.__name__ == "Fault"
        def mine(): raise Fault("from here", 3)
        class OwnError(Exception): pass
        original = OwnError("x")
        def own_error(): raise original
        through = there.eval("lambda f: f()")
        assert raised(OwnError, through, own_error) is original
        assert raised(SystemExit, there.eval, "__import__('sys').exit(3)").code == 3
        """
    )


def test_class_of_an_exception_is_also_caught_by_the_notebooks_class_of_that_name(two):
    two.run(
        """
        import types
        module = types.ModuleType("somelib")
        class SomeError(Exception): pass
        module.SomeError = SomeError
        SomeError.__module__ = "somelib"
        sys.modules["somelib"] = module
        from nixenv.private.legacy import builtins as there
        names = cell("class SomeError(ValueError): __module__ = 'somelib'\\ndef fail(): raise SomeError(1)")
        error = raised(SomeError, names["fail"])
        assert isinstance(error, ValueError) and type(error) is names["SomeError"] is not SomeError
        """
    )


def test_class_of_an_exception_can_have_a_namesake_that_is_made_in_another_way(two):
    two.run(
        """
        import types
        module = types.ModuleType("somelib")
        class SomeError(SyntaxError):
            def __new__(cls, *, made_so): raise AssertionError
        module.SomeError = SomeError
        SomeError.__module__ = "somelib"
        sys.modules["somelib"] = module
        names = cell('''
        class SomeError(SyntaxError): pass
        SomeError.__module__ = "somelib"
        def fail(): raise SomeError("no end tag", ("<string>", 7, 4, "<a>"))
        ''')
        error = raised(names["SomeError"], names["fail"])
        assert isinstance(error, SomeError)
        assert (error.msg, error.lineno, error.offset, error.text) == ("no end tag", 7, 4, "<a>")
        assert error.filename == "<string>"
        """
    )


def test_two_objects_that_do_not_know_each_other_are_compared_and_added_as_in_one_process(two):
    two.run(
        """
        from nixenv.private.legacy import builtins as there
        names = cell('''
        class Thing:
            def __eq__(self, other): return NotImplemented
            def __lt__(self, other): return NotImplemented
            def __add__(self, other): return "sum" if hasattr(other, "is_known") else NotImplemented
            __radd__ = __iadd__ = __add__
        thing = Thing()
        def differs(other): return other != thing, thing == other, other == thing
        def adds(other): return other + thing
        ''')
        thing = names["thing"]
        def mine(): pass
        assert thing != mine and not (thing == mine) and mine != thing
        assert names["differs"](mine) == (True, False, False)
        class Mine:
            def __add__(self, other): return NotImplemented
            __radd__ = __add__
        raised(TypeError, lambda: thing < mine)
        raised(TypeError, lambda: thing + Mine())
        raised(TypeError, lambda: Mine() + thing)
        raised(TypeError, names["adds"], Mine())
        class Known(Mine):
            is_known = True
        assert (thing + Known(), Known() + thing, names["adds"](Known())) == ("sum", "sum", "sum")
        thing += Known()
        assert thing == "sum"
        """
    )


def test_interrupt_stops_the_call_and_the_worker_goes_on(two):
    two.run(
        """
        from nixenv.private.legacy import time as there, os as ros
        pid = ros.getpid()
        for _ in range(3):
            threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            start = time.monotonic()
            raised(KeyboardInterrupt, there.sleep, 30)
            assert time.monotonic() - start < 5 and ros.getpid() == pid
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
        """
    )


def test_interrupt_of_a_callback_is_raised_in_it(two):
    two.run(
        """
        from nixenv.private.legacy import builtins as there
        seen = []
        def callback():
            threading.Timer(0.2, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
            try: time.sleep(30)
            except KeyboardInterrupt:
                seen.append(1)
                raise
        raised(KeyboardInterrupt, there.eval("lambda f: f()"), callback)
        assert seen == [1] and there.len("ab") == 2
        """
    )


def test_third_interrupt_ends_a_worker_that_does_not_listen(two):
    two.run(
        """
        from nixenv.private.legacy import builtins as there
        def press():
            for _ in range(3):
                time.sleep(0.3)
                os.kill(os.getpid(), signal.SIGINT)
        threading.Thread(target=press).start()
        deaf = there.eval("(lambda s, t: (s.signal(s.SIGINT, s.SIG_IGN), t.sleep(30)))")
        raised(WorkerDiedError, deaf, there.__import__("signal"), there.__import__("time"))
        assert there.len("ab") == 2
        """
    )


def test_output_of_all_kinds_is_printed_here(two):
    out = two.run(
        """
        from nixenv.private.legacy import builtins as there, os as ros, sys as rsys
        there.print("by print")
        rsys.stdout.write("no newline|")
        rsys.stdout.buffer.write(b"bytes\\n")
        ros.system("echo by a child")
        ros.write(1, b"by the file\\n")
        there.print("in", "order", sep="-")
        """
    )
    assert out == "by print\nno newline|bytes\nby a child\nby the file\nin-order\n"


def test_input_is_refused(two):
    two.run(
        """
        from nixenv.private.legacy import builtins as there, getpass, warnings
        warnings.simplefilter("ignore")
        for ask in (there.input, getpass.getpass):
            assert "group `legacy`" in str(raised(RuntimeError, ask, "who? "))
        """
    )


def test_worker_that_died_is_told_of_and_followed_by_another(two):
    two.run(
        """
        from nixenv.private.legacy import os as ros, types
        space = types.SimpleNamespace(a=1)
        pid = ros.getpid()
        error = raised(WorkerDiedError, ros.kill, pid, signal.SIGSEGV)
        assert "SIGSEGV" in str(error) and "Segmentation fault" in str(error), error
        assert not remote.is_running and remote.pid is None
        assert ros.getpid() != pid
        raised(WorkerDiedError, getattr, space, "a")
        raised(WorkerDiedError, lambda: types.SimpleNamespace(b=space))
        error = raised(WorkerDiedError, ros._exit, 3)
        assert "status 3" in str(error)
        assert types.SimpleNamespace(a=2).a == 2
        """
    )


def test_version_of_a_module_is_had_from_another_worker_when_the_first_died(two):
    two.run(
        """
        from nixenv.private.legacy import json, os as ros
        assert json.__version__ == "2.0.9"
        raised(WorkerDiedError, ros._exit, 3)
        import inspect, warnings
        assert not hasattr(json, "__warningregistry__") and not remote.is_running
        assert json.__version__ == "2.0.9" and remote.is_running
        """
    )


def test_worker_that_cannot_start_says_why(two):
    two.run(
        """
        import importlib, tempfile
        folder = tempfile.mkdtemp()
        absent = Remote(ProcessGroup("absent", folder, {}))
        error = raised(registry.RefusedError, absent.admit)
        assert folder in str(error)
        os.mkdir(folder + "/bin")
        with open(folder + "/bin/python", "w") as file: file.write("#!/bin/sh\\necho no such library >&2\\nexit 4\\n")
        os.chmod(folder + "/bin/python", 0o755)
        absent.admit()
        error = raised(WorkerDiedError, absent.link)
        assert "status 4" in str(error) and "no such library" in str(error), error
        """
    )


def test_worker_that_says_what_is_no_message_is_ended(two):
    two.run(
        """
        import tempfile
        folder = tempfile.mkdtemp()
        os.mkdir(folder + "/bin")
        script = "import socket, sys, time; socket.socket(fileno=int(sys.argv[-3])).sendall(bytes.fromhex(%r)); time.sleep(60)"
        head = "06" + "00" * 24
        for hostile in ("ff" * 100, head + "00", head + "08" + "636f730a780a2e00"):
            with open(folder + "/bin/python", "w") as file:
                file.write("#!/bin/sh\\nexec %s -c '%s' $@\\n" % (sys.executable, script.replace("%r", '"' + hostile + '"')))
            os.chmod(folder + "/bin/python", 0o755)
            error = raised(WorkerDiedError, Remote(ProcessGroup("hostile", folder, {})).link)
            assert "no message" in str(error), error
        """
    )


def test_leaving_ends_the_worker_and_its_children(two):
    two.run(
        """
        from nixenv.private.legacy import subprocess, os as ros, atexit, builtins as there
        child = subprocess.Popen(["sleep", "60"])
        pids = [ros.getpid(), child.pid]
        import tempfile
        path = tempfile.mktemp()
        atexit.register(there.eval("lambda path: open(path, 'w').close()"), path)
        remote.leave()
        for pid in pids: until(lambda: gone(pid))
        assert os.path.exists(path)
        assert ros.getpid() not in pids
        """
    )


@pytest.mark.parametrize("busy", ["idle", "busy"])
def test_worker_ends_with_a_kernel_that_is_killed(two, busy):
    call = "there.sleep(60)" if busy == "busy" else "time.sleep(60)"
    process = two.start(
        f"""
        from nixenv.private.legacy import os as ros, time as there, subprocess
        child = subprocess.Popen(["sleep", "60"])
        print(ros.getpid(), child.pid, flush=True)
        {call}
        """
    )
    with process:
        pids = [int(pid) for pid in process.stdout.readline().split()]
        time.sleep(0.3)
        process.send_signal(signal.SIGKILL)
        end = time.monotonic() + 20
        while any(_runs(pid) for pid in pids) and time.monotonic() < end:
            time.sleep(0.05)
        assert not any(_runs(pid) for pid in pids)
        process.communicate()


def _runs(pid: int) -> bool:
    try:
        return ") Z " not in Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return False


def test_forked_child_has_a_worker_of_its_own(two):
    two.run(
        """
        from nixenv.private.legacy import os as ros
        from nixenv.private.legacy import types
        space = types.SimpleNamespace(a=1)
        mine = ros.getpid()
        child = os.fork()
        if child == 0:
            try:
                assert ros.getpid() != mine and ros.getppid() == os.getpid()
                assert "forked" in str(raised(EndedError, getattr, space, "a"))
                remote.leave()
                os._exit(0)
            except BaseException:
                import traceback; traceback.print_exc()
                os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        assert ros.getpid() == mine and space.a == 1
        """
    )


def test_worker_follows_the_folder_and_has_no_variables_of_the_kernels_python(two, tmp_path):
    two.run(
        f"""
        os.environ["PYTHONPATH"] = "/kernel/only"
        from nixenv.private.legacy import os as ros, sys as rsys
        assert ros.getcwd() == os.getcwd()
        os.chdir({str(tmp_path)!r})
        assert ros.getcwd() == os.getcwd() == {os.path.realpath(tmp_path)!r}
        assert "PYTHONPATH" not in ros.environ and "/kernel/only" not in rsys.path
        assert rsys.prefix == os.path.realpath(remote.group.environment), (rsys.prefix, rsys.executable)
        assert ros.environ["PATH"].startswith(remote.group.environment + "/bin")
        """
    )
