"""Where the imports of a group's modules lead, whenever and from wherever its code runs."""

from __future__ import annotations


def test_group_and_notebook_each_have_their_version(notebook):
    told = notebook.run("""
        from nixenv.private.old import lib as old_lib
        import lib, shared, nixenv.private.old.base, sys
        print(json.dumps([old_lib.NUMBER, lib.NUMBER, old_lib.shared is shared,
            old_lib.Thing is lib.Thing, sys.modules["base"].NUMBER,
            nixenv.private.old.base.NUMBER, str(old_lib.Thing)]))
    """)
    thing = "<class 'nixenv.private.old.lib.Thing'>"
    assert told == [1, 2, True, False, 2, 1, thing]


def test_package_of_a_group_says_what_it_is(notebook):
    told = notebook.run("""
        import nixenv.private.old as old
        print(json.dumps(repr(old)))
    """)
    assert told == "<module 'nixenv.private.old' (private group)>"


def test_group_that_is_loaded_first_leaves_nothing_to_the_notebook(notebook):
    told = notebook.run("""
        before = {name for name in sys.modules if not name.startswith("nixenv")}
        from nixenv.private.old import lib
        lib.version("lib"); lib.data(); lib.entry()
        new = {name for name in sys.modules if not name.startswith("nixenv")} - before
        print(json.dumps(sorted(new & {"lib", "base", "lib.shape"})))
    """)
    assert told == []


def test_import_that_was_made_before_sees_what_has_changed_since(notebook):
    told = notebook.run("""
        import sys
        from nixenv.private.old import lib
        code = "from lib import NUMBER\\n{}"
        def run(line):
            names = {"__builtins__": lib.__builtins__, "__name__": "there"}
            exec(code.format(line), names)
            return names
        run("")
        deep = run("from lib import deep")["deep"]        # a module of the package that nobody has loaded yet
        first = run("from lib.shape import Shape")["Shape"]
        del sys.modules["nixenv.private.old.lib.shape"]
        again = run("from lib.shape import Shape")["Shape"]
        try: run("from lib import absent_name")
        except ImportError as error: failed = type(error).__name__
        print(json.dumps([deep.__name__, first is again, first.__module__ == again.__module__, failed]))
    """)
    assert told == ["nixenv.private.old.lib.deep", False, True, "ImportError"]


def test_late_imports_lead_to_the_group(notebook):
    told = notebook.run("""
        from nixenv.private.old import lib as old
        import lib, asyncio, threading
        answers = []
        def ask():
            one, two = old.by_name()
            answers.append([old.later().NUMBER, one is two is old.shape, old.Thing().late() is old.shape.Shape])
        ask()
        thread = threading.Thread(target=ask); thread.start(); thread.join()
        old.call(ask)
        lib.call(lambda: answers.append(old.call(old.later).NUMBER))
        deep = asyncio.run(old.wait())
        answers.append(deep.Shape is old.shape.Shape and "deep" not in vars(lib))
        print(json.dumps(answers))
    """)
    assert told == [[1, True, True]] * 3 + [1, True]


def test_names_lead_to_the_group_in_its_own_code_only(notebook):
    told = notebook.run("""
        from nixenv.private.old import lib as old
        import lib, importlib
        top, late, name = old.home()
        print(json.dumps([top is old, late.__name__, name, importlib.import_module("lib") is lib,
            sys.modules["lib"] is lib, lib.home()[0] is lib]))
    """)
    assert told == [True, "nixenv.private.old.lib.late", "lib", True, True, True]


def test_errors_name_what_the_code_asked_for(notebook):
    told = notebook.run("""
        from nixenv.private.old import lib
        answers = []
        for ask in (lib.absent, lib.stranger):
            try: ask()
            except ModuleNotFoundError as error: answers.append([error.name, str(error)])
        import stranger
        try: lib.stranger()
        except ModuleNotFoundError as error: answers.append("still not the group's")
        print(json.dumps(answers))
    """)
    assert told == [
        ["lib.nothing", "No module named 'lib.nothing'"],
        ["stranger", "No module named 'stranger'"],
        "still not the group's",
    ]


def test_metadata_resources_and_entry_points_are_the_groups(notebook):
    told = notebook.run("""
        from nixenv.private.old import lib as old
        import lib, importlib.metadata
        try: hidden = old.version("stranger")
        except Exception as error: hidden = type(error).__name__
        print(json.dumps([old.version("lib"), lib.version("lib"), importlib.metadata.version("lib"),
            old.version("shared"), hidden, old.data(), lib.data(),
            [point is old.Thing for point in old.entry()], [point is lib.Thing for point in lib.entry()]]))
    """)
    assert told == ["1.0", "2.0", "2.0", "5.0", "PackageNotFoundError", "1", "2", [True], [True]]


def test_public_imports_are_not_touched(notebook):
    told = notebook.run("""
        import builtins, importlib, pickle
        before = [builtins.__import__, importlib.import_module, pickle.loads, sys.modules, dict(vars(builtins))]
        from nixenv.private.old import lib
        after = [builtins.__import__, importlib.import_module, pickle.loads, sys.modules, dict(vars(builtins))]
        asked = []
        class Watch:
            @staticmethod
            def find_spec(name, path=None, target=None): asked.append(name)
        sys.meta_path.insert(0, Watch)
        import json, lib.shape, base
        import base, lib.shape, json
        print(json.dumps([all(a is b or a == b for a, b in zip(before, after)),
            lib.NUMBER, asked.count("base")]))
    """)
    assert told == [True, 2, 1]


def test_threads_that_import_meanwhile_see_the_notebooks(notebook):
    told = notebook.run("""
        import threading, lib
        wrong, done = [], threading.Event()
        def watch():
            while not done.is_set():
                import lib as seen, base
                if seen.NUMBER != 2 or base.NUMBER != 2: wrong.append(seen)
        threads = [threading.Thread(target=watch) for _ in range(3)]
        for thread in threads: thread.start()
        import importlib
        for _ in range(30):
            for name in [name for name in sys.modules if name.startswith("nixenv.private.old")]: del sys.modules[name]
            importlib.import_module("nixenv.private.old.lib.deep.down")
        done.set()
        for thread in threads: thread.join()
        print(json.dumps(len(wrong)))
    """)
    assert told == 0


def test_introspection_finds_the_groups_files(notebook):
    told = notebook.run("""
        import inspect, pydoc, importlib, traceback
        from nixenv.private.old import lib
        source = inspect.getsource(lib.Thing.late)
        text = pydoc.render_doc(lib.Thing)
        again = importlib.reload(lib.shape)
        try: lib.call(lambda: 1 / 0)
        except ZeroDivisionError as error: files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
        print(json.dumps(["from lib.shape" in source, "nixenv.private.old.lib" in text, again is lib.shape,
            inspect.getmodule(lib.Thing) is lib, lib.__file__ in files]))
    """)
    assert told == [True] * 5


def test_completion_lists_the_groups_modules_and_loads_none(notebook):
    told = notebook.run("""
        import nixenv.private.old as old
        print(json.dumps([old.__all__, "lib" in vars(old), old.__doc__]))
    """)
    listed = "Private dependencies `old`: base 1.0, lib 1.0, shared 5.0"
    assert told == [["base", "lib", "shared"], False, listed]


def test_warnings_point_at_the_importing_line(notebook):
    warner = notebook.old / "lib" / "warner.py"
    warner.write_text("import warnings\nwarnings.warn('old', DeprecationWarning, stacklevel=2)\n")
    (notebook.old / "lib" / "asks.py").write_text("import lib.warner\n")
    told = notebook.run("""
        import warnings
        with warnings.catch_warnings(record=True) as seen:
            warnings.simplefilter("always")
            import nixenv.private.old.lib.asks
        print(json.dumps([warning.filename.rpartition("/")[2] for warning in seen]))
    """)
    assert told == ["asks.py"]


def test_group_stands_for_a_package_of_the_notebook(notebook):
    told = notebook.run("""
        import os
        from importlib import metadata
        for entry in os.listdir(site):
            if entry.startswith("lib"): os.remove(os.path.join(site, entry))
        declare(Domain(Group("lib", old.folders, old.owned, old.distributions, old.public, {}, {"lib"})))
        import lib.shape, base, nixenv.private.lib.lib as own
        import lib.deep.down
        from lib import late
        print(json.dumps([lib is own, lib.shape is own.shape, lib.NUMBER, base.NUMBER, lib.deep is own.deep,
            late is own.late, metadata.version("lib"), metadata.version("base"),
            "lib.shape" in [name for name in sys.modules if not name.startswith("nixenv")]]))
    """)
    assert told == [True, True, 1, 2, True, True, "1.0", "2.0", True]


def test_package_finds_its_version_by_its_own_name(notebook):
    home = notebook.old / "lib" / "own.py"
    home.write_text(
        "from importlib.metadata import version, distribution\n"
        "top = __package__.split('.')[0]\n"
        "versions = [version(__package__), version(__name__.partition('.')[0]), distribution(top).version]\n"
        "from importlib import import_module\n"
        "found = import_module(__package__ + '.shape'), import_module('.shape', __package__)\n"
        "from . import shape\n"
    )
    told = notebook.run("""
        from nixenv.private.old.lib import own, shape
        print(json.dumps([own.versions, [found is shape for found in own.found], own.top]))
    """)
    assert told == [["1.0", "1.0", "1.0"], [True, True], "lib"]


def test_lent_package_is_the_other_groups(notebook):
    user = notebook.world.package(
        "user",
        "1.0",
        {
            "user.py": "import lib.shape, sys, importlib\nfrom lib import Thing\nfrom importlib.metadata import version\n"
            "import base\n"
            "def late():\n import lib.late as found\n return found, importlib.import_module('lib'), sys.modules['lib']\n"
            "def absent():\n import lib.nothing\n"
            "def both(): return version('lib'), version('user'), version('base'), version('shared')\n"
        },
    )
    told = notebook.run(f"""
        declare(Domain(Group("young", ({str(user)!r},), frozenset({{"user"}}),
            {{"user": "1.0", "lib": "1.0", "base": "1.0", "shared": "5.0"}}, frozenset({{"shared"}}), {{"lib": "old", "base": "old"}})))
        from nixenv.private.young import user, lib as alias
        from nixenv.private.old import lib
        late, module, entry = user.late()
        try: user.absent()
        except ModuleNotFoundError as error: absent = error.name
        print(json.dumps([user.Thing is lib.Thing, user.lib is lib is alias, late is lib.late, module is lib, entry is lib, user.both(), absent,
            sorted(name for name in sys.modules if name.startswith("nixenv.private.young.") and "lib" in name.split("."))]))
    """)
    versions = ["1.0", "1.0", "1.0", "5.0"]
    assert told == [True] * 5 + [versions, "lib.nothing", ["nixenv.private.young.lib"]]


def test_lenders_modules_whose_names_begin_like_a_lent_one_are_not_the_groups(notebook):
    user = notebook.world.package(
        "user", "1.0", {"user.py": "import sys\ndef modules(): return dict(sys.modules.items())\n"}
    )
    notebook.world.package("basement", "1.0", {"basement.py": ""})
    more = notebook.world.root / "store" / "a-basement-1.0" / "site-packages"
    told = notebook.run(f"""
        declare(Domain(Group("lender", (*old.folders, {str(more)!r}), frozenset({{"lib", "base", "basement"}}), {{}}, old.public)))
        declare(Domain(Group("young", ({str(user)!r},), frozenset({{"user"}}), {{}}, lent={{"base": "lender"}})))
        import nixenv.private.lender.basement, nixenv.private.lender.base
        from nixenv.private.young import user
        print(json.dumps(sorted({{"base", "basement"}} & user.modules().keys())))
    """)
    assert told == ["base"]


def test_namespace_is_made_of_the_parts_of_all_that_have_it(notebook):
    def part(name, version="1.0"):
        return notebook.world.package(
            f"space-{name}", version, {f"space/{name}/__init__.py": f"WHO = {version!r}\n"}
        )

    own, lender, public = part("own"), part("lent"), part("public")
    other = part("own", "2.0")
    told = notebook.run(f"""
        sys.path += [{str(public)!r}, {str(other)!r}]
        declare(Domain(Group("lender", ({str(lender)!r},), frozenset({{"space"}}), {{}})))
        declare(Domain(Group("mine", ({str(own)!r},), frozenset({{"space"}}), {{}}, frozenset({{"space"}}), {{"space": "lender"}})))
        from nixenv.private.mine import space
        import nixenv.private.mine.space.own, nixenv.private.mine.space.lent, nixenv.private.mine.space.public
        import space.own, space.public
        public = sys.modules["space"]
        from nixenv.private.lender.space import lent
        from nixenv.private.mine import space
        print(json.dumps([space.own.WHO, space.lent is lent, space.public is public.public, public.own.WHO, hasattr(public, "lent")]))
    """)
    assert told == ["1.0", True, True, "2.0", False]


def test_unknown_names_are_sentences(notebook):
    told = notebook.run("""
        answers = []
        for line in ("import nixenv.private.odl", "from nixenv.private.odl import lib", "from nixenv.private import odl",
                "from nixenv.private.old import stranger", "import nixenv.private.old.stranger.x"):
            try: exec(line)
            except ImportError as error: answers.append(str(error))
        print(json.dumps(answers))
    """)
    unknown = "there is no private group `odl`; the notebook has `old`; did you mean `old`?"
    absent = "private group `old` has no module `stranger`; `%nixenv add --private old …` adds packages to it"
    assert told[:3] == [unknown] * 3
    assert told[3:] == [absent] * 2


def test_groups_and_names_are_listed(notebook):
    told = notebook.run("""
        import nixenv.private, nixenv.private.old
        print(json.dumps([dir(nixenv.private), [name for name in dir(nixenv.private.old) if name[0] != "_"],
            nixenv.private.__all__, hasattr(nixenv.private, "absent")]))
    """)
    assert told == [["old"], ["base", "lib", "shared"], ["old"], False]


def test_names_that_are_added_to_builtins_reach_the_group_but_for_state_of_c_code(notebook):
    told = notebook.run("""
        import builtins, _datetime
        builtins._ = str.upper
        builtins.__state__ = _datetime.datetime_CAPI
        from nixenv.private.old import lib
        print(json.dumps(["_" in lib.__builtins__, "__state__" in lib.__builtins__]))
    """)
    assert told == [True, False]


def test_objects_that_compute_what_they_are_stay_as_they_are(notebook):
    (notebook.old / "lib" / "odd.py").write_text(
        "class Local:\n"
        "    @property\n"
        "    def __class__(self): raise RuntimeError('outside of a request')\n"
        "    def __getattr__(self, name): raise RuntimeError('outside of a request')\n"
        "request = Local()\n"
        "class Meta(type):\n"
        "    def __setattr__(cls, name, value): raise RuntimeError(name)\n"
        "    def __getattribute__(cls, name): raise RuntimeError(name)\n"
        "class Odd(metaclass=Meta): pass\n"
        "numbers = list['int'] if hasattr(list, '__class_getitem__') else list\n"
    )
    told = notebook.run("""
        from nixenv.private.old.lib import odd
        print(json.dumps(type(odd.request).__name__))
    """)
    assert told == "Local"


def test_circular_imports_by_name_in_two_threads_do_not_fail(notebook):
    for one, other in (("ying", "yang"), ("yang", "ying")):
        (notebook.old / "lib" / f"{one}.py").write_text(
            f"import importlib, time\ntime.sleep(0.2)\nimportlib.import_module('lib.{other}')\n"
        )
    told = notebook.run("""
        import importlib, threading
        import nixenv.private.old.lib
        failed = []
        def load(name):
            try: importlib.import_module(f"nixenv.private.old.lib.{name}")
            except BaseException as error: failed.append(repr(error))
        threads = [threading.Thread(target=load, args=(name,)) for name in ("ying", "yang")]
        for thread in threads: thread.start()
        for thread in threads: thread.join()
        print(json.dumps(failed))
    """)
    assert told == []
