"""The codec of Connect's JSON streams: what is written is read again, and nothing else is believed."""

import json
import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.kernel.call import Document
from innkeeper.services.e2b.connect import (
    FRAME_MAX_BYTES,
    ConnectError,
    Frames,
    frame,
    last_frame,
    number,
    only_message,
    timeout_seconds,
)

VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**63), 2**63) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=10,
)
MESSAGES = st.dictionaries(st.text(max_size=10), VALUES, max_size=5)


@given(st.lists(MESSAGES, max_size=5), st.lists(st.integers(1, 40), max_size=20))
def test_messages_arrive_whole_in_whatever_pieces_they_come(
    messages: list[Document], cuts: list[int]
) -> None:
    body = b"".join(map(frame, messages))
    frames = Frames()
    heard: list[Document] = []
    for size in (*cuts, len(body)):
        heard += frames.feed(body[:size])
        body = body[size:]
    frames.finish()
    assert heard == messages


@given(st.binary(max_size=200))
def test_any_bytes_are_messages_or_a_clear_error(body: bytes) -> None:
    try:
        assert isinstance(only_message(body), dict)
    except ConnectError as error:
        assert error.code in ("invalid_argument", "unimplemented", "resource_exhausted")
        assert error.message


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (frame({})[:-1], "invalid_argument"),
        (b"", "invalid_argument"),
        (frame({}) * 2, "invalid_argument"),
        (struct.pack(">BI", 1, 2) + b"{}", "unimplemented"),
        (struct.pack(">BI", 0, FRAME_MAX_BYTES + 1), "resource_exhausted"),
        (struct.pack(">BI", 0, 2) + b"[]", "invalid_argument"),
    ],
)
def test_malformed_streams_are_refused(body: bytes, code: str) -> None:
    with pytest.raises(ConnectError) as refused:
        only_message(body)
    assert refused.value.code == code


def test_the_end_of_a_stream_has_its_flag_and_says_why() -> None:
    flags, length = struct.unpack_from(">BI", ended := last_frame(ConnectError("not_found", "gone")))
    assert (flags, length) == (2, len(ended) - 5)
    assert json.loads(ended[5:]) == {"error": {"code": "not_found", "message": "gone"}}
    assert last_frame()[5:] == b"{}"


def test_deadlines_are_bounded_and_numbers_may_be_texts() -> None:
    assert timeout_seconds({}, 60.0) == 60.0
    assert timeout_seconds({"connect-timeout-ms": "1500"}, 60.0) == 1.5
    assert timeout_seconds({"connect-timeout-ms": "9999999999"}, 60.0) == 60.0
    with pytest.raises(ConnectError):
        timeout_seconds({"connect-timeout-ms": "soon"}, 60.0)
    assert number({"pid": "7"}, "pid") == number({"pid": 7}, "pid") == 7
    with pytest.raises(ConnectError):
        number({"pid": [7]}, "pid")
