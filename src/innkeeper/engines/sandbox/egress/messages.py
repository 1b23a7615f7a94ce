"""DNS messages (RFC 1035), as far as a name server needs them that knows only addresses of IPv4."""

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from ipaddress import IPv4Address

MESSAGE_MAX_BYTES = 512
ADDRESSES_MAX = 8
"""So many fit into the smallest message beside the longest name: no answer is ever cut short."""
A = 1
FINE, BROKEN, FAILED, NO_SUCH_NAME, NOT_KNOWN = 0, 1, 2, 3, 4

_HEADER = struct.Struct("!6H")
_KIND = struct.Struct("!2H")
_ANSWER = struct.Struct("!3HIH4s")
_RESPONSE, _RECURSION_WANTED, _RECURSION = 0x8000, 0x0100, 0x0080
_OPERATION = 0x7800
_INTERNET = 1
_NAME_AT = 0xC00C  # a pointer to the question's name
_LABEL_MAX_BYTES = 63


@dataclass(frozen=True, slots=True)
class Query:
    """`name` is as it was asked for, without a dot at its end; `kind` is the type of record."""

    identifier: int
    flags: int
    name: str
    kind: int
    question: bytes

    @classmethod
    def of(cls, message: bytes) -> "Query":
        """Raises ValueError for what is not one question of the internet's."""
        try:
            identifier, flags, questions, *_ = _HEADER.unpack_from(message)
            if flags & (_RESPONSE | _OPERATION) or questions != 1:
                raise ValueError("not one question")
            name, end = _name(message)
            kind, kind_of_network = _KIND.unpack_from(message, end)
        except (struct.error, IndexError):
            raise ValueError("cut short") from None
        if kind_of_network != _INTERNET:
            raise ValueError("not of the internet")
        return cls(identifier, flags, name, kind, message[_HEADER.size : end + _KIND.size])

    def answer(self, code: int, addresses: Sequence[IPv4Address] = (), ttl_seconds: int = 0) -> bytes:
        told = addresses[:ADDRESSES_MAX]
        flags = _RESPONSE | _RECURSION | (self.flags & _RECURSION_WANTED) | code
        head = _HEADER.pack(self.identifier, flags, 1, len(told), 0, 0)
        rows = (
            _ANSWER.pack(_NAME_AT, A, _INTERNET, ttl_seconds, len(each.packed), each.packed) for each in told
        )
        return head + self.question + b"".join(rows)


def _name(message: bytes) -> tuple[str, int]:
    """The question's name, and where it ends."""
    labels, at = [], _HEADER.size
    while length := message[at]:
        if length > _LABEL_MAX_BYTES:
            raise ValueError("a pointer in a question")
        labels.append(message[at + 1 : at + 1 + length].decode("ascii"))
        at += 1 + length
    return ".".join(labels), at + 1
