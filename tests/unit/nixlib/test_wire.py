"""Primitive values and messages of the worker protocol, and a daemon that breaks it."""

import io
from collections.abc import Callable

import pytest

from nixlib.daemon import protocol, wire
from nixlib.errors import ProtocolError
from nixlib.storepath import StorePath

PATH = StorePath.parse("g1w7hy3qg1w7hy3qg1w7hy3qg1w7hy3q-a")


def source(*parts: bytes) -> Callable[[int], bytes]:
    stream = io.BytesIO(b"".join(parts))

    def read(size: int) -> bytes:
        data = stream.read(size)
        assert len(data) == size, "read beyond the end"
        return data

    return read


def number(value: int) -> bytes:
    return value.to_bytes(8, "little")


@pytest.mark.parametrize(
    ("decode", "data"),
    [
        (wire.decode_bool, number(2)),
        (wire.decode_bytes, number(2**60)),
        (wire.decode_bytes, number(1) + b"a\0\0\0\0\0\0\1"),
        (wire.decode_texts, number(2**40)),
    ],
    ids=["boolean 2", "giant string", "bad padding", "giant list"],
)
def test_decoding_refuses(decode: Callable[[wire.Source], object], data: bytes) -> None:
    with pytest.raises(ProtocolError):
        decode(source(data))


@pytest.mark.parametrize("value", [-1, 2**64])
def test_integer_out_of_range_is_refused(value: int) -> None:
    with pytest.raises(ProtocolError):
        wire.encode_int(value)


def test_mapping_is_sorted_by_key() -> None:
    expected = number(2) + b"".join(map(wire.encode_text, ["a", "1", "b", "2"]))
    assert wire.encode_mapping({"b": "2", "a": "1"}) == expected


@pytest.mark.parametrize(("theirs", "agreed"), [(32, 32), (34, 34), (38, 38), (39, 38), (200, 38)])
def test_both_sides_use_the_smaller_version(theirs: int, agreed: int) -> None:
    assert protocol.read_hello(source(number(0x6478696F), number(1 << 8 | theirs))) == agreed


@pytest.mark.parametrize(
    "answer",
    [
        number(0x6478696F) + number(1 << 8 | 21),
        number(0x6478696F) + number(2 << 8 | 1),
        b"HTTP/1.1" + number(0),
    ],
    ids=["Nix 2.3", "another major version", "not a daemon"],
)
def test_other_greetings_are_refused(answer: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.read_hello(source(answer))


def test_greeting_has_what_its_version_brings() -> None:
    version = wire.encode_text("2.34.8")
    assert protocol.read_greeting(source(), 32, ()) == protocol.Greeting(32)
    assert protocol.read_greeting(source(version), 33, ()).nix_version == "2.34.8"
    assert protocol.read_greeting(source(version, number(1)), 35, ()).trusted is True
    assert protocol.read_greeting(source(version, number(2)), 38, ("x",)).trusted is False
    assert protocol.read_greeting(source(version, number(0)), 38, ()).trusted is None


def test_features_are_spoken_of_from_1_38_on() -> None:
    assert protocol.offer_features(37) == b""
    assert protocol.offer_features(38) == number(0)
    assert protocol.read_features(source(), 37) == ()
    assert protocol.read_features(source(wire.encode_texts(["x"])), 38) == ("x",)


FIELDS = number(2) + number(0) + number(7) + number(1) + wire.encode_text("seven")
MESSAGES = {
    "log": (
        number(0x6F6C6D67) + wire.encode_text("building\n"),
        protocol.Log("building"),
    ),
    "last": (number(0x616C7473), protocol.Done()),
    "start": (
        number(0x53545254) + number(1) + number(3) + number(101) + wire.encode_text("get x")
        + FIELDS + number(0),
        protocol.Activity(1, 101, "get x"),
    ),
    "stop": (number(0x53544F50) + number(1), protocol.Ignored()),
    "result": (number(0x52534C54) + number(1) + number(105) + FIELDS, protocol.Ignored()),
    "error": (
        number(0x63787470) + wire.encode_text("Error") + number(0) + wire.encode_text("Error")
        + wire.encode_text("no such thing") + number(0)
        + number(1) + number(0) + wire.encode_text("while looking"),
        protocol.Failure("no such thing", ("while looking",)),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("data", "message"), MESSAGES.values(), ids=MESSAGES.keys())
def test_message_is_read_to_its_end(data: bytes, message: protocol.Message) -> None:
    read = source(data, b"AFTER...")
    assert protocol.read_message(read, 38) == message
    assert read(8) == b"AFTER..."


def test_error_before_1_26_is_a_text_and_a_status() -> None:
    data = number(0x63787470) + wire.encode_text("no such thing") + number(1)
    assert protocol.read_message(source(data), 25) == protocol.Failure("no such thing")


@pytest.mark.parametrize(
    "data",
    [number(0x64617461) + number(1), number(0), number(0x52534C54) + number(0) * 2 + number(1) + number(9)],
    ids=["asks for data", "unknown", "unknown field"],
)  # fmt: skip
def test_message_that_has_no_place_is_refused(data: bytes) -> None:
    with pytest.raises(ProtocolError):
        protocol.read_message(source(data), 38)


def path_info(nar_hash: str) -> bytes:
    return (
        wire.encode_text("")
        + wire.encode_text(nar_hash)
        + wire.encode_texts([PATH.in_dir()])
        + number(1_700_000_000)
        + number(112)
        + number(0)
        + wire.encode_texts(["key:sig"])
        + wire.encode_text("fixed:r:sha256:…")
    )


def test_path_info_is_read_to_its_end() -> None:
    codec = protocol.Codec(38, "/nix/store")
    read = source(number(1), path_info("ab" * 32), b"AFTER...")
    info = codec.read_path_info(read, PATH)
    assert info is not None
    assert (info.nar_sha256, info.nar_size, info.references) == (b"\xab" * 32, 112, (PATH,))
    assert read(8) == b"AFTER..."
    assert codec.read_path_info(source(number(0)), PATH) is None


@pytest.mark.parametrize("nar_hash", ["", "zz" * 32, "ab" * 20])
def test_path_info_with_another_hash_is_refused(nar_hash: str) -> None:
    codec = protocol.Codec(38, "/nix/store")
    with pytest.raises(ProtocolError):
        codec.read_path_info(source(number(1), path_info(nar_hash)), PATH)


def test_requests_have_what_their_version_brings() -> None:
    # The layout of `AddToStore` and `QueryValidPaths` in `remote-store.cc`, protocol 1.34.
    codec = protocol.Codec(34, "/nix/store")
    assert codec.add_to_store("a", [PATH]) == (
        number(7)
        + wire.encode_text("a")
        + wire.encode_text("fixed:r:sha256")
        + wire.encode_texts([f"/nix/store/{PATH}"])
        + number(0)
    )
    assert codec.query_valid_paths([PATH])[-8:] == number(0)
    older = protocol.Codec(26, "/nix/store").query_valid_paths([PATH])
    assert older == codec.query_valid_paths([PATH])[:-8]


def test_frames_are_cut_from_whole_chunks() -> None:
    frames = list(wire.frames([b"ab", b"", b"cdef", b"g"], 4))
    assert frames == [
        [number(6), b"ab", b"cdef"],
        [number(1), b"g"],
        [number(0)],
    ]


def result(kind: int, *fields: bytes) -> bytes:
    return b"".join((number(0x52534C54), number(1), number(kind), number(len(fields)), *fields))


@pytest.mark.parametrize("kind", [101, 107])
def test_line_of_a_builder_is_told(kind: int) -> None:
    text = number(1) + wire.encode_bytes(b"caf\xe9")
    told = protocol.read_message(source(result(kind, text)), 34)
    assert told == protocol.BuildLine("caf\N{REPLACEMENT CHARACTER}")


def test_progress_is_no_line() -> None:
    numbers = [number(0) + number(n) for n in range(4)]
    assert protocol.read_message(source(result(105, *numbers)), 34) == protocol.Ignored()
