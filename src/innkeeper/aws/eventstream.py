"""Event streams: `application/vnd.amazon.eventstream`, one message for each event.

https://smithy.io/2.0/aws/amazon-eventstream.html: a prelude of total length, headers length and their
CRC32, the headers, the payload, and the CRC32 of all before it.
"""

import struct
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from zlib import crc32

from botocore.model import Shape

from innkeeper.aws.answer import close
from innkeeper.aws.errors import modelled, shown
from innkeeper.aws.writers import Writer, Writers, json_bytes
from innkeeper.kernel.call import Document

CONTENT_TYPE = "application/vnd.amazon.eventstream"

_STRING = 7
_FRAMING_BYTES = 16  # two lengths and two checksums


def message(headers: Mapping[str, str], payload: bytes) -> bytes:
    """One framed message; all headers are strings of at most 65,535 bytes."""
    encoded = b"".join(_header(name.encode(), value.encode()) for name, value in headers.items())
    lengths = struct.pack("!II", _FRAMING_BYTES + len(encoded) + len(payload), len(encoded))
    framed = b"".join((lengths, struct.pack("!I", crc32(lengths)), encoded, payload))
    return framed + struct.pack("!I", crc32(framed))


def _header(name: bytes, value: bytes) -> bytes:
    return struct.pack("!B", len(name)) + name + struct.pack("!BH", _STRING, len(value)) + value


class EventStreamEncoder:
    """Frames the events of one modelled stream. An event is `{event name: its members}`."""

    def __init__(self, shape: Shape, writers: Writers) -> None:
        self._exceptions: dict[str, Shape] = {}
        self._member_names: dict[str, str] = {}
        self._events: dict[str, Writer | None] = {}
        for name, member in shape.members.items():
            if member.metadata.get("exception"):
                self._exceptions[member.error_code] = member
                self._member_names[member.error_code] = name
            else:
                self._events[name] = writers.of(member)

    async def frames(self, events: AsyncIterator[Document], request_id: str) -> AsyncGenerator[bytes, None]:
        """A failure ends the stream with a message of the exception that the stream's model has for it."""
        try:
            async for event in events:
                yield self._event(event)
        except Exception as error:
            yield self._exception(error, request_id)
        finally:
            await close(events)

    def _event(self, event: Document) -> bytes:
        ((name, members),) = event.items()
        writer = self._events[name]
        headers = {":message-type": "event", ":event-type": name, ":content-type": "application/json"}
        return message(headers, json_bytes(members if writer is None else writer(members)))

    def _exception(self, error: Exception, request_id: str) -> bytes:
        failure = shown(error, request_id)
        shape = modelled(failure.code, self._exceptions)
        if shape is None:
            headers = {
                ":message-type": "error",
                ":error-code": failure.code,
                ":error-message": failure.message,
            }
            return message(headers, b"")
        headers = {
            ":message-type": "exception",
            ":exception-type": self._member_names[shape.error_code],
            ":content-type": "application/json",
        }
        return message(headers, json_bytes({"message": failure.message}))
