"""Whole cells in a group's process: names both ways, values, figures and errors."""

from __future__ import annotations


def test_cell_reads_and_binds_the_notebooks_names(two):
    two.run(
        """
        alias = mine = [1, 2]
        names = {"x": mine, "k": 5, "unread": object(), "old": 1}
        cell('''
        import os
        x.append(k)
        z = {"pid": os.getpid()}
        def f(n):
            return k + n
        k += 1
        del old
        len(x)
        ''', names)
        assert names["_"] == 3 and alias is names["x"] and alias == [1, 2, 5]
        assert names["z"]["pid"] == remote.pid and names["f"](1) == 7 and names["k"] == 6 and "old" not in names
        names["k"] = 100
        cell("pass", names)  # Functions see the names as they were at the group's last cell.
        assert names["f"](1) == 101
        assert cell("k, f(0)", names)["_"] == (100, 100)
        """
    )


def test_each_side_has_its_own_standard_library(two):
    two.run(
        """
        import os, time
        from os import getpid
        names = cell('import os, sys, json\\nfrom os import getpid\\nfrom collections import OrderedDict, namedtuple\\ngetpid()', {"time": time})
        assert names["os"] is os and names["sys"] is sys and names["getpid"] is getpid and names["_"] == remote.pid
        assert cell("os.getpid(), getpid()", names)["_"] == (remote.pid, remote.pid)
        assert cell("import time as own\\nown is time", {"time": time})["_"] is True
        from nixenv.private.legacy import os as there
        assert there.getpid() == remote.pid != os.getpid()
        error = raised(ModuleNotFoundError, __import__, "nixenv.private.legacy.absent")
        assert "--private legacy absent" in str(error)
        """
    )


def test_class_of_a_stand_in_has_a_name_and_a_module(two):
    two.run(
        """
        from nixenv.private.legacy import json, textwrap
        for one in (json.JSONDecoder, textwrap.dedent, json.JSONDecoder()):
            assert isinstance(type(one).__module__, str) and type(one).__name__ in repr(type(one))
        assert json.JSONDecoder.__module__ == "json.decoder" and textwrap.dedent.__module__ == "textwrap"
        """
    )


def test_objects_of_one_cell_are_the_same_in_the_next(two):
    two.run(
        """
        names = cell('''
        class Thing:
            def __init__(self, config): self.config = config
        config = {"a": 1}
        thing = Thing(config)
        ''')
        cell("config['b'] = 2", names)
        assert names["thing"].config == names["config"] == {"a": 1, "b": 2}
        names["config"]["c"] = 3  # The notebook's own copy; the worker gets it with the next cell that names it.
        assert cell("dict(config)", names)["_"] == {"a": 1, "b": 2, "c": 3}
        assert cell("isinstance(thing, Thing)", names)["_"] is True
        assert isinstance(names["thing"], names["Thing"])
        """
    )


def test_names_bound_before_an_error_are_there(two):
    two.run(
        """
        import traceback
        names = {}
        error = raised(ZeroDivisionError, cell, "a = 1\\n\\nb = 1 / 0\\nc = 3", names)
        assert names["a"] == 1 and "b" not in names
        last = traceback.extract_tb(error.__traceback__)[-1]
        assert (last.filename, last.lineno) == ("<cell>", 3)
        error = raised(SyntaxError, cell, "x = 1\\nx = (", names)
        assert error.filename == "<cell>" and "x" not in names
        error = raised(NameError, cell, "nowhere", names)
        """
    )


def test_await_at_the_top_level_and_display(two):
    out = two.run(
        """
        names = cell('''
        import asyncio
        await asyncio.sleep(0)
        task = asyncio.get_running_loop().create_task(asyncio.sleep(0, 5))
        class Rich:
            def _repr_html_(self): return "<b>"
        display(Rich)
        await task
        ''')
        assert names["_"] == 5
        rich = cell("rich = Rich()\\nrich", names)["rich"]
        data, _ = rich._repr_mimebundle_()
        assert data["text/html"] == "<b>" and "Rich object" in data["text/plain"]
        threading.Timer(0.3, lambda: os.kill(os.getpid(), signal.SIGINT)).start()
        raised(KeyboardInterrupt, cell, "await asyncio.sleep(30)", names)
        assert cell("1 + 1", names)["_"] == 2
        """
    )
    assert out == "<class '__main__.Rich'>\n"


def test_classes_of_cells_can_be_pickled_there(two):
    two.run(
        """
        names = cell('''
        import pickle
        class Thing: pass
        type(pickle.loads(pickle.dumps(Thing()))) is Thing
        ''')
        assert names["_"] is True
        """
    )


def test_rewritten_cell_is_one_expression_with_its_value(here):
    here.run(
        """
        import ast
        source = "pass\\nimport sys\\ny = x + 1\\nsys.version_info[:2], y"
        tree = remote.rewritten(ast.parse(source), source)
        (statement,) = tree.body
        names = {"x": 1}
        value = eval(compile(ast.Expression(statement.value), "<cell 1>", "eval"), names)
        assert value[1] == names["y"] == 2
        """
    )


def test_magics_that_run_code_here_are_refused(here):
    here.run(
        """
        import ast
        def rewritten(source): return remote.rewritten(ast.parse(source), source)
        error = raised(Exception, rewritten, "get_ipython().run_line_magic('time', 'f()')")
        assert "`%time`" in str(error) and "legacy" in str(error)
        error = raised(Exception, rewritten, "x = get_ipython().run_cell_magic('timeit', '', 'f()')")
        assert "`%%timeit`" in str(error)
        rewritten("get_ipython().system('ls')\\nget_ipython().run_line_magic('pwd', '')")
        """
    )
