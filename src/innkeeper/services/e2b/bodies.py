"""Uploads as E2B's clients send them: multipart forms (RFC 7578), or bytes that may be gzipped."""

import json
import re
import zlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass

from starlette.requests import Request

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest, PayloadTooLarge

_BOUNDARY = re.compile(r'boundary=(?:"([^"]{1,70})"|([^\s;"]{1,70}))')
_FILE_NAME = re.compile(r'filename="((?:[^"\\]|\\.)*)"')
_HEAD_END = b"\r\n\r\n"
_PARTS_MAX = 1000
_JSON_MAX_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Upload:
    """`name` is the path as the client has it; empty where the request says it elsewhere."""

    name: str
    data: bytes


async def read(chunks: AsyncIterator[bytes], limit_bytes: int) -> bytes:
    """Raises PayloadTooLarge."""
    data = bytearray()
    async for chunk in chunks:
        data += chunk
        if len(data) > limit_bytes:
            raise PayloadTooLarge(f"an upload may have {limit_bytes} bytes")
    return bytes(data)


async def json_object(request: Request, limit_bytes: int = _JSON_MAX_BYTES) -> Document:
    """No body is an empty one. Raises InvalidRequest, PayloadTooLarge."""
    try:
        body = json.loads(await read(request.stream(), limit_bytes) or b"{}")
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("the body must be JSON") from error
    if not isinstance(body, dict):
        raise InvalidRequest("the body must be a JSON object")
    return body


def uploads(headers: Mapping[str, str], body: bytes, limit_bytes: int) -> list[Upload]:
    """Raises InvalidRequest, PayloadTooLarge."""
    encoding = headers.get("content-encoding", "identity")
    if encoding == "gzip":
        body = _unzipped(body, limit_bytes)
    elif encoding != "identity":
        raise InvalidRequest("Content-Encoding must be gzip or identity")
    kind = headers.get("content-type", "")
    if not kind.lower().startswith("multipart/form-data"):
        return [Upload("", body)]
    boundary = _BOUNDARY.search(kind)
    if boundary is None:
        raise InvalidRequest("the multipart form has no boundary")
    return _parts(body, (boundary[1] or boundary[2]).encode("latin-1"))


def _parts(body: bytes, boundary: bytes) -> list[Upload]:
    """What lies between the boundaries. The first may lack the line break that belongs to each."""
    _, *parts = (b"\r\n" + body).split(b"\r\n--" + boundary)
    if not parts or not parts[-1].startswith(b"--"):
        raise InvalidRequest("the multipart form is not complete")
    if len(parts) > _PARTS_MAX:
        raise InvalidRequest(f"a multipart form has at most {_PARTS_MAX} parts")
    return [_part(part) for part in parts[:-1]]


def _part(part: bytes) -> Upload:
    head, end, data = part.partition(_HEAD_END)
    if not end or not head.startswith(b"\r\n"):
        raise InvalidRequest("a part of the multipart form is malformed")
    name = _FILE_NAME.search(head.decode(errors="replace"))
    # Browsers and httpx write a quote in a name as %22; some others escape it with a backslash.
    return Upload(re.sub(r"\\(.)", r"\1", name[1]).replace("%22", '"') if name else "", data)


def _unzipped(body: bytes, limit_bytes: int) -> bytes:
    unzip = zlib.decompressobj(zlib.MAX_WBITS | 16)
    try:
        data = unzip.decompress(body, limit_bytes)
    except zlib.error as error:
        raise InvalidRequest("the upload is not gzip") from error
    if unzip.unconsumed_tail:
        raise PayloadTooLarge(f"an upload may have {limit_bytes} bytes")
    if not unzip.eof:
        raise InvalidRequest("the upload's gzip is not complete")
    return data
