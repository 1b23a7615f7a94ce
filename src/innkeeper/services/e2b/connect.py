"""The Connect protocol's JSON, as E2B's clients speak it (https://connectrpc.com/docs/protocol).

A unary call is one JSON document each way. In a stream each message is a frame: a byte of flags, the length
in four bytes (big-endian), and the JSON; the last frame of an answer has flag 2 and says how it ended.
"""

import json
import math
import struct
from collections.abc import Iterator, Mapping
from typing import Any

from innkeeper.kernel.call import Document

STREAM_TYPE = "application/connect+json"
UNARY_TYPE = "application/json"
FRAME_MAX_BYTES = 4 << 20
_HEAD = struct.Struct(">BI")
_COMPRESSED, _END = 1, 2
_TIMEOUT_DIGITS = 10

STATUS = {
    "canceled": 499,
    "invalid_argument": 400,
    "deadline_exceeded": 504,
    "not_found": 404,
    "already_exists": 409,
    "permission_denied": 403,
    "resource_exhausted": 429,
    "failed_precondition": 400,
    "unimplemented": 501,
    "internal": 500,
    "unavailable": 503,
    "unauthenticated": 401,
}


class ConnectError(Exception):
    """What a call ends with when it fails; `code` is one of `STATUS`."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.message = message

    @property
    def document(self) -> Document:
        return {"code": self.code, "message": self.message}


def frame(message: Document) -> bytes:
    """One message of a stream."""
    return _frame(0, message)


def last_frame(error: ConnectError | None = None) -> bytes:
    """The end of a stream."""
    return _frame(_END, {"error": error.document} if error else {})


class Frames:
    """The messages in a request's body, which may come in any pieces."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, data: bytes) -> Iterator[Document]:
        """Raises ConnectError for what is no frame of ours."""
        self._rest += data
        while len(self._rest) >= _HEAD.size:
            flags, length = _HEAD.unpack_from(self._rest)
            if flags & _COMPRESSED:
                raise ConnectError("unimplemented", "compressed frames are not supported")
            if flags:
                raise ConnectError("invalid_argument", f"a frame has unknown flags: {flags}")
            if length > FRAME_MAX_BYTES:
                raise ConnectError(
                    "resource_exhausted", f"a frame may have {FRAME_MAX_BYTES} bytes; this one has {length}"
                )
            end = _HEAD.size + length
            if len(self._rest) < end:
                return
            body = bytes(self._rest[_HEAD.size : end])
            del self._rest[:end]
            yield message_of(body)

    def finish(self) -> None:
        """Raises ConnectError when the body ended in the middle of a frame."""
        if self._rest:
            raise ConnectError("invalid_argument", "the request ended in the middle of a frame")


def only_message(body: bytes) -> Document:
    """The message of a request that is a stream of exactly one. Raises ConnectError."""
    frames = Frames()
    messages = list(frames.feed(body))
    frames.finish()
    if len(messages) != 1:
        raise ConnectError("invalid_argument", f"one message was expected, {len(messages)} came")
    return messages[0]


def message_of(body: bytes) -> Document:
    """Raises ConnectError unless it is a JSON object."""
    try:
        message = json.loads(body or b"{}")
    except (ValueError, RecursionError) as error:
        raise ConnectError("invalid_argument", "the message is not JSON") from error
    if not isinstance(message, dict):
        raise ConnectError("invalid_argument", "the message is not a JSON object")
    return message


def timeout_seconds(headers: Mapping[str, str], most: float) -> float:
    """The caller's deadline, at most `most`. Raises ConnectError."""
    given = headers.get("connect-timeout-ms", "")
    if not given:
        return most
    if not (given.isascii() and given.isdecimal() and len(given) <= _TIMEOUT_DIGITS):
        raise ConnectError("invalid_argument", "Connect-Timeout-Ms must be a number of up to 10 digits")
    return min(int(given) / 1000, most)


def member(message: Document, name: str, kind: type[Any], default: Any = None) -> Any:
    """A member of the right type; without a default it must be there. Raises ConnectError."""
    value = message.get(name)
    if value is None:
        if default is None:
            raise ConnectError("invalid_argument", f"`{name}` is missing")
        return default
    if not isinstance(value, kind) or (isinstance(value, bool) and kind is not bool):
        raise ConnectError("invalid_argument", f"`{name}` is not of the right type")
    return value


def number(message: Document, name: str, default: int | None = None) -> int:
    """JSON may hold it as a number or as text. Raises ConnectError."""
    value = message.get(name, default)
    if isinstance(value, str) and value.isascii() and value.isdecimal() and len(value) < 20:
        return int(value)
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        return int(value)
    raise ConnectError("invalid_argument", f"`{name}` must be a number")


def _frame(flags: int, message: Document) -> bytes:
    body = json.dumps(message, separators=(",", ":")).encode()
    return _HEAD.pack(flags, len(body)) + body
