import pytest

from nixlib.conda.reach import PREFIX, joined, looked_for, real_folders

SITE = "lib/python3.11/site-packages"


@pytest.mark.parametrize(
    ("folder", "relative", "goal"),
    [
        ("lib", "../share/x", "share/x"),
        ("lib", "..", ""),
        ("", "..", None),
        ("lib", "../../x", None),
        ("lib", "/etc", None),
        ("a/b", "./c/../d", "a/b/d"),
    ],
)
def test_target_is_seen_from_its_folder(folder, relative, goal):
    assert joined(folder, relative) == goal


def test_run_path_names_folders_of_the_prefix():
    run_path = ["$ORIGIN", "${ORIGIN}/../..", "$ORIGIN/../../../../../x", "/usr/lib", "$ORIGINAL"]
    assert list(looked_for("lib/a/b/x.so", run_path)) == ["lib/a/b", "lib", PREFIX]


@pytest.mark.parametrize(
    ("path", "goals", "real"),
    [
        # a library beside what it needs
        (f"{SITE}/torch/lib/x.so", [f"{SITE}/torch/lib"], []),
        # one that needs a folder of its own package
        (f"{SITE}/torch/_C.so", [f"{SITE}/torch/lib"], []),
        (f"{SITE}/a/b/c.so", [f"{SITE}/a"], [f"{SITE}/a/b"]),
        # one that needs the prefix's `lib`
        (
            f"{SITE}/numpy/core/x.so",
            ["lib"],
            [f"{SITE}/numpy/core", f"{SITE}/numpy", SITE, "lib/python3.11"],
        ),
        # one that needs both
        (f"{SITE}/a/x.so", [f"{SITE}/a", "lib"], [f"{SITE}/a", SITE, "lib/python3.11"]),
        # a file of the prefix itself
        ("etc/a/b", [PREFIX], ["etc/a", "etc"]),
        # a sibling folder that begins with the same letters
        ("lib/a/x", ["lib/ab"], ["lib/a"]),
        ("x", [PREFIX], []),
    ],
)
def test_folders_are_real_up_to_where_all_is_inside(path, goals, real):
    assert list(real_folders(path, goals)) == real
