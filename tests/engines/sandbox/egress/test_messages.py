"""A sandbox asks for a name, well or badly."""

import struct
from ipaddress import IPv4Address

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.sandbox.egress import messages
from innkeeper.engines.sandbox.egress.messages import Query

LONGEST = ".".join(["a" * 63] * 3 + ["b" * 61])


def asked(name: str, kind: int = messages.A, flags: int = 0x0100, extra: bytes = b"") -> bytes:
    labels = b"".join(bytes([len(label)]) + label.encode() for label in name.split("."))
    head = struct.pack("!6H", 7, flags, 1, 0, 0, 1 if extra else 0)
    return head + labels + b"\0" + struct.pack("!2H", kind, 1) + extra


def test_an_answer_repeats_the_question_and_gives_the_addresses() -> None:
    query = Query.of(asked("Api.Example.test", extra=b"\0\0\x29\x10\0\0\0\0\0\0\0"))
    assert (query.name, query.kind) == ("Api.Example.test", messages.A)
    answer = query.answer(messages.FINE, [IPv4Address("203.0.113.7")], 60)
    assert struct.unpack_from("!6H", answer) == (7, 0x8180, 1, 1, 0, 0)
    assert answer[12:-16] == asked("Api.Example.test")[12:]
    assert answer[-16:] == b"\xc0\x0c\0\1\0\1\0\0\0\x3c\0\4" + IPv4Address("203.0.113.7").packed


def test_no_answer_is_too_long_for_a_datagram() -> None:
    addresses = [IPv4Address(number) for number in range(100)]
    answer = Query.of(asked(LONGEST)).answer(messages.FINE, addresses)
    assert len(answer) <= messages.MESSAGE_MAX_BYTES


@pytest.mark.parametrize(
    "message",
    [
        b"",
        asked("a.b")[:-1],
        asked("a.b", flags=0x8100),
        asked("a.b", flags=0x2800),
        asked("a.b")[:12] + b"\xc0\x0c",
    ],
)
def test_what_is_no_question_is_none(message: bytes) -> None:
    with pytest.raises(ValueError):
        Query.of(message)


@given(st.binary(max_size=600))
def test_whatever_comes_is_a_question_or_none(message: bytes) -> None:
    try:
        query = Query.of(message)
    except ValueError:
        return
    assert query.answer(messages.NO_SUCH_NAME)[:2] == message[:2]
