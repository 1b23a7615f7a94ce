"""From what an operation gives to the answer on the wire."""

from collections.abc import Callable
from typing import Any

from botocore.model import OperationModel, Shape

from innkeeper.aws import eventstream, timestamps
from innkeeper.aws.answer import Answer
from innkeeper.aws.eventstream import EventStreamEncoder
from innkeeper.aws.writers import Writers, json_bytes
from innkeeper.kernel.call import Document

_JSON = "application/json"


class AnswerEncoder:
    """Writes the answers of one REST operation.

    A blob payload is bytes or an async iterator of bytes; an event stream is an async iterator of
    `{event name: its members}`.
    """

    def __init__(self, operation: OperationModel, writers: Writers) -> None:
        self._status: int = operation.http.get("responseCode", 200)
        shape = operation.output_shape
        self._headers: list[tuple[str, str, Callable[[Any], str]]] = []
        self._status_member = ""
        for name, member in (shape.members if shape else {}).items():
            location = member.serialization.get("location")
            if location == "header":
                self._headers.append(
                    (name, member.serialization.get("name", name).lower(), _header_text(member))
                )
            elif location == "statusCode":
                self._status_member = name
        self._payload: str = shape.serialization.get("payload", "") if shape else ""
        self._body = _body_encoder(shape, self._payload, writers)

    def __call__(self, output: Document, request_id: str) -> Answer:
        status = output.get(self._status_member) or self._status
        content_type, body = self._body(output, request_id)
        if status == 204:
            content_type, body = "", b""
        headers = {"content-type": content_type} if content_type else {}
        for name, header, text in self._headers:
            if (value := output.get(name)) is not None:
                headers[header] = text(value)
        return Answer(status, headers, body)


BodyEncoder = Callable[[Document, str], tuple[str, Any]]


def _body_encoder(shape: Shape | None, payload: str, writers: Writers) -> BodyEncoder:
    """Gives the content type and the body."""
    if shape is None:
        return lambda output, request_id: ("", b"")
    if not payload:
        write = writers.structure(shape)
        return lambda output, request_id: (_JSON, json_bytes(write(output)))
    member = shape.members[payload]
    if member.serialization.get("eventstream"):
        frames = EventStreamEncoder(member, writers).frames
        return lambda output, request_id: (eventstream.CONTENT_TYPE, frames(output[payload], request_id))
    if member.type_name in ("blob", "string"):
        return lambda output, request_id: ("application/octet-stream", output.get(payload, b""))
    writer = writers.of(member)
    if writer is None:
        return lambda output, request_id: (_JSON, json_bytes(output.get(payload, {})))
    return lambda output, request_id: (_JSON, json_bytes(writer(output.get(payload, {}))))


def _header_text(shape: Shape) -> Callable[[Any], str]:
    match shape.type_name:
        case "boolean":
            return lambda value: "true" if value else "false"
        case "timestamp":
            write = timestamps.FORMATS[shape.serialization.get("timestampFormat", "rfc822")]
            return lambda value: str(write(value))
        case _:
            return str
