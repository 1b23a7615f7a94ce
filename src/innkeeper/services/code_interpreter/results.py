"""What a tool gives back, as the members of a `result` event."""

import base64
import json
import mimetypes
from collections.abc import Mapping, Sequence
from typing import Any

from innkeeper.kernel.call import Document

# AWS's clients take events of up to 24 MiB.
EVENT_MAX_BYTES = 23_000_000


class ToolFailed(Exception):
    """The tool could not do what was asked; the message is shown as its result."""


def failure(message: str) -> Document:
    return {"content": [text(message)], "isError": True}


def success(*content: Document) -> Document:
    return {"content": list(content), "isError": False}


def text(value: str) -> Document:
    return {"type": "text", "text": value}


def output(stdout: str, stderr: str, code: int, milliseconds: float, items: Sequence[Document]) -> Document:
    """What ran to its end: the text of both streams, the rich items, and both once more, structured."""
    texts = [text(value) for value in (stdout, stderr) if value]
    return {
        "content": [*(texts or [text("")]), *map(_rich, items)],
        "structuredContent": {
            "stdout": stdout,
            "stderr": stderr,
            "exitCode": code,
            "executionTime": milliseconds,
        },
        "isError": code != 0,
    }


def file(uri: str, data: bytes) -> Document:
    """As text where it is UTF-8, else as the bytes."""
    resource: dict[str, Any] = {"uri": uri, "mimeType": mime_type(uri)}
    decoded = _decoded(data)
    resource |= {"type": "blob", "blob": data} if decoded is None else {"type": "text", "text": decoded}
    return {"type": "resource", "resource": resource}


def link(entry: Mapping[str, Any]) -> Document:
    """One entry of a folder."""
    shown: dict[str, Any] = {
        "type": "resource_link",
        "uri": f"file://{entry['path']}",
        "name": entry["name"],
        "description": "Directory" if entry["folder"] else "File",
    }
    if not entry["folder"]:
        shown |= {"mimeType": mime_type(entry["name"]), "size": entry["size"]}
    return shown


def mime_type(name: str) -> str:
    return mimetypes.guess_type(name)[0] or "application/octet-stream"


def _decoded(data: bytes) -> str | None:
    """None for what is no text, and for text that JSON's escapes would make too long."""
    try:
        decoded = data.decode()
    except UnicodeDecodeError:
        return None
    escaped_at_most = 6 * len(data)
    if escaped_at_most > EVENT_MAX_BYTES and len(json.dumps(decoded)) > EVENT_MAX_BYTES:
        return None
    return decoded


def _rich(item: Document) -> Document:
    if item["type"] == "image":
        return {"type": "image", "data": base64.b64decode(item["data"]), "mimeType": "image/png"}
    resource = {"type": "text", "uri": "display://html", "mimeType": "text/html", "text": str(item["text"])}
    return {"type": "resource", "resource": resource}
