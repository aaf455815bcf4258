"""Our frames against those of Jupyter's own library."""

import pytest
from jupyter_client.session import Session

from nixenv.bootstrap.messages import DELIMITER, MessageError, Signer, new_header

KEY = b"a key"


@pytest.fixture
def session():
    return Session(key=KEY)


def test_jupyter_reads_what_we_write(session):
    asked = new_header("execute_request")
    frames = Signer(KEY).build("status", {"text": "é 日本"}, parent=asked, identities=(b"topic",))
    identities, rest = session.feed_identities(frames)

    message = session.deserialize(rest)

    assert identities == [b"topic"]
    assert message["msg_type"] == "status"
    assert message["content"] == {"text": "é 日本"}
    assert message["parent_header"]["msg_id"] == asked["msg_id"]


def test_we_read_what_jupyter_writes(session):
    made = session.msg("execute_request", {"code": "1"})
    frames = [b"client", *session.serialize(made), b"a buffer"]

    message = Signer(KEY).parse(frames)

    assert message.kind == "execute_request"
    assert message.identities == (b"client",)
    assert message.content == {"code": "1"}
    assert message.parent_id == ""
    assert message.frames is frames


def test_empty_key_signs_nothing():
    frames = Signer(b"").build("status", {})
    assert frames[1] == b""
    assert Session(key=b"").deserialize(frames[1:])["msg_type"] == "status"
    assert Signer(b"").parse(frames).kind == "status"


@pytest.mark.parametrize(
    "damage",
    [
        lambda frames: frames[1:],
        lambda frames: frames[:3],
        lambda frames: [*frames[:-1], b'{"code": "other"}'],
        lambda frames: [frames[0], b"wrong", *frames[2:]],
    ],
    ids=["no delimiter", "too short", "other content", "wrong signature"],
)
def test_what_nobody_signed_is_refused(damage):
    frames = Signer(KEY).build("execute_request", {"code": "1"})
    with pytest.raises(MessageError):
        Signer(KEY).parse(damage(frames))


@pytest.mark.parametrize("header", [b"[]", b"{", b"\xff"])
def test_header_that_is_no_object_is_refused(header):
    with pytest.raises(MessageError):
        Signer(b"").parse([DELIMITER, b"", header, b"{}", b"{}", b"{}"])


def test_content_that_is_no_object_counts_as_empty():
    parts = [b'{"msg_type": "execute_request"}', b"{}", b"{}"]
    for content in (b"[1]", b"{", b"null"):
        assert Signer(b"").parse([DELIMITER, b"", *parts, content]).content == {}
