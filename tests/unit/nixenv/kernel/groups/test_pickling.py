"""A pickle of a private object loads in its group: here, and in the processes that this one starts."""

from __future__ import annotations


def test_pickle_loads_back_in_the_group(notebook):
    told = notebook.run("""
        import pickle, copy
        from nixenv.private.old import lib as old
        import lib
        answers = []
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            for value in (old.Thing(3), lib.Thing(3)):
                back = pickle.loads(pickle.dumps(value, protocol))
                answers.append(type(back) is type(value) and back == value)
        answers.append(pickle.loads(pickle.dumps(old.call)) is old.call)
        answers.append(type(copy.deepcopy(old.Thing(1))) is old.Thing)
        answers.append(type(pickle._loads(pickle._dumps(old.Thing(1)))) is old.Thing)
        print(json.dumps(all(answers)))
    """)
    assert told is True


def test_group_reads_pickles_of_plain_names_as_its_own(notebook):
    (notebook.old / "lib" / "reads.py").write_text(
        "import pickle\ndef read(data): return pickle.loads(data)\n"
        "def read_slowly(data): return pickle._loads(data)\n"
    )
    told = notebook.run("""
        import pickle, lib
        from nixenv.private.old import lib as old
        import nixenv.private.old.lib.reads as reads
        data = pickle.dumps(lib.Thing(4))
        print(json.dumps([type(read(data)) is old.Thing for read in (reads.read, reads.read_slowly)]))
    """)
    assert told == [True, True]


def test_workers_load_pickles_in_the_group(notebook):
    told = notebook.run("""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        from nixenv.private.old import lib
        answers = []
        for method in ("fork", "spawn", "forkserver"):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
                back = pool.submit(lib.Thing, 5).result(30)
                answers.append([type(back) is lib.Thing, pool.submit(lib.version, "lib").result(30)])
        print(json.dumps(answers))
    """)
    assert told == [[True, "1.0"]] * 3


def test_workers_import_what_a_group_is_for_by_its_plain_name(notebook):
    (notebook.world.root / "user.py").write_text(
        "import lib\ndef number(): return lib.NUMBER, lib.__name__ == 'lib'\n"
    )
    told = notebook.run("""
        import importlib, multiprocessing, os, shutil, subprocess
        from concurrent.futures import ProcessPoolExecutor
        def number(python=sys.executable):
            done = subprocess.run([python, "-c", "import lib; print(lib.NUMBER)"], stdout=subprocess.PIPE)
            return done.stdout.decode().strip()
        answers = [number()]  # The notebook's own comes first, as here.
        shutil.rmtree(os.path.join(site, "lib")) if not os.path.islink(os.path.join(site, "lib")) else os.unlink(
            os.path.join(site, "lib"))
        importlib.invalidate_caches()
        withdraw("old")
        declare(Domain(Group(old.name, old.folders, old.owned, old.distributions, old.public, {}, frozenset({"lib"}))))
        sys.path.insert(0, os.getcwd())
        answers.append(number())
        import user
        for method in ("fork", "spawn", "forkserver"):
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context(method)) as pool:
                answers.append(pool.submit(user.number).result(30))
        code = "import lib.deep.down; print(lib.deep.down.__name__)"
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE)
        answers.append(done.stdout.decode().strip())
        done = subprocess.run([sys.executable, "-m", "lib"], stderr=subprocess.PIPE)
        answers.append([done.returncode, done.stderr.decode().strip()])
        print(json.dumps(answers))
    """)
    assert told[:6] == ["2", "1", *[[1, True]] * 3, "nixenv.private.old.lib.deep.down"]
    assert told[6] == [1, "`lib` is in a private group: it can be imported here, but not run"]


def test_worker_that_was_started_first_finds_a_later_group(notebook):
    told = notebook.run("""
        import multiprocessing
        from concurrent.futures import ProcessPoolExecutor
        with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
            pool.submit(int).result(30)
            from nixenv.private.old import lib
            pool.submit(lib.Thing).result(30)
            declare(Domain(Group("newer", old.folders, old.owned, old.distributions, old.public)))
            from nixenv.private.newer import lib as newer
            print(json.dumps(type(pool.submit(newer.Thing).result(30)) is newer.Thing))
    """)
    assert told is True


def test_folder_for_workers_gives_way_to_an_installed_nixenv(notebook):
    site = notebook.world.site_packages(notebook.prefix)
    (site / "nixenv").mkdir()
    (site / "nixenv" / "__init__.py").write_text("INSTALLED = True\n")
    (site / "nixenv" / "cli.py").write_text("ANSWER = 42\n")
    told = notebook.run("""
        import subprocess
        code = ("import nixenv, nixenv.cli; from nixenv.private.old import lib;"
            "print(nixenv.INSTALLED, nixenv.cli.ANSWER, lib.NUMBER)")
        done = subprocess.run([sys.executable, "-c", code], stdout=subprocess.PIPE, check=True)
        print(json.dumps(done.stdout.decode().split()))
    """)
    assert told == ["True", "42", "1"]


def test_file_of_groups_goes_with_the_process(notebook):
    told = notebook.run("""
        import os
        print(json.dumps(os.environ["NIXENV_PRIVATE_GROUPS"]))
    """)
    from pathlib import Path

    assert not Path(told).parent.exists()
