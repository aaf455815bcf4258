"""Private groups on the command line, on a real store and a real registry."""

import json
import shlex
from pathlib import Path

import pytest


@pytest.fixture(scope="module")
def built(engine_home, tmp_path_factory):
    """A locked and built notebook that asks for nothing but an old click."""
    path = engine_home.notebook(tmp_path_factory.mktemp("built") / "a.ipynb", "1 + 1")
    engine_home.engine("add", path, "click==7.1.2")
    return path


@pytest.fixture
def notebook(built, tmp_path):
    """A copy of it to change."""
    path = tmp_path / "a b.ipynb"
    path.write_bytes(built.read_bytes())
    return path


def spec_of(path):
    return json.loads(path.read_text())["metadata"]["nixenv"]


def result(engine_home, *arguments, **more):
    return json.loads(engine_home.engine(*arguments, "--json", **more).stdout)


def test_group_is_made_changed_shown_and_removed(engine_home, notebook):
    before = result(engine_home, "build", notebook)
    made = result(engine_home, "add", notebook, "--private", "old", "humanize==4.12.0")
    assert made["added"] == made["changed"] == made["removed"] == []
    assert made["private"] == [
        {
            "group": "old",
            "mode": "import",
            "added": [{"name": "humanize", "version": "4.12.0"}],
            "changed": [],
            "removed": [],
        }
    ]
    assert spec_of(notebook)["private"] == {"old": ["humanize==4.12.0"]}
    assert Path(made["env"], "share/nixenv/private/groups.json").exists()

    moved = result(engine_home, "add", "--private", "old", notebook, "humanize==4.13.0", "click")
    (old,) = moved["private"]
    assert old["changed"] == [{"name": "humanize", "from": "4.12.0", "to": "4.13.0"}]
    assert spec_of(notebook)["private"] == {"old": ["humanize==4.13.0", "click"]}

    (listed,) = result(engine_home, "list", notebook)["private"]
    assert [one["name"] for one in listed["packages"]] == ["humanize"]
    assert listed["shared"] == ["click"]
    (drawn,) = result(engine_home, "tree", notebook)["private"]
    assert [(one["name"], one.get("shared")) for one in drawn["tree"]] == [
        ("humanize", None),
        ("click", "the notebook"),
    ]
    status = result(engine_home, "status", notebook)
    assert status["private"] == ["old: humanize==4.13.0, click"]
    assert status["state"] == "ready"

    less = result(engine_home, "remove", notebook, "click", "--private", "old")
    assert spec_of(notebook)["private"] == {"old": ["humanize==4.13.0"]}
    assert less["private"] == []
    gone = result(engine_home, "remove", notebook, "--private", "old")
    assert "private" not in spec_of(notebook)
    assert [one["name"] for one in gone["private"][0]["removed"]] == ["humanize"]
    assert gone["env"] == before["env"]


def test_offered_command_ends_the_contradiction(engine_home, notebook):
    before = notebook.read_bytes()
    refused = engine_home.engine("add", notebook, "flask>=3", "--json", check=False)
    assert refused.returncode == 3
    assert notebook.read_bytes() == before
    error = json.loads(refused.stdout)["error"]
    assert '`"private": {"flask": {"for": "flask"}}`' in error["hint"]
    offer = {"group": "flask", "mode": "import", "package": "flask", "line": "flask>=3"}
    assert error["offer"] == offer
    words = shlex.split(error["hint"].split("`")[-2])
    assert words[:2] == ["%nixenv", "add"]
    assert f'nixenv add "{notebook}" --private flask' in refused.stderr

    made = result(engine_home, "add", notebook, *words[2:])
    assert spec_of(notebook)["private"] == {"flask": {"for": "flask", "requirements": ["flask>=3"]}}
    (group,) = made["private"]
    assert {"click", "flask"} <= {one["name"] for one in group["added"]}
    (listed,) = result(engine_home, "list", notebook)["private"]
    assert listed["for"] == "flask"
    public = {
        one["name"]: one["version"] for one in result(engine_home, "list", notebook)["packages"]
    }
    assert public["click"] == "7.1.2"
    assert "flask" not in public
    refused = engine_home.engine("remove", notebook, "flask", check=False)
    assert f'nixenv remove "{notebook}" --private flask flask' in refused.stderr


def test_offered_line_works_as_it_stands_in_the_metadata(engine_home, tmp_path):
    path = tmp_path / "nixenv.toml"
    path.write_text(
        'version = 1\nrequirements = ["click==7.1.2", "flask>=3"]\n'
        'python = "3.11"\ninterpreter = "host"\n'
    )
    refused = engine_home.engine("lock", path, "--json", check=False)
    line = json.loads(refused.stdout)["error"]["hint"].split("`")[1]
    private = json.loads(f"{{{line}}}")["private"]
    path.write_text(
        f'{path.read_text()}\n[private]\nflask = {{ for = "{private["flask"]["for"]}" }}\n'
    )
    locked = result(engine_home, "lock", path)
    assert "flask" in [one["name"] for one in locked["private"][0]["added"]]
    assert "click" in [one["name"] for one in locked["added"]]


def test_line_that_init_offers_is_for_after_it(engine_home, tmp_path):
    path = tmp_path / "new.ipynb"
    options = ["--python", "3.11", "--interpreter", "host"]
    refused = engine_home.engine("init", path, "click==7.1.2", "flask>=3", *options, check=False)
    command = f'leave it out, then `nixenv add "{path}" --private flask --for flask "flask>=3"`'
    assert refused.stderr.rstrip().endswith(command)
    assert not path.exists()


def test_group_with_a_process_has_packages_and_a_python_of_its_own(engine_home, notebook):
    options = ["--private", "legacy", "--process"]
    made = result(engine_home, "add", notebook, *options, "humanize==4.12.0")
    assert spec_of(notebook)["private"] == {
        "legacy": {"requirements": ["humanize==4.12.0"], "mode": "process"}
    }
    (group,) = made["private"]
    assert (group["group"], group["mode"]) == ("legacy", "process")
    assert [one["name"] for one in group["added"]] == ["humanize", "python"]
    (listed,) = result(engine_home, "list", notebook)["private"]
    assert listed["python"].startswith("3.11.")
    text = engine_home.engine("list", notebook).stdout
    assert "\n\nprivate legacy\n  python    3.11." in text
    assert engine_home.engine("status", notebook).stdout.count("humanize==4.12.0 (process)") == 1


def test_difference_of_groups_is_shown(engine_home, notebook, tmp_path):
    other = tmp_path / "other.ipynb"
    engine_home.engine("add", notebook, "--private", "old", "humanize==4.12.0")
    other.write_bytes(notebook.read_bytes())
    engine_home.engine("add", other, "--private", "old", "humanize==4.13.0")
    text = engine_home.engine("diff", notebook, other).stdout
    assert text.splitlines() == [
        "- old asks for humanize==4.12.0",
        "+ old asks for humanize==4.13.0",
        "~ old: humanize 4.12.0 → 4.13.0",
    ]
    assert result(engine_home, "diff", notebook, notebook)["same"]


def test_upgrade_moves_what_only_a_group_has(engine_home, notebook):
    engine_home.engine("add", notebook, "--private", "old", "humanize==4.12.0")
    engine_home.engine("add", notebook, "--private", "old", "humanize")
    assert result(engine_home, "lock", notebook)["private"] == []
    (old,) = result(engine_home, "lock", notebook, "--upgrade", "humanize")["private"]
    (moved,) = old["changed"]
    assert (moved["name"], moved["from"]) == ("humanize", "4.12.0")


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["--private", "Old", "six"], "`--private old`"),
        (["--private", "old"], "is not told what to have"),
        (["six", "--process"], "none is named"),
        (["--private", "old", "six", "--python", "3.9"], "add `--process`"),
        (["--private", "old", "--process", "six", "--for", "six"], "`process`: nothing is shared"),
    ],
)
def test_add_says_what_is_wrong_with_a_group(engine_home, notebook, words, says):
    before = notebook.read_bytes()
    run = engine_home.engine("add", notebook, *words, check=False)
    assert run.returncode == 2
    assert says in run.stderr
    assert notebook.read_bytes() == before


def test_remove_of_an_unknown_group_names_the_known_ones(engine_home, notebook):
    engine_home.engine("add", notebook, "--private", "old", "humanize==4.12.0")
    run = engine_home.engine("remove", notebook, "--private", "odl", check=False)
    assert run.returncode == 2
    assert "there are `old`" in run.stderr
    assert "did you mean `old`?" in run.stderr
