"""A framed message is read back by botocore, whatever it holds."""

from botocore.eventstream import EventStreamBuffer
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.aws.eventstream import message

names = st.text(st.characters(min_codepoint=0x21, max_codepoint=0x7E), min_size=1, max_size=50)


@given(st.dictionaries(names, st.text(max_size=200), max_size=5), st.binary(max_size=1000))
def test_messages_are_read_back(headers: dict[str, str], payload: bytes) -> None:
    buffer = EventStreamBuffer()
    buffer.add_data(message(headers, payload) + message({}, b""))
    first, second = list(buffer)
    assert (first.headers, first.payload) == (headers, payload)
    assert (second.headers, second.payload) == ({}, b"")
