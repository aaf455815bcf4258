"""Stand-ins for what is in a group's process: modules, classes, functions and other objects."""

from __future__ import annotations


def test_module_is_imported_in_another_process(two):
    two.run(
        """
        from nixenv.private.legacy import os as there
        import nixenv.private.legacy.os.path as path
        import os, sys
        assert there.getpid() not in (os.getpid(), os.getppid()) and there.getppid() == os.getpid()
        assert path.join("a", "b") == "a/b" and there.path.join is path.join
        assert sys.modules["nixenv.private.legacy.os"] is there
        from nixenv.private.legacy.os.path import join
        assert join is path.join
        assert "getpid" in dir(there) and there.__doc__ and "posix" in there.__doc__.lower()
        """
    )


def test_absent_module_and_absent_name_are_import_errors(two):
    two.run(
        """
        import importlib
        raised(ModuleNotFoundError, importlib.import_module, "nixenv.private.legacy.absent")
        try: from nixenv.private.legacy.json import absent
        except ImportError as error: assert "absent" in str(error), error
        else: raise AssertionError
        """
    )


def test_attributes_calls_items_operators_and_iteration_are_the_objects(two):
    two.run(
        """
        from nixenv.private.legacy import collections, datetime, types, io, functools
        Point = collections.namedtuple("Point", "x y")
        point = Point(1, y=[2])
        assert (point.x, point[1], len(point), list(point), 1 in point) == (1, [2], 2, [1, [2]], True)
        assert point == (1, [2]) and point != (1,) and not point == (1,) and bool(point) and not point < (0, [])
        assert point + (3,) == (1, [2], 3) and (0,) + point == (0, 1, [2]) and repr(point) == str(point) == "Point(x=1, y=[2])"
        assert isinstance(point, Point) and not isinstance(3, Point) and issubclass(Point, tuple) and type(point).__name__ == "Point"
        space = types.SimpleNamespace()
        space.a = 1
        del space.a
        assert not hasattr(space, "a")
        chain = collections.ChainMap({"a": 1})
        chain["b"] = 2
        del chain["a"]
        assert dict(chain) == {"b": 2} and sorted(chain) == ["b"]
        with io.StringIO("one\\ntwo\\n") as file:
            assert [line for line in file] == ["one\\n", "two\\n"] and next(iter("x")) == "x"
        assert raised(ValueError, file.read).args[0].startswith("I/O")
        numbers = iter(functools.partial(int, "7"), 7)
        assert callable(functools.reduce) and not callable(space) and list(numbers) == []
        """
    )


def test_same_object_has_one_stand_in_and_goes_back_as_itself(two):
    two.run(
        """
        from nixenv.private.legacy import builtins as there, types
        same = there.eval("lambda one, other: one is other")
        space = types.SimpleNamespace(own=1)
        assert same(space, space) and not same(space, types.SimpleNamespace())
        space.me = space
        assert space.me is space and space.__dict__["me"] is space
        assert [space] == [space.me] and {"k": space}["k"].own == 1
        mine = object()
        space.mine = mine
        assert space.mine is mine and same(mine, mine)
        """
    )


def test_contextmanager_sees_the_exception_and_may_swallow_it(two):
    two.run(
        """
        from nixenv.private.legacy import contextlib, builtins as there
        with contextlib.suppress(KeyError): raise KeyError("x")
        names = cell('''
        import contextlib
        seen = []
        @contextlib.contextmanager
        def manager():
            try: yield 5
            except ValueError as error: seen.append(str(error))
        ''')
        with names["manager"]() as value:
            assert value == 5
            raise ValueError("of the kernel")
        assert cell("seen", names)["_"] == ["of the kernel"]
        """
    )


def test_references_are_released(two):
    two.run(
        """
        from nixenv.private.legacy import builtins as there, types
        import gc
        held = there.eval("[]")
        class Mine: pass
        mine = [Mine() for _ in range(50)]
        spaces = [types.SimpleNamespace() for _ in range(50)]
        import weakref
        keep = there.eval("[].append")
        for one in mine: keep(one)
        count = remote.references.count
        assert count >= 50
        dead = [weakref.ref(one) for one in mine]
        del mine, one, keep
        until(lambda: gc.collect() is None or not any(ref() for ref in dead))
        mine = there.eval("__import__('gc').get_objects")
        counted = there.eval("lambda: __import__('gc').collect() and 0 or sum(type(one).__name__ == 'SimpleNamespace' for one in __import__('gc').get_objects())")
        before = counted()
        assert before >= 50
        del spaces
        until(lambda: counted() <= before - 50)
        """
    )


def test_deriving_from_a_class_there_is_refused_with_the_way_out(two):
    two.run(
        """
        from nixenv.private.legacy import json, builtins as there
        def derive():
            class Mine(json.JSONDecoder): pass
        def meta():
            class Mine(metaclass=json.JSONDecoder): pass
        space = cell("class TheirError(ValueError): pass")
        def error():
            class Mine(space["TheirError"]): pass
        for refused in (derive, meta, error):
            assert "define it in a `%%private legacy` cell" in str(raised(TypeError, refused))
        """
    )


def test_signature_documentation_and_pickle(two):
    two.run(
        """
        from nixenv.private.legacy import json, textwrap, types
        import copy, inspect, pickle, pydoc
        assert str(inspect.signature(textwrap.dedent)) == "(text)" and "whitespace" in inspect.getdoc(textwrap.dedent)
        assert "whitespace" in pydoc.render_doc(textwrap.dedent) and textwrap.dedent.__name__ == "dedent"
        assert json.JSONDecoder.__name__ == "JSONDecoder" and "JSON" in inspect.getdoc(json.JSONDecoder)
        space = types.SimpleNamespace(a=[1])
        other = copy.deepcopy(space)
        assert other == space and other.a == [1]
        assert "legacy" in str(raised(TypeError, pickle.dumps, space))
        class Holder: method = textwrap.dedent
        assert raised(TypeError, Holder().method, 1, 2, 3)
        """
    )


def test_coroutines_are_awaited_at_the_same_time(two):
    two.run(
        """
        from nixenv.private.legacy import asyncio as there
        import asyncio
        async def main():
            start = time.monotonic()
            results = await asyncio.gather(*(there.sleep(0.4, n) for n in range(5)))
            assert results == list(range(5)) and time.monotonic() - start < 1.5
            beside = asyncio.ensure_future(there.sleep(0.3))
            ticks = 0
            while not beside.done():
                await asyncio.sleep(0.01)
                ticks += 1
            assert ticks > 5
        asyncio.run(main())
        """
    )


def test_help_of_a_function_that_cython_has_compiled_is_its_own(two):
    out = two.run(
        """
        names = cell('''
        class cython_function_or_method:
            __name__ = __qualname__ = "parse"
            def __init__(self, text): self.__doc__ = text
            def __get__(self, instance, owner=None): return self
            def __call__(self, value): return value
        parse = cython_function_or_method("Parse a value.")
        ''')
        import pydoc
        print(pydoc.render_doc(names["parse"], renderer=pydoc.plaintext))
        """
    )
    assert "Parse a value." in out
    assert "_nixenv" not in out
    assert "StandIn" not in out
