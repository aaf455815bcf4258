"""Whose each package of a group is."""

from nixlib.lock import Artifact, LockedPackage
from nixlib.private.sharing import Tree, compiled_twice, share

LINUX, MAC = "x86_64-linux", "aarch64-darwin"


def package(name, version="1", *, requires=(), systems=(), tag="py3-none-any"):
    url = f"https://host/{name}-{version}-{tag}.whl"
    wheel = Artifact(url, f"{name}{version}{tag}".encode().hex()[:64].zfill(64), 1)
    return LockedPackage(name, version, (wheel,), requires=tuple(requires), systems=systems)


def on(*packages, systems=(LINUX,)):
    return {
        system: {p.name: p for p in packages if not p.systems or system in p.systems}
        for system in systems
    }


def names(group):
    return [package.name for package in group.packages]


def test_equal_version_is_the_notebooks():
    (group,) = share(on(package("a")), [Tree("g", (package("a"),))])
    assert (names(group), group.shared, group.lent) == ([], ("a",), {})


def test_other_version_is_its_own():
    (group,) = share(on(package("a")), [Tree("g", (package("a", "2"),))])
    assert (names(group), group.shared) == (["a"], ())


def test_same_version_in_another_file_is_its_own():
    (group,) = share(on(package("a")), [Tree("g", (package("a", tag="cp311-cp311-linux"),))])
    assert names(group) == ["a"]


def test_equal_version_is_its_own_where_a_need_is():
    public = on(package("a", requires=["b"]), package("b"))
    (group,) = share(public, [Tree("g", (package("a", requires=["b"]), package("b", "2")))])
    assert (names(group), group.shared) == (["a", "b"], ())


def test_equal_version_is_its_own_where_only_the_notebook_has_a_need_met_otherwise():
    """The notebook's `a` has an extra that the group's has not, and the group has another `b` anyway."""
    public = on(package("a", requires=["b"]), package("b"))
    (group,) = share(public, [Tree("g", (package("a"), package("b", "2")))])
    assert names(group) == ["a", "b"]


def test_needs_of_what_is_shared_are_shared_though_nobody_asked():
    public = on(package("a", requires=["b"]), package("b", requires=["c"]), package("c"))
    (group,) = share(public, [Tree("g", (package("a"),))])
    assert group.shared == ("a", "b", "c")


def test_circles_are_shared_whole_or_not_at_all():
    public = on(package("a", requires=["b"]), package("b", requires=["a", "c"]), package("c"))
    ring = (package("a", requires=["b"]), package("b", requires=["a", "c"]))
    (whole,) = share(public, [Tree("g", (*ring, package("c")))])
    (own,) = share(public, [Tree("g", (*ring, package("c", "2")))])
    assert (names(whole), whole.shared) == ([], ("a", "b", "c"))
    assert (names(own), own.shared) == (["a", "b", "c"], ())


def test_used_singleton_is_shared_with_its_needs():
    public = on(package("numpy", requires=["x"]), package("x"))
    (group,) = share(public, [Tree("g", (package("a", requires=["numpy"]),), frozenset({"numpy"}))])
    assert (names(group), group.shared) == (["a"], ("numpy", "x"))


def test_later_group_is_lent_with_its_needs():
    first = Tree("one", (package("a", requires=["b"]), package("b")))
    one, two = share(on(), [first, Tree("two", first.packages)])
    assert names(one) == ["a", "b"]
    assert (names(two), two.lent) == ([], {"a": "one", "b": "one"})


def test_nothing_is_lent_where_a_need_differs():
    first = Tree("one", (package("a", requires=["b"]), package("b")))
    second = Tree("two", (package("a", requires=["b"]), package("b", "2")))
    _, two = share(on(), [first, second])
    assert names(two) == ["a", "b"]


def test_lender_is_the_owner():
    base = package("b")
    middle = package("a", requires=["b"])
    trees = [Tree("one", (base,)), Tree("two", (base, middle)), Tree("three", (base, middle))]
    _, two, three = share(on(), trees)
    assert (names(two), two.lent) == (["a"], {"b": "one"})
    assert three.lent == {"a": "two", "b": "one"}


def test_group_of_one_system_shares_with_a_notebook_of_two():
    public = on(package("a"), systems=(LINUX, MAC))
    (group,) = share(public, [Tree("g", (package("a", systems=(LINUX,)),))])
    assert group.shared == ("a",)


def test_version_that_is_equal_on_one_system_only_is_its_own():
    public = on(
        package("a", systems=(LINUX,)), package("a", "2", systems=(MAC,)), systems=(LINUX, MAC)
    )
    (group,) = share(public, [Tree("g", (package("a"),))])
    assert names(group) == ["a"]


def test_compiled_file_of_two_owners_is_found():
    tag = "cp311-cp311-manylinux_2_17_x86_64"
    mine = package("a", tag=tag, requires=["b"])
    public = on(mine, package("b"))
    groups = share(public, [Tree("g", (mine, package("b", "2")))])
    assert compiled_twice(public, groups) == {"g a": (mine, "")}


def test_pure_file_of_two_owners_is_no_matter():
    mine = package("a", requires=["b"])
    public = on(mine, package("b"))
    assert compiled_twice(public, share(public, [Tree("g", (mine, package("b", "2")))])) == {}
