from __future__ import annotations

import json
import os
import re
import stat
import subprocess
import threading
import time
from pathlib import Path

import nbformat
import pytest

from nixenv.errors import ConflictError, MetadataError
from nixenv.notebook.metadata import create_document, lock_path, read_document, write_document

SPEC = {"version": 1, "requirements": ["pandas==1.5"], "lock": {"layout": 1, "notes": ["é"]}}

NOTEBOOK = {
    "cells": [{"cell_type": "code", "source": ["x = 1.0\n", "é"], "metadata": {}, "outputs": []}],
    "metadata": {"kernelspec": {"name": "nixenv"}, "zoo": 1},
    "nbformat": 4,
    "nbformat_minor": 5,
}

MANNERS = {
    "nbformat": {"indent": 1, "sort_keys": True, "ensure_ascii": False},
    "four spaces": {"indent": 4, "ensure_ascii": False},
    "tabs": {"indent": "\t", "ensure_ascii": False},
    "one line": {"ensure_ascii": False},
    "no spaces": {"separators": (",", ":"), "ensure_ascii": False},
    "escapes": {"indent": 2, "ensure_ascii": True},
}


def notebook(path: Path, text: str | None = None, **manner: object) -> Path:
    path.write_bytes((text or json.dumps(NOTEBOOK, **manner)).encode())
    return path


@pytest.mark.parametrize("manner", MANNERS.values(), ids=MANNERS)
def test_write_changes_only_the_metadata_and_keeps_the_manner(tmp_path, manner):
    path = notebook(tmp_path / "a.ipynb", **manner)
    before = path.read_bytes()

    document = write_document(read_document(path), {"nixenv": SPEC})

    expected = json.loads(before)
    members = {**expected["metadata"], "nixenv": json.loads(json.dumps(SPEC, sort_keys=True))}
    expected["metadata"] = dict(sorted(members.items()))
    assert path.read_text() == json.dumps(expected, **manner)
    assert document.spec == SPEC
    write_document(document, {"nixenv": None})
    assert path.read_bytes() == before


@pytest.mark.parametrize(
    "text",
    [
        '{"metadata": {}, "cells": []}\n',
        '{"cells": [], "nbformat": 4}',
        '{\r\n "cells": [1e5, 1.10, "\\/"],\r\n "metadata": {\r\n  "a": 1\r\n }\r\n}\r\n',
        '\ufeff{"cells": [], "metadata": {"nixenv": {"version": 1}}}',
        '{"metadata": {"nixenv": 1, "nixenv": {"b": 2}}}',
        "{}",
    ],
    ids=[
        "empty metadata",
        "no metadata",
        "carriage returns",
        "byte order mark",
        "repeated",
        "empty",
    ],
)
def test_write_keeps_every_other_byte(tmp_path, text):
    path = notebook(tmp_path / "a.ipynb", text)

    assert write_document(read_document(path), {"nixenv": {"version": 1}}).spec == {"version": 1}

    written = path.read_bytes().decode()
    for piece in ('"cells": [1e5, 1.10, "\\/"]', "\ufeff", '"nixenv": 1, ', "\r\n}\r\n"):
        assert (piece in written) == (piece in text)
    assert written.count("\n") - written.count("\r\n") == text.count("\n") - text.count("\r\n")


def test_write_gives_what_jupyter_would_save(tmp_path):
    path = tmp_path / "a.ipynb"
    source = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell("print('é')")])
    nbformat.write(source, path)

    write_document(read_document(path), {"nixenv": SPEC, "kernelspec": {"name": "nixenv"}})

    written = path.read_bytes()
    nbformat.write(nbformat.read(path, as_version=4), path)
    assert path.read_bytes() == written


def test_write_with_nothing_new_leaves_the_file_alone(tmp_path):
    path = notebook(tmp_path / "a.ipynb", indent=1)
    document = write_document(read_document(path), {"nixenv": SPEC})

    assert write_document(document, {"nixenv": SPEC}).stamp == document.stamp


def test_write_refuses_when_somebody_else_saved_meanwhile(tmp_path):
    path = notebook(tmp_path / "a.ipynb", indent=1)
    document = read_document(path)
    changed = path.read_text().replace("x = 1.0", "x = 2.0")
    path.write_text(changed)

    with pytest.raises(ConflictError) as caught:
        write_document(document, {"nixenv": SPEC})

    assert caught.value.notebook == str(path)
    assert path.read_text() == changed
    assert [entry.name for entry in tmp_path.iterdir()] == ["a.ipynb"]


def test_write_of_many_at_once_lets_one_through(tmp_path):
    path = notebook(tmp_path / "a.ipynb", indent=1)
    document = read_document(path)
    outcomes = []

    def write(number):
        try:
            write_document(document, {"nixenv": {"version": 1, "x-by": number}})
            outcomes.append(number)
        except ConflictError:
            pass

    threads = [threading.Thread(target=write, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [read_document(path).spec["x-by"]] == outcomes


def test_write_follows_a_link_and_keeps_the_mode(tmp_path):
    real = notebook(tmp_path / "real.ipynb")
    real.chmod(0o640)
    os.setxattr(real, "user.origin", b"here") if _has_xattr(real) else None
    link = tmp_path / "a.ipynb"
    link.symlink_to("real.ipynb")

    write_document(read_document(link), {"nixenv": SPEC})

    assert link.is_symlink()
    assert read_document(real).spec == SPEC
    assert stat.S_IMODE(real.stat().st_mode) == 0o640
    if _has_xattr(real):
        assert os.getxattr(real, "user.origin") == b"here"


def _has_xattr(path):
    try:
        os.setxattr(path, "user.probe", b"1")
        os.removexattr(path, "user.probe")
    except (OSError, AttributeError):
        return False
    return True


def test_write_refuses_a_read_only_notebook(tmp_path):
    path = notebook(tmp_path / "a.ipynb")
    path.chmod(0o444)

    with pytest.raises(MetadataError) as caught:
        write_document(read_document(path), {"nixenv": SPEC})

    assert caught.value.hint == f'`chmod u+w "{path}"`'
    assert read_document(path).spec is None


BAD = {
    "not JSON": (b"hello", None, "is not JSON: line 1, expecting value"),
    "half JSON": (b'{"cells": [', None, "is not JSON"),
    "empty": (b"", None, "is not JSON"),
    "a list": (b"[]", "the whole document", "is not an object"),
    "metadata a list": (b'{"metadata": []}', "metadata", "is not an object"),
    "metadata null": (b'{"metadata": null}', "metadata", "is not an object"),
    "latin-1": ('{"metadata": {"a": "é"}}'.encode("latin-1"), None, "is not UTF-8 text"),
    "deep": (b"[" * 200_000, None, "is not JSON"),
}


@pytest.mark.parametrize(("content", "key", "says"), BAD.values(), ids=BAD)
def test_read_says_what_is_wrong(tmp_path, content, key, says):
    path = tmp_path / "a.ipynb"
    path.write_bytes(content)
    os.utime(path, (1, 1))  # nobody is writing it now, so nobody is waited for

    with pytest.raises(MetadataError) as caught:
        read_document(path)

    assert caught.value.fields.get("key") == key
    assert caught.value.notebook == str(path)
    assert says in caught.value.summary
    assert "`a.ipynb`" in caught.value.summary


def test_read_names_what_brings_a_broken_notebook_back(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes(b"{")
    os.utime(path, (1, 1))
    kept = tmp_path / ".ipynb_checkpoints" / "a-checkpoint.ipynb"
    kept.parent.mkdir()
    notebook(kept)

    with pytest.raises(MetadataError) as caught:
        read_document(path)
    subprocess.run(re.search("`(cp .*)`", caught.value.hint)[1], shell=True, check=True)

    assert read_document(path).metadata == read_document(kept).metadata


def test_read_names_what_makes_utf8_of_utf16(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_bytes('{"metadata": {}}'.encode("utf-16"))

    with pytest.raises(MetadataError) as caught:
        read_document(path)
    command = re.search("`(iconv .*)`", caught.value.hint)[1]

    assert subprocess.run(command, shell=True, check=True, capture_output=True).stdout[:1] == b"{"


def test_read_says_what_is_missing(tmp_path):
    with pytest.raises(MetadataError) as caught:
        read_document(tmp_path / "gone.ipynb")

    assert caught.value.summary == f"there is no `{tmp_path}/gone.ipynb`"


def test_read_says_which_documents_there_are(tmp_path):
    with pytest.raises(MetadataError) as caught:
        read_document(tmp_path / "a.py")

    assert "`.ipynb`" in caught.value.details[0]


def test_read_waits_for_somebody_who_is_writing(tmp_path):
    path = tmp_path / "a.ipynb"
    text = json.dumps({**NOTEBOOK, "metadata": {"nixenv": SPEC}})
    path.write_text(text[:50])

    def finish(_seconds):
        path.write_text(text)

    assert read_document(path, sleep=finish).spec == SPEC


def test_read_does_not_wait_longer_than_its_patience(tmp_path):
    path = tmp_path / "a.ipynb"
    path.write_text('{"cells"')
    began = time.monotonic()

    with pytest.raises(MetadataError):
        read_document(path, patience=0.2)

    assert 0.2 <= time.monotonic() - began < 2


def test_mailbox_holds_the_spec_and_the_name_of_the_notebook(tmp_path):
    path = tmp_path / "x.json"
    path.write_text(json.dumps({"notebook": "/somewhere/analysis.ipynb", "nixenv": SPEC}))

    document = read_document(path)

    assert (document.spec, document.name, document.kind) == (SPEC, "analysis.ipynb", "mailbox")
    assert write_document(document, {"nixenv": {"version": 1}}).spec == {"version": 1}
    assert json.loads(path.read_text())["notebook"] == "/somewhere/analysis.ipynb"


def test_toml_keeps_comments_and_puts_the_lock_beside_it(tmp_path):
    path = tmp_path / "nixenv.toml"
    path.write_text('# ours\nversion = 1\nrequirements = ["numpy"]  # why\nera = false\n')

    document = write_document(read_document(path), {"nixenv": {**SPEC, "era": False}})

    assert document.spec == {**SPEC, "era": False}
    assert path.read_text().startswith('# ours\nversion = 1\nrequirements = ["pandas==1.5"]')
    assert "lock" not in path.read_text()
    assert json.loads(lock_path(path).read_text()) == SPEC["lock"]


def test_toml_keeps_comments_in_a_table_of_which_one_key_changes(tmp_path):
    path = tmp_path / "nixenv.toml"
    kept = '[private]\nold = ["six"] # why\n'
    path.write_text(f"version = 1\nrequirements = []\n\n{kept}gone = ['attrs']\n")
    private = {"old": ["six"], "somelib": {"for": "somelib"}}
    spec = {"version": 1, "requirements": [], "private": private}
    written = write_document(read_document(path), {"nixenv": spec})
    assert kept in path.read_text()
    assert written.spec == spec


def test_toml_conflicts_when_its_lock_was_changed(tmp_path):
    path = tmp_path / "nixenv.toml"
    path.write_text("version = 1\n")
    document = read_document(path)
    lock_path(path).write_text("{}")

    with pytest.raises(ConflictError):
        write_document(document, {"nixenv": {"version": 1}})


@pytest.mark.parametrize(
    ("toml", "lock", "says"),
    [
        ("version = ", None, "is not TOML"),
        ("[lock]\n", None, "`lock`"),
        ("version = 1", "{", "not a lock"),
    ],
    ids=["syntax", "lock inside", "damaged lock"],
)
def test_toml_says_what_is_wrong(tmp_path, toml, lock, says):
    path = tmp_path / "nixenv.toml"
    path.write_text(toml)
    if lock:
        lock_path(path).write_text(lock)

    with pytest.raises(MetadataError) as caught:
        read_document(path)

    assert says in caught.value.summary


@pytest.mark.parametrize("name", ["a.ipynb", "a.json", "nixenv.toml"])
def test_create_makes_a_document_that_can_be_written(tmp_path, name):
    document = create_document(tmp_path / name)

    assert document.spec is None
    assert write_document(document, {"nixenv": SPEC}).spec == SPEC


def test_create_refuses_to_replace_a_file(tmp_path):
    path = notebook(tmp_path / "a.ipynb")

    with pytest.raises(MetadataError):
        create_document(path)

    assert json.loads(path.read_text()) == NOTEBOOK
