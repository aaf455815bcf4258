"""The verbs over packages of conda: imported, shown, compared and changed, from a mirror of conda-forge."""

import json
import sys

import pytest

from nixlib.platforms import current_system
from nixlib.testing.stand_ins import CONDA_FORGE, stand_ins

pytestmark = [
    pytest.mark.daemon,
    pytest.mark.network,
    pytest.mark.skipif(not sys.platform.startswith("linux"), reason="the channel is for Linux"),
]

FILE = f"""\
name: analysis
channels: [conda-forge]
platforms: [{ {"x86_64-linux": "linux-64", "aarch64-linux": "linux-aarch64"}.get(current_system()) }]
dependencies:
  - arrays >=1.2
  - blas=*=mkl
  - pip:
    - humanize
    - --no-deps
prefix: /home/somebody/else
"""


@pytest.fixture(scope="module")
def engine(engine_home):
    """`nixenv …`, where conda-forge is the tests' channel."""
    with stand_ins() as ours:
        engine_home.process_env.update(ours)

        def run(*arguments, **more):
            done = engine_home.engine(*arguments, "--json", **more)
            return json.loads(done.stdout) if done.stdout else {}

        run.text = lambda *arguments: engine_home.engine(*arguments).stdout
        yield run
        for name in ours:
            del engine_home.process_env[name]


@pytest.fixture(scope="module")
def imported(engine, tmp_path_factory):
    folder = tmp_path_factory.mktemp("conda")
    (folder / "environment.yml").write_text(FILE)
    told = engine("import", folder / "environment.yml")
    return folder / "analysis.ipynb", told


def spec_of(path):
    return json.loads(path.read_text())["metadata"]["nixenv"]


@pytest.fixture
def notebook(imported, tmp_path):
    """A copy that a test may change."""
    path = tmp_path / "copy.ipynb"
    path.write_bytes(imported[0].read_bytes())
    return path


def test_import_makes_a_locked_notebook_and_says_what_it_left_out(imported):
    path, told = imported
    spec = spec_of(path)
    assert spec["requirements"] == ['arrays[version=">=1.2"]', "blas * mkl", "humanize"]
    assert told["notes"] == ["`--no-deps` is left out: it is an option of pip"]
    (arrays,) = [one for one in spec["lock"]["conda"]["packages"] if one["name"] == "arrays"]
    assert arrays["channel"].startswith(CONDA_FORGE)
    assert "mkl" in arrays["build"]


def test_import_leaves_no_notebook_behind_that_cannot_be_locked(engine, tmp_path):
    (tmp_path / "e.yml").write_text("channels: [conda-forge]\ndependencies: [absent-of-all]\n")
    engine("import", tmp_path / "e.yml", check=False)
    assert not (tmp_path / "e.ipynb").exists()


def test_import_replaces_only_when_it_is_forced(engine, notebook, tmp_path):
    (tmp_path / "e.yml").write_text("dependencies:\n- pip: [six]\n")
    before = notebook.read_bytes()
    answer = engine("import", tmp_path / "e.yml", notebook, check=False)
    assert answer["error"]["type"] == "MetadataError"
    assert notebook.read_bytes() == before
    engine("import", tmp_path / "e.yml", notebook, "--force")
    assert spec_of(notebook)["requirements"] == ["six"]


def test_list_shows_builds_and_channels(engine, imported):
    packages = {one["name"]: one for one in engine("list", imported[0])["packages"]}
    assert packages["blas"]["build"] == "mkl"
    assert packages["blas"]["origin"] == "conda-forge"
    assert packages["humanize"]["source"] == "pypi"
    assert packages["arrays"]["requirement"] == 'arrays[version=">=1.2"]'


def test_tree_goes_through_conda_and_gives_reasons(engine, imported):
    tree = engine("tree", imported[0], "--why")["tree"]
    assert [node["name"] for node in tree][:3] == ["arrays", "blas", "humanize"]
    assert tree[1]["reason"] == "asked for as a match spec: `blas * mkl`"
    text = engine.text("tree", imported[0], "--why", "mkl").splitlines()
    assert text[0].startswith("arrays 1.2 ")
    assert text[1] == "└── blas 1.0 mkl (conda-forge)"
    assert text[2] == "    └── mkl 2024.1 h1_0 (conda-forge)"


def test_status_counts_what_is_of_conda(engine, imported):
    told = engine("status", imported[0])
    assert told["packages"] == len(engine("list", imported[0])["packages"])
    assert told["interpreter"].endswith("(conda)")


def test_providers_decide_and_say_why(engine, notebook):
    value = json.loads(notebook.read_text())
    spec = value["metadata"]["nixenv"]
    spec["requirements"] = ["six", "humanize", "arrays>=1"]
    spec["providers"] = {"_default": "conda-forge,wheel"}
    notebook.write_text(json.dumps(value))
    engine("lock", notebook)
    tree = {node["name"]: node for node in engine("tree", notebook, "--why")["tree"]}
    assert tree["six"]["source"] == "conda"
    assert tree["six"]["reason"].startswith("conda-forge: the first of")
    assert tree["humanize"]["source"] == "pypi"
    assert tree["humanize"]["reason"].startswith("wheel: `conda-forge` does not have it")
    assert set(spec_of(notebook)["lock"]["choices"]) == {"six", "humanize", "arrays"}


@pytest.mark.slow
def test_add_and_remove_change_one_package_of_conda(engine, notebook):
    added = engine("add", notebook, "greeter =1.0")
    assert added["added"] == [{"name": "greeter", "version": "1.0 pyh0_0"}]
    moved = engine("add", notebook, "greeter *", "blas * openblas")
    assert {one["name"] for one in moved["changed"]} == {"arrays", "blas"}
    assert spec_of(notebook)["requirements"] == [
        'arrays[version=">=1.2"]',
        "blas * openblas",
        "humanize",
        "greeter *",
    ]
    removed = engine("remove", notebook, "greeter")
    assert removed["removed"] == [{"name": "greeter", "version": "1.0 pyh0_0"}]


def test_upgrade_moves_only_the_package_that_is_named(engine, notebook):
    value = json.loads(notebook.read_text())
    value["metadata"]["nixenv"]["requirements"][0] = "arrays =1.1"
    value["metadata"]["nixenv"]["requirements"].append("greeter =1.0")
    notebook.write_text(json.dumps(value))
    engine("lock", notebook)
    value = json.loads(notebook.read_text())
    value["metadata"]["nixenv"]["requirements"] = [
        "arrays *",
        "blas * mkl",
        "humanize",
        "greeter *",
    ]
    notebook.write_text(json.dumps(value))
    told = engine("lock", notebook, "--upgrade", "arrays")
    assert [one["name"] for one in told["changed"]] == ["arrays"]


def test_diff_shows_builds(engine, imported, notebook):
    value = json.loads(notebook.read_text())
    value["metadata"]["nixenv"]["requirements"][1] = "blas * openblas"
    notebook.write_text(json.dumps(value))
    engine("lock", notebook)
    lines = engine.text("diff", imported[0], notebook).splitlines()
    assert "~ blas 1.0 mkl → 1.0 openblas" in lines
    assert "+ libopenblas 2024.1 h1_0" in lines


def test_import_that_fails_says_what_it_read_otherwise(engine, tmp_path):
    text = "channels: [conda-forge]\ndependencies:\n  - no-such-package\n  - pywin32  # [win]\n"
    (tmp_path / "e.yml").write_text(text)
    error = engine("import", tmp_path / "e.yml", check=False)["error"]
    assert "`pywin32` is left out: it is for `win`" in str(error)


def test_what_was_said_of_a_lock_is_not_said_again(engine, tmp_path):
    path = tmp_path / "a.ipynb"
    said = engine("init", path, "arrays *")["warnings"]
    assert len(said) == 3  # the channel serves one system
    assert engine("add", path, "humanize")["warnings"] == []
    assert engine("lock", path)["warnings"] == said


def test_status_shows_what_the_notebook_chose(engine, notebook):
    content = json.loads(notebook.read_text())
    content["metadata"]["nixenv"] |= {"variants": {"cuda": None}, "build-inputs": ["host#cc"]}
    notebook.write_text(json.dumps(content))
    told = engine("status", notebook)
    assert (told["variants"], told["build_inputs"]) == (["cuda=none"], ["host#cc"])
    assert "build inputs" in engine.text("status", notebook)
