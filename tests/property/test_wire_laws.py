"""Laws of the worker protocol's primitive values."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nixlib.daemon import wire

pytestmark = pytest.mark.property

texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=50)


def source(data: bytes) -> "wire.Source":
    stream = io.BytesIO(data)

    def read(size: int) -> bytes:
        found = stream.read(size)
        assert len(found) == size
        return found

    return read


@given(st.integers(0, 2**64 - 1))
def test_int_survives_a_round_trip(value: int) -> None:
    assert wire.decode_int(source(wire.encode_int(value))) == value


@given(st.binary(max_size=40))
def test_bytes_survive_a_round_trip_padded_to_eight(data: bytes) -> None:
    encoded = wire.encode_bytes(data)
    assert len(encoded) % 8 == 0
    assert wire.decode_bytes(source(encoded)) == data


@given(st.binary(max_size=40))
def test_any_file_name_survives_a_round_trip(name: bytes) -> None:
    text = name.decode("utf-8", "surrogateescape")
    assert wire.decode_text(source(wire.encode_text(text))) == text


@given(st.lists(texts, max_size=8))
def test_texts_survive_a_round_trip(values: list[str]) -> None:
    assert wire.decode_texts(source(wire.encode_texts(values))) == tuple(values)


@given(st.lists(st.binary(max_size=600), max_size=20), st.integers(1, 1000))
def test_frames_carry_every_byte_and_end_once(chunks: list[bytes], size: int) -> None:
    stream = b"".join(b"".join(frame) for frame in wire.frames(chunks, size))
    read, data = source(stream), b""
    lengths = []
    while length := wire.decode_int(read):
        lengths.append(length)
        data += read(length)
    assert data == b"".join(chunks)
    assert sum(lengths) + 8 * (len(lengths) + 1) == len(stream)
    # All but the last are full, so the number of system calls has a bound.
    assert all(length >= size for length in lengths[:-1])
