"""What is remembered of Pythons, and what losing it costs: nothing but time."""

import pytest

from nixlib.interpreters.host_memory import HostMemory


def test_what_was_kept_is_recalled_by_another_process(tmp_path):
    HostMemory(tmp_path / "state" / "hosts.json").keep({"a": {"nar": "1"}, "b": {}})

    assert HostMemory(tmp_path / "state" / "hosts.json").recall("a") == {"nar": "1"}


def test_oldest_entries_are_dropped(tmp_path):
    memory = HostMemory(tmp_path / "hosts.json")
    for number in range(250):
        memory.keep({str(number): {}})

    assert memory.recall("49") is None
    assert memory.recall("50") == {}


@pytest.mark.parametrize("damage", [b"", b"[]", b'{"a": 1}', b"\xff\xfe", b'{"a": {}'])
def test_damage_costs_only_the_memory(tmp_path, damage):
    file = tmp_path / "hosts.json"
    file.write_bytes(damage)
    memory = HostMemory(file)

    assert memory.recall("a") is None
    memory.keep({"b": {"x": 1}})
    assert memory.recall("b") == {"x": 1}


def test_a_place_that_cannot_be_written_is_no_error(tmp_path):
    (tmp_path / "file").write_text("")
    memory = HostMemory(tmp_path / "file" / "hosts.json")
    memory.keep({"a": {}})

    assert memory.recall("a") is None
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
