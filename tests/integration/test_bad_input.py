"""Bad input, all of it: one clear sentence, the right exit code, nothing half-made."""

import base64
import hashlib
import io
import json
import os
import random
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
import zipfile
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path

import pytest
from namespaces import in_namespace

from nixlib.testing.index import IndexServer, Manners, make_wheel

BAD, NO_ANSWER, NIX, NETWORK = 2, 3, 4, 5


def engine(engine_home, verb, *arguments, prefix=(), **variables):
    """One engine process, as the server starts it; its exit code, answer and what it wrote to stderr."""
    environ = {
        **engine_home.process_env,
        "NIXENV_TIMEOUT": "5",
        "NO_PROXY": "127.0.0.1",
        **variables,
    }
    run = subprocess.run(
        [*prefix, sys.executable, "-m", "nixenv", verb, "--json", *map(str, arguments)],
        capture_output=True,
        text=True,
        env={name: str(value) for name, value in environ.items()},
        check=False,
    )
    assert "Traceback" not in run.stderr + run.stdout, run.stderr
    return run.returncode, json.loads(run.stdout), run.stderr


def assert_refused(told, code, *, notebook, key="", words=()):
    """The failure is one sentence that names the notebook, the key and what was found."""
    status, answer, shown = told
    error = answer["error"]
    assert status == code, shown
    sentence = error["message"].splitlines()[0]
    assert notebook.name in sentence, sentence
    assert sentence == sentence.strip(), sentence
    assert not sentence.endswith("."), sentence
    assert len(sentence) < 400, sentence
    assert error["notebook"] == str(notebook), error
    assert key in error["key"], error
    for word in words:
        assert word in error["message"], error["message"]
    assert any(line.startswith("nixenv: ") for line in shown.splitlines()), shown
    return error


@contextmanager
def untouched(path):
    """Nothing is left of what is tried in the block: the notebook's bytes and its folder stay."""
    before, beside = path.read_bytes(), sorted(path.parent.iterdir())
    yield
    assert path.read_bytes() == before
    assert sorted(path.parent.iterdir()) == beside


def edited(path, edit):
    """The notebook at `path` after `edit` has changed its JSON."""
    value = json.loads(path.read_text())
    value = edit(value) or value
    path.write_text(json.dumps(value, indent=1) + "\n")
    return path


@pytest.fixture
def folder(tmp_path):
    """Where the notebooks of a test are, and nothing else."""
    place = tmp_path / "notebooks"
    place.mkdir()
    return place


@pytest.fixture
def notebook(engine_home, folder):
    return engine_home.notebook(folder / "analysis.ipynb")


def in_spec(**changes):
    def edit(value):
        value["metadata"]["nixenv"].update(changes)

    return edit


def whole_spec(spec):
    def edit(value):
        value["metadata"]["nixenv"] = spec

    return edit


def whole_metadata(metadata):
    def edit(value):
        value["metadata"] = metadata

    return edit


def in_lock(**changes):
    def edit(value):
        value["metadata"]["nixenv"]["lock"].update(changes)

    return edit


def in_package(**changes):
    def edit(value):
        value["metadata"]["nixenv"]["lock"]["packages"][0].update(changes)

    return edit


SPECS = {
    "metadata-is-a-list": (whole_metadata([]), "metadata", ["is not an object"]),
    "metadata-is-a-text": (whole_metadata("x"), "metadata", ["is not an object"]),
    "spec-is-missing": (whole_metadata({}), "nixenv", ["carries no environment"]),
    "spec-is-a-list": (whole_spec(["pandas"]), "nixenv", ["must be an object"]),
    "spec-is-a-text": (whole_spec("pandas"), "nixenv", ["must be an object"]),
    "spec-is-a-number": (whole_spec(3), "nixenv", ["must be an object"]),
    "version-is-newer": (in_spec(version=2), "nixenv.version", ["2"]),
    "version-is-missing": (whole_spec({"requirements": []}), "nixenv.version", []),
    "version-is-a-text": (in_spec(version="1"), "nixenv.version", []),
    "version-is-true": (in_spec(version=True), "nixenv.version", []),
    "version-is-0": (in_spec(version=0), "nixenv.version", []),
    "key-is-unknown": (in_spec(requirments=["x"]), "nixenv.requirments", ["not a key"]),
    "requirements-is-a-text": (in_spec(requirements="pandas"), "nixenv.requirements", ["a list"]),
    "requirements-is-null": (in_spec(requirements=None), "nixenv.requirements", []),
    "requirement-is-a-number": (in_spec(requirements=["a", 1]), "nixenv.requirements[1]", []),
    "python-is-a-number": (in_spec(python=3.11), "nixenv.python", []),
    "python-is-2": (in_spec(python="2.7"), "nixenv.python", ["2.7"]),
    "python-is-words": (in_spec(python="latest"), "nixenv.python", ["latest"]),
    "era-is-a-text": (in_spec(era="no"), "nixenv.era", ["true or false"]),
    "strict-is-a-number": (in_spec(strict=1), "nixenv.strict", ["true or false"]),
    "interpreter-is-unknown": (in_spec(interpreter="pypy"), "nixenv.interpreter", ["host"]),
    "systems-are-unknown": (in_spec(systems=["windows"]), "nixenv.systems", ["windows"]),
    "systems-are-empty": (in_spec(systems=[]), "nixenv.systems", []),
    "index-is-no-url": (in_spec(indexes=["pypi"]), "nixenv.indexes[0]", ["https://"]),
    "date-is-none": (in_spec(**{"exclude-newer": "yesterday"}), "nixenv.exclude-newer", []),
    "collisions-is-a-list": (in_spec(collisions=["cv2"]), "nixenv.collisions", []),
    "lock-is-a-text": (in_spec(lock="x"), "nixenv.lock", ["damaged"]),
    "lock-is-empty": (in_spec(lock={}), "nixenv.lock", ["damaged"]),
    "lock-is-newer": (in_lock(layout=99), "nixenv.lock.layout", ["99"]),
    "lock-has-an-unknown-key": (in_lock(extra=1), "nixenv.lock.extra", ["damaged"]),
    "lock-packages-is-an-object": (in_lock(packages={}), "nixenv.lock.packages", ["damaged"]),
    "lock-package-name-is-a-path": (in_package(name="../x"), "nixenv.lock.packages[0].name", []),
    "lock-wheel-is-short": (in_package(wheels=["x"]), "nixenv.lock.packages[0].wheels[0]", []),
    "lock-wheel-url-is-ftp": (
        in_package(wheels=[f"{'0' * 64} 1 ftp://host/x.whl"]),
        "nixenv.lock.packages[0].wheels[0]",
        [],
    ),
    "lock-is-stale": (in_spec(requirements=["six"]), "nixenv.lock.spec", ["stale"]),
    "lock-is-stale-by-python": (in_spec(python="3.12"), "nixenv.lock.spec", ["stale"]),
}


@pytest.mark.parametrize(("edit", "key", "words"), SPECS.values(), ids=SPECS)
def test_build_refuses_metadata(engine_home, notebook, edit, key, words):
    edited(notebook, edit)
    with untouched(notebook):
        error = assert_refused(
            engine(engine_home, "build", notebook), BAD, notebook=notebook, key=key, words=words
        )
    assert error["type"] in (
        "MetadataError",
        "SpecError",
        "LockError",
        "LockStaleError",
        "LockVersionError",
    )


def test_unknown_key_names_the_nearest(engine_home, notebook):
    edited(notebook, in_spec(requirments=[]))
    assert "`requirements`" in engine(engine_home, "build", notebook)[1]["error"]["hint"]


def test_stale_lock_names_the_command_that_mends_it(engine_home, notebook):
    edited(notebook, in_spec(requirements=["six"]))
    assert "nixenv lock" in engine(engine_home, "build", notebook)[1]["error"]["hint"]
    assert engine(engine_home, "lock", notebook)[0] == 0
    assert engine(engine_home, "build", notebook)[0] == 0


def test_keys_of_ones_own_are_no_error(engine_home, notebook):
    edited(notebook, in_spec(**{"x-mine": {"any": ["thing"]}}))
    assert engine(engine_home, "build", notebook)[0] == 0


REQUIREMENTS = {
    "half": "pandas==",
    "version-of-nothing": "==1.5",
    "two": "pandas numpy",
    "empty": "",
    "option": "-r requirements.txt",
    "path": "./pandas",
    "absolute-path": "/etc/passwd",
    "git": "git+https://github.com/pandas-dev/pandas",
    "url-without-name": "https://files.example/x-1-py3-none-any.whl",
    "file-url": "x @ file:///etc/x-1-py3-none-any.whl",
    "no-archive": "x @ https://files.example/x-1.rar",
    "two-lines": "pandas\nnumpy",
    "control": "pandas\x1b[31m",
    "emoji": "🐼",
    "endless": "p" * 5000,
}


@pytest.mark.parametrize("requirement", REQUIREMENTS.values(), ids=REQUIREMENTS)
def test_add_refuses_a_requirement(engine_home, notebook, requirement):
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "--", requirement)
        assert_refused(told, BAD, notebook=notebook, key="requirements")


@pytest.mark.parametrize("requirement", REQUIREMENTS.values(), ids=REQUIREMENTS)
def test_lock_refuses_a_requirement_of_the_notebook(engine_home, notebook, requirement):
    edited(notebook, in_spec(requirements=["six", requirement]))
    with untouched(notebook):
        error = assert_refused(
            engine(engine_home, "lock", notebook),
            BAD,
            notebook=notebook,
            key="nixenv.requirements[1]",
        )
    assert "\x1b" not in error["message"]


def test_add_refuses_a_name_that_does_not_exist(engine_home, notebook):
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "no-such-package-of-nixenv")
        assert_refused(told, NO_ANSWER, notebook=notebook, words=["no-such-package-of-nixenv"])


def test_add_refuses_a_version_that_does_not_exist(engine_home, notebook):
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "six==99")
        assert_refused(told, NO_ANSWER, notebook=notebook, words=["six==99"])


def test_remove_refuses_what_is_not_there(engine_home, notebook):
    with untouched(notebook):
        told = engine(engine_home, "remove", notebook, "six")
        assert_refused(told, BAD, notebook=notebook, words=["`six` is not among"])


def serving(engine_home, notebook, *files, **manners):
    """An index with these files beside the user's own, named in the notebook's spec."""
    index = IndexServer(files, Manners(**manners))
    index.__enter__()
    edited(notebook, in_spec(indexes=[index.url]))
    return index


@pytest.fixture
def serve(engine_home, notebook):
    started = []

    def start(*files, **manners):
        started.append(serving(engine_home, notebook, *files, **manners))
        return started[-1]

    yield start
    for index in started:
        index.__exit__()


def test_conflict_names_the_notebooks_own_requirement(engine_home, notebook, serve):
    serve(make_wheel("nixtest-a", "1", requires=["nixtest-b<2"]), make_wheel("nixtest-b", "2"))
    edited(notebook, in_spec(requirements=["nixtest-b==2"]))
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "nixtest-a")
        error = assert_refused(told, NO_ANSWER, notebook=notebook)
    assert "nixtest-" in error["message"].splitlines()[0]
    assert "nixtest-b<2" in error["message"]


def test_version_without_a_wheel_for_this_platform_is_refused(engine_home, notebook, serve):
    serve(make_wheel("nixtest-win", "1", tag="cp311-cp311-win_amd64"))
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "nixtest-win==1")
        assert_refused(told, NO_ANSWER, notebook=notebook, words=["nixtest-win"])


def test_lock_without_a_wheel_for_this_platform_is_refused(engine_home, notebook):
    wheel = f"{'0' * 64} 1 https://files.example/nixtest-1-cp311-cp311-win_amd64.whl"
    edited(notebook, lambda value: value["metadata"]["nixenv"]["lock"]["packages"].append(
        {"name": "nixtest", "version": "1", "wheels": [wheel]}
    ))  # fmt: skip
    with untouched(notebook):
        told = engine(engine_home, "build", notebook)
        assert_refused(told, NO_ANSWER, notebook=notebook, words=["nixtest", "1"])


@pytest.fixture
def good(engine_home, notebook, serve):
    """A notebook with one package of our own index, locked and not yet built."""
    index = serve(make_wheel("nixtest-good", "1"))
    edited(notebook, in_spec(requirements=["nixtest-good"]))
    assert engine(engine_home, "lock", notebook)[0] == 0
    return index


def lock_of(notebook):
    return json.loads(notebook.read_text())["metadata"]["nixenv"]["lock"]


def package_number(notebook, name):
    return [package["name"] for package in lock_of(notebook)["packages"]].index(name)


def elsewhere(tmp_path):
    """Variables of a user whose machine has not seen anything yet."""
    return {"XDG_STATE_HOME": tmp_path / "other-state", "XDG_CACHE_HOME": tmp_path / "other-cache"}


def test_lock_whose_hash_does_not_match_is_refused(engine_home, notebook, good):
    number = package_number(notebook, "nixtest-good")

    def edit(value):
        wheels = value["metadata"]["nixenv"]["lock"]["packages"][number]["wheels"]
        sha256, size, url = wheels[0].split(" ")
        wheels[0] = f"{hashlib.sha256(sha256.encode()).hexdigest()} {size} {url}"

    edited(notebook, edit)
    with untouched(notebook):
        told = engine(engine_home, "build", notebook)
        error = assert_refused(told, NETWORK, notebook=notebook, words=["nixtest"])
    assert error["type"] == "HashMismatchError"


@pytest.mark.parametrize("damage", ["altered", "truncated"])
def test_download_that_is_not_what_was_locked_is_refused(
    engine_home, notebook, good, damage, tmp_path
):
    (file,) = good.files
    data = bytes([file.data[0] ^ 1]) + file.data[1:] if damage == "altered" else file.data[:100]
    good.files = (replace(file, data=data),)
    own = elsewhere(tmp_path)
    with untouched(notebook):
        told = engine(engine_home, "build", notebook, **own)
        assert_refused(told, NETWORK, notebook=notebook, words=["nixtest"])
    # Nothing of it is kept: with the true file, the same notebook builds.
    good.files = (file,)
    assert engine(engine_home, "build", notebook, **own)[0] == 0


def test_hint_that_pairs_a_genuine_hash_with_another_tree_is_refused(
    engine_home, notebook, good, tmp_path
):
    number = package_number(notebook, "nixtest-good")
    wheel = lock_of(notebook)["packages"][number]["wheels"][0].split(" ")[0]
    wrong = "sha256-" + base64.b64encode(hashlib.sha256(b"another tree").digest()).decode()
    edited(notebook, in_lock(hints={wheel: wrong}))
    with untouched(notebook):
        told = engine(engine_home, "build", notebook, **elsewhere(tmp_path))
        error = assert_refused(told, NETWORK, notebook=notebook, words=["nixtest", wrong])
    assert error["type"] == "HashMismatchError"


def test_root_that_dangles_is_built_again(engine_home, notebook, tmp_path):
    own = elsewhere(tmp_path)
    status, first, _ = engine(engine_home, "build", notebook, **own)
    assert status == 0
    (link,) = (
        one
        for one in (tmp_path / "other-state/nixenv/environments").iterdir()
        if "." not in one.name
    )
    link.unlink()
    link.symlink_to(Path(first["env"]).with_name("0" * 32 + "-collected"))
    status, second, _ = engine(engine_home, "build", notebook, **own)
    assert (status, second["env"]) == (0, first["env"])
    assert (link / "bin" / "python").exists()


def evil_wheel(name, member, *, mode=0o100644):
    """A wheel with one member that has no business there."""
    good = make_wheel(name, "1")
    buffer = io.BytesIO(good.data)
    with zipfile.ZipFile(buffer, "a") as archive:
        info = zipfile.ZipInfo(member)
        info.create_system, info.external_attr = 3, mode << 16
        archive.writestr(info, "../../../../etc/passwd")
    return replace(good, data=buffer.getvalue())


@pytest.mark.parametrize(
    ("member", "mode"),
    [
        ("../outside.py", 0o100644),
        ("nixtest_evil/../../outside.py", 0o100644),
        ("/absolute.py", 0o100644),
        ("nixtest_link", 0o120777),
        ("nixtest_evil-1.data/scripts/../../../x", 0o100755),
    ],
    ids=["dot-dot", "dot-dot-inside", "absolute", "link-out", "dot-dot-script"],
)
def test_wheel_that_leaves_its_tree_is_refused(engine_home, notebook, serve, member, mode):
    serve(evil_wheel("nixtest-evil", member, mode=mode))
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "nixtest-evil")
        error = assert_refused(
            told, NO_ANSWER, notebook=notebook, words=["nixtest_evil-1-py3-none-any.whl"]
        )
    assert error["type"] == "WheelError"


def test_wheel_that_is_no_zip_is_refused(engine_home, notebook, serve):
    serve(replace(make_wheel("nixtest-nozip", "1"), data=b"not a zip" * 100))
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "nixtest-nozip")
        assert told[0] in (NO_ANSWER, NETWORK)
        assert_refused(told, told[0], notebook=notebook, words=["nixtest"])


def test_registry_that_answers_500_is_the_networks_fault(engine_home, notebook, serve):
    serve(status=500)
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "nixtest-any")
        assert_refused(told, NETWORK, notebook=notebook, words=["127.0.0.1", "500"])


def test_registry_that_is_slow_is_the_networks_fault(engine_home, notebook, serve):
    serve(delay=20)
    started = time.monotonic()
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "nixtest-any", NIXENV_TIMEOUT="1")
        assert_refused(told, NETWORK, notebook=notebook, words=["127.0.0.1"])
    assert time.monotonic() - started < 30


def test_registry_that_is_down_is_the_networks_fault(engine_home, notebook):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        edited(notebook, in_spec(indexes=[f"http://127.0.0.1:{taken.getsockname()[1]}/simple"]))
        with untouched(notebook):
            told = engine(engine_home, "add", notebook, "nixtest-any")
            assert_refused(told, NETWORK, notebook=notebook, words=["127.0.0.1"])


def test_registry_that_is_down_does_not_matter_when_the_environment_is_there(engine_home, notebook):
    status, _, _ = engine(engine_home, "build", notebook, HTTPS_PROXY="http://127.0.0.1:9")
    assert status == 0


def test_full_disk_of_the_store_is_said(engine_home, notebook, tmp_path):
    store = tmp_path / "small"
    store.mkdir()
    small = in_namespace(f"mount -t tmpfs -o size=8M none '{store}'")
    with untouched(notebook):
        told = engine(engine_home, "build", notebook, "--store", store, prefix=small)
        assert_refused(told, NIX, notebook=notebook, words=["full"])


def test_full_disk_of_the_state_is_said(engine_home, notebook, tmp_path):
    state = tmp_path / "full"
    state.mkdir()
    full = in_namespace(f"mount -t tmpfs -o nr_inodes=1 none '{state}'")
    with untouched(notebook):
        status, answer, _ = engine(
            engine_home, "build", notebook, prefix=full, NIXENV_STATE_DIR=state
        )
    assert status == NIX
    assert "full" in answer["error"]["message"] or "no space" in answer["error"]["message"]


def test_read_only_store_is_said(engine_home, notebook, tmp_path):
    store = tmp_path / "fixed"
    store.mkdir()
    fixed = in_namespace(f"mount -t tmpfs -o ro none '{store}'")
    with untouched(notebook):
        told = engine(engine_home, "build", notebook, "--store", store, prefix=fixed)
        assert_refused(told, NIX, notebook=notebook, words=["read-only"])


def test_nix_that_is_missing_is_said(engine_home, notebook, tmp_path):
    empty = tmp_path / "bin"
    empty.mkdir()
    hide = in_namespace(
        "for place in /nix/var/nix/profiles /run/current-system; do"
        " [ ! -d $place ] || mount -t tmpfs none $place; done; export PATH=" + str(empty)
    )
    with untouched(notebook):
        told = engine(
            engine_home, "build", notebook, "--store", tmp_path / "s", prefix=hide, HOME=empty
        )
        assert_refused(told, NIX, notebook=notebook, words=["Nix"])


def test_nix_that_dies_in_mid_stream_is_said_and_the_next_start_succeeds(
    engine_home, notebook, tmp_path
):
    real = shutil.which("nix-daemon", path=engine_home.process_env["PATH"])
    wrapper = tmp_path / "bin" / "nix-daemon"
    wrapper.parent.mkdir()
    wrapper.write_text(f'#!/bin/sh\necho $$ >> "{tmp_path}/pids"\nexec "{real}" "$@"\n')
    wrapper.chmod(0o755)
    store = tmp_path / "s"
    path = f"{wrapper.parent}:{engine_home.process_env['PATH']}"
    with untouched(notebook):
        with subprocess.Popen(
            [
                sys.executable,
                "-m",
                "nixenv",
                "build",
                notebook,
                "--json",
                "--events",
                "--store",
                store,
            ],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**engine_home.process_env, "PATH": path},
        ) as process:
            for line in process.stderr:
                if json.loads(line).get("phase") == "import":
                    break
            killed = 0
            while process.poll() is None:
                # Each of its processes, also those that are started anew.
                for pid in filter(is_nix, (tmp_path / "pids").read_text().split()):
                    with suppress(ProcessLookupError):
                        os.kill(int(pid), signal.SIGKILL)
                        killed += 1
                time.sleep(0.02)
            out, shown = process.communicate(timeout=60)
        assert killed
        assert "Traceback" not in shown
        error = json.loads(out)["error"]
        assert (process.returncode, error["notebook"]) == (NIX, str(notebook)), error
        assert notebook.name in error["message"].splitlines()[0]
        assert engine(engine_home, "build", notebook, "--store", store)[0] == 0
    assert_store_valid(engine_home, store)


def is_nix(pid):
    try:
        return b"nix-daemon" in Path("/proc", pid, "cmdline").read_bytes()
    except OSError:
        return False


def assert_store_valid(engine_home, store):
    run = subprocess.run(
        ["nix-store", "--verify", "--check-contents"],
        capture_output=True,
        text=True,
        env={**engine_home.process_env, "NIX_REMOTE": str(store)},
        check=False,
    )
    assert run.returncode == 0, run.stderr


def test_killed_at_any_moment_leaves_a_valid_store_and_the_next_start_succeeds(
    engine_home, notebook, tmp_path
):
    store, chance = tmp_path / "s", random.Random(20)
    argv = [sys.executable, "-m", "nixenv", "build", notebook, "--json", "--store", store]
    with untouched(notebook):
        for _ in range(6):
            process = subprocess.Popen(
                argv,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                env=engine_home.process_env,
            )
            time.sleep(chance.uniform(0.1, 2.5))
            process.send_signal(signal.SIGKILL)
            process.wait()
        assert engine(engine_home, "build", notebook, "--store", store)[0] == 0
    assert_store_valid(engine_home, store)


TEXTS = {
    "empty": b"",
    "words": b"this is no notebook",
    "half": b'{"cells": [], "metadata": {"nixenv": {"version": 1',
    "list": b"[]",
    "number": b"3",
    "not-utf-8": b'{"cells": [], "metadata": {"t": "\xff\xfe"}}',
    "binary": bytes(range(256)) * 10,
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("text", TEXTS.values(), ids=TEXTS)
@pytest.mark.parametrize("verb", [("build",), ("add", "six")], ids=["build", "add"])
def test_notebook_that_is_not_json_is_refused(engine_home, folder, text, verb):
    path = folder / "analysis.ipynb"
    path.write_bytes(text)
    os.utime(path, (1_700_000_000, 1_700_000_000))
    with untouched(path):
        told = engine(engine_home, verb[0], path, *verb[1:])
        assert_refused(told, BAD, notebook=path)


def test_notebook_that_is_not_there_is_refused(engine_home, tmp_path):
    told = engine(engine_home, "build", tmp_path / "gone.ipynb")
    assert_refused(told, BAD, notebook=tmp_path / "gone.ipynb", words=["there is no"])


def test_notebook_that_is_a_folder_or_no_notebook_is_refused(engine_home, folder):
    (folder / "x.ipynb").mkdir()
    assert_refused(
        engine(engine_home, "status", folder / "x.ipynb"), BAD, notebook=folder / "x.ipynb"
    )
    (folder / "x.txt").touch()
    assert_refused(engine(engine_home, "build", folder / "x.txt"), BAD, notebook=folder / "x.txt")


def test_notebook_of_200_megabytes_is_built_and_changed_without_loss(engine_home, notebook):
    picture = base64.b64encode(os.urandom(150_000_000)).decode()
    edited(notebook, lambda value: value["cells"].append(
        {"cell_type": "markdown", "id": "big", "metadata": {}, "source": picture}
    ))  # fmt: skip
    assert notebook.stat().st_size > 200_000_000
    assert engine(engine_home, "build", notebook)[0] == 0
    assert engine(engine_home, "lock", notebook)[0] == 0
    assert json.loads(notebook.read_text())["cells"][-1]["source"] == picture


def test_read_only_notebook_is_refused_and_says_how_to_allow_it(engine_home, notebook):
    notebook.chmod(0o444)
    with untouched(notebook):
        told = engine(engine_home, "add", notebook, "six")
        error = assert_refused(told, BAD, notebook=notebook, words=["read-only"])
    assert "chmod u+w" in error["hint"]
    assert engine(engine_home, "build", notebook)[0] == 0


def test_notebook_that_is_being_written_is_waited_for(engine_home, notebook):
    whole = notebook.read_bytes()
    notebook.write_bytes(whole[: len(whole) // 2])
    writer = threading.Timer(0.6, notebook.write_bytes, (whole,))
    writer.start()
    status, _, shown = engine(engine_home, "build", notebook)
    writer.join()
    assert status == 0, shown


def test_notebook_that_somebody_changed_meanwhile_is_left_to_them(engine_home, notebook, serve):
    """The index answers slowly, and a Jupyter client saves the notebook before the lock is made."""
    index = serve(make_wheel("nixtest-slow", "1"), delay=0.5)
    saved = notebook.read_text().replace('"cells": []', '"cells": [ ]')
    assert saved != notebook.read_text()

    def save_when_asked():
        while not index.asked:
            time.sleep(0.01)
        notebook.write_text(saved)

    client = threading.Thread(target=save_when_asked)
    client.start()
    told = engine(engine_home, "add", notebook, "nixtest-slow")
    client.join()
    error = assert_refused(told, BAD, notebook=notebook, words=["changed by somebody else"])
    assert error["type"] == "ConflictError"
    assert notebook.read_text() == saved
    assert engine(engine_home, "add", notebook, "nixtest-slow")[0] == 0


def test_secret_of_an_index_gets_into_no_message_and_no_notebook(engine_home, notebook, serve):
    index = serve(make_wheel("nixtest-secret", "1"), login=("ana", "hunter2"))
    url = index.url.replace("//", "//ana:hunter2@")
    status, answer, shown = engine(engine_home, "add", notebook, "nixtest-secret", UV_INDEX=url)
    assert status == 0, shown
    assert "hunter2" not in notebook.read_text() + json.dumps(answer) + shown
    status, answer, shown = engine(engine_home, "add", notebook, "nixtest-none", UV_INDEX=url)
    assert status != 0
    assert "hunter2" not in json.dumps(answer) + shown
