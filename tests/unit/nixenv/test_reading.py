from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path

import pytest

from nixenv.errors import MetadataError
from nixenv.notebook import reading
from nixenv.notebook.metadata import read_document
from nixenv.notebook.reading import read_document_async


def big(path: Path, megabytes: int, **notebook: object) -> Path:
    cells = [{"cell_type": "raw", "metadata": {}, "source": "é" + "x" * (1 << 20)}] * megabytes
    value = {"cells": cells, "metadata": {"nixenv": {"version": 1}}, "nbformat": 4, **notebook}
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize("megabytes", [0, 3], ids=["small", "large"])
def test_document_is_the_same_as_when_it_is_read_at_once(tmp_path, megabytes):
    path = big(tmp_path / "a.ipynb", megabytes)
    assert (path.stat().st_size > reading.LARGE) == (megabytes > 0)

    assert asyncio.run(read_document_async(path)) == read_document(path)


def test_loop_keeps_running_while_a_large_notebook_is_read(tmp_path):
    path = big(tmp_path / "a.ipynb", 25)

    async def longest_pause():
        read = asyncio.ensure_future(read_document_async(path))
        pauses = []
        while not read.done():
            began = time.monotonic()
            await asyncio.sleep(0.001)
            pauses.append(time.monotonic() - began)
        return max(pauses), (await read).spec

    began = time.monotonic()
    pause, spec = asyncio.run(longest_pause())

    assert spec == {"version": 1}
    assert pause < 0.25 < time.monotonic() - began + 0.25


@pytest.mark.parametrize("megabytes", [0, 3], ids=["small", "large"])
def test_error_is_the_same_as_when_it_is_read_at_once(tmp_path, megabytes):
    path = big(tmp_path / "a.ipynb", megabytes, metadata=[])

    with pytest.raises(MetadataError) as caught:
        asyncio.run(read_document_async(path))

    assert caught.value.key == "metadata"
    assert caught.value.notebook == str(path)
    assert caught.value.details == ("found a list",)


def test_reading_waits_for_somebody_who_is_writing(tmp_path):
    path = big(tmp_path / "a.ipynb", 0)
    text = path.read_text()

    async def read_while_written():
        path.write_text(text[:40])
        read = asyncio.ensure_future(read_document_async(path))
        await asyncio.sleep(0.1)
        path.write_text(text)
        return await read

    assert asyncio.run(read_while_written()).spec == {"version": 1}


def test_missing_document_is_an_error(tmp_path):
    with pytest.raises(MetadataError):
        asyncio.run(read_document_async(tmp_path / "gone.ipynb"))
