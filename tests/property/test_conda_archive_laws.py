"""Laws of conda archives: whatever the bytes are, they are a checked tree or an error that names them."""

import bz2
import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nixlib.conda.archive import read_archive
from nixlib.conda.facts import parse_conda_facts
from nixlib.errors import CondaArchiveError
from nixlib.nar import nar_hash
from nixlib.testing.conda_archives import PLACEHOLDER, make_conda
from nixlib.tree import Regular, Symlink

pytestmark = pytest.mark.property

FILES = {
    "site-packages/a.py": f"{PLACEHOLDER}\n",
    "python-scripts/run": Regular.of(b"#!x", executable=True),
    "share/b": Symlink("../c"),
}
MADE = {"noarch": "python", "depends": ["python >=3"], "entry_points": ["a = a:main"]}
CONDA = make_conda("a", files=FILES, **MADE)
OLD = make_conda("a", files=FILES, suffix=".tar.bz2", **MADE)
TAR = bz2.decompress(OLD.data)


def read(data, filename):
    with tempfile.TemporaryDirectory() as folder:
        try:
            found = read_archive(data, filename, scratch=Path(folder))
        except CondaArchiveError as error:
            assert error.archive == filename  # noqa: PT017 - either of both will do
            return
        assert parse_conda_facts(found.facts.to_bytes()) == found.facts
        nar_hash(found.tree)


def damaged(data, edits):
    changed = bytearray(data)
    for at, byte in edits:
        changed[at % len(changed)] = byte
    return bytes(changed)


EDITS = st.lists(st.tuples(st.integers(0, 1 << 20), st.integers(0, 255)), min_size=1, max_size=8)


@settings(deadline=None)
@given(EDITS)
def test_damaged_archive_is_refused_or_read(edits):
    read(damaged(CONDA.data, edits), CONDA.filename)


@settings(max_examples=300, deadline=None)
@given(EDITS)
def test_damaged_tar_is_refused_or_read(edits):
    read(bz2.compress(damaged(TAR, edits), 1), OLD.filename)


@settings(deadline=None)
@given(st.binary(max_size=2000), st.sampled_from([CONDA.filename, OLD.filename]))
def test_any_bytes_are_refused(data, filename):
    read(data, filename)
