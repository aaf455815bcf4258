"""What this process cannot hold is refused before anything of it runs."""

from __future__ import annotations

REFUSED = """
try:
    import nixenv.private.{0}
    print(json.dumps("loaded"))
except RefusedError as error:
    print(json.dumps([list(error.reasons), error.hint, {0!r} in str(error)]))
"""


def test_absent_folder_is_refused(notebook):
    told = notebook.run(
        """
        declare(Domain(Group("bad", (site + "/nothing",), frozenset({"ran"}), {})))
        """
        + REFUSED.format("bad").replace("\n", "\n        ")
    )
    reasons, hint, is_named = told
    assert [reason.endswith("/nothing` is not there") for reason in reasons] == [True]
    assert hint == "restart the kernel"
    assert is_named


def test_group_whose_lender_is_absent_is_refused(notebook):
    told = notebook.run(
        """
        declare(Domain(Group("bad", (), frozenset(), {}, lent={"lib": "older"})))
        """
        + REFUSED.format("bad").replace("\n", "\n        ")
    )
    assert told[0] == ["it uses packages of group `older`, which this kernel does not have"]


def test_one_compiled_file_in_two_groups_is_refused(notebook):
    home = notebook.world.package("fast", "1.0", {"fast.abi3.so": ""})
    told = notebook.run(
        f"""
        from nixenv.groups import refusal
        one, two = (Group(name, ({str(home)!r},), frozenset({{"fast"}}), {{}}) for name in ("one", "two"))
        try: refusal.check(two, [one])
        except RefusedError as error: print(json.dumps([error.group, list(error.reasons)]))
        """
    )
    said = "`fast.abi3.so` is also in group `one`, and a process loads a compiled module of one file once"
    assert told == ["two", [said]]


def test_group_changes_until_it_is_loaded(notebook):
    told = notebook.run("""
        other = Domain(Group("old", (), frozenset(), {}))
        declare(other)
        import nixenv.private.old
        declare(Domain(old))
        from nixenv.private.old import lib
        declare(Domain(old))
        hints = []
        for change in (lambda: declare(other), lambda: withdraw("old")):
            try: change()
            except RefusedError as error: hints.append(error.hint)
        print(json.dumps([lib.NUMBER, hints]))
    """)
    assert told == [1, ["restart the kernel"] * 2]


def test_withdrawn_group_is_gone(notebook):
    told = notebook.run("""
        import nixenv.private.old
        withdraw("old")
        withdraw("old")
        try: import nixenv.private.old
        except ModuleNotFoundError as error: print(json.dumps([names(), str(error)]))
    """)
    assert told == [[], "there is no private group `old`; the notebook has none"]


def test_two_groups_for_one_package_are_refused(notebook):
    told = notebook.run("""
        for name in ("one", "two"):
            try: declare(Domain(Group(name, old.folders, old.owned, {}, exposed=frozenset({"lib"}))))
            except RefusedError as error: print(json.dumps([error.group, list(error.reasons), names()]))
    """)
    assert told == ["two", ["the notebook imports `lib` from group `one`"], ["old", "one"]]


def test_same_group_by_other_links_is_the_same(notebook):
    told = notebook.run("""
        import os
        os.symlink(old.folders[0], "link")
        from nixenv.private.old import lib
        linked = (os.path.abspath("link"), *old.folders[1:])
        declare(Domain(Group("old", linked, old.owned, old.distributions, old.public)))
        print(json.dumps(registry.get("old").group.folders == old.folders))
    """)
    assert told is True
