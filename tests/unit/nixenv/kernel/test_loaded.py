from __future__ import annotations

import sys
import types

from nixenv.kernel.loaded import differences, distributions, obstacles


def module(file: str) -> types.ModuleType:
    made = types.ModuleType("x")
    made.__file__ = file
    return made


def test_distributions_are_read_from_folder_names(world):
    one = world.package("Typing_Extensions", "4.5.0", {"typing_extensions.py": ""})
    site = world.site_packages(world.environment("env", one))
    (found,) = distributions(str(site)).items()
    assert found[0] == "typing-extensions"
    assert (found[1].version, found[1].home) == (
        "4.5.0", str(one / "Typing_Extensions-4.5.0.dist-info"),
    )  # fmt: skip


def test_differences_are_versions_builds_and_removals_not_additions(world):
    same = world.package("same", "1", {"same.py": ""})
    old, new = (world.package("moved", version, {"moved.py": ""}) for version in ("1", "2"))
    built, rebuilt = (world.package("built", "1", {"built.py": ""}, build) for build in "ab")
    gone, added = (world.package(name, "1", {f"{name}.py": ""}) for name in ("gone", "added"))
    before, after = (
        distributions(str(world.site_packages(world.environment(name, *packages))))
        for name, packages in (
            ("before", (same, old, built, gone)),
            ("after", (same, new, rebuilt, added)),
        )
    )
    assert [str(difference) for difference in differences(before, after)] == [
        "`built` 1 becomes another build of 1",
        "`gone` 1 is removed",
        "`moved` 1 becomes 2",
    ]


def test_obstacle_is_the_shortest_loaded_module(world):
    old = world.package("pkg", "1", {"pkg/__init__.py": "", "pkg/core.py": "", "shared/pkg.py": ""})
    other = world.package("other", "1", {"shared/other.py": ""})
    new = world.package("pkg", "2", {"pkg/__init__.py": ""})
    before = world.site_packages(world.environment("before", old, other, merged=("shared",)))
    after = world.site_packages(world.environment("after", new, other))
    found = differences(distributions(str(before)), distributions(str(after)))
    roots = ["/elsewhere", str(before)]

    modules = {"shared.other": module(f"{before}/shared/other.py"), "built-in": sys}
    assert obstacles(found, str(before), roots, modules) == []
    modules["pkg.core"] = module(f"{before}/pkg/core.py")
    modules["pkg"] = module(f"{before}/pkg/__init__.py")
    (stand,) = obstacles(found, str(before), roots, modules)
    assert (stand.module, stand.difference.before.name) == ("pkg", "pkg")


def test_obstacle_is_found_in_an_environment_left_before(world):
    old, new = (world.package("pkg", version, {"pkg.py": ""}) for version in ("1", "2"))
    first, second, third = (
        world.site_packages(world.environment(name, package))
        for name, package in (("first", old), ("second", old), ("third", new))
    )
    found = differences(distributions(str(second)), distributions(str(third)))
    modules = {"pkg": module(f"{first}/pkg.py")}
    assert len(obstacles(found, str(second), [str(first), str(second)], modules)) == 1


def test_private_hook_of_a_path_file_is_no_obstacle(world):
    line = "import os; os.environ and __import__('_distutils_hack').add_shim();"
    files = {
        "distutils-precedence.pth": line,
        "_distutils_hack/__init__.py": "",
        "setuptools.py": "",
    }
    site = str(
        world.site_packages(world.environment("env", world.package("setuptools", "65", files)))
    )
    found = differences(distributions(site), {})
    modules = {"_distutils_hack": module(f"{site}/_distutils_hack/__init__.py")}
    assert obstacles(found, site, [site], modules) == []
    modules["setuptools"] = module(f"{site}/setuptools.py")
    assert [one.module for one in obstacles(found, site, [site], modules)] == ["setuptools"]


def test_lazy_module_is_not_touched(world):
    class Lazy(types.ModuleType):
        def __getattribute__(self, name):
            raise AssertionError(name)

    old = world.package("pkg", "1", {"pkg.py": ""})
    site = world.site_packages(world.environment("env", old))
    found = differences(distributions(str(site)), {})
    assert obstacles(found, str(site), [str(site)], {"lazy": Lazy("lazy")}) == []
