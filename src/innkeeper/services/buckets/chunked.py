"""The `aws-chunked` content encoding: a body in signed or unsigned chunks, checksums in a trailer.

https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-streaming.html. The signatures of single chunks are not
verified: the request's own signature was.
"""

from collections.abc import Mapping

from innkeeper.services.buckets.errors import IncompleteBody

_LINE_BYTES = 1024


def is_chunked(headers: Mapping[str, str]) -> bool:
    encodings = [part.strip() for part in headers.get("content-encoding", "").split(",")]
    return "aws-chunked" in encodings or headers.get("x-amz-content-sha256", "").startswith("STREAMING-")


def decode_chunks(body: bytes, headers: Mapping[str, str]) -> tuple[bytes, dict[str, str]]:
    """The content, and the trailer by header name. Raises IncompleteBody."""
    view = memoryview(body)
    chunks: list[memoryview] = []
    at = 0
    while True:
        line, at = _line(body, at)
        size = _size(line)
        if size == 0:
            break
        if body[at + size : at + size + 2] != b"\r\n":
            raise _broken("a chunk does not end where its size says")
        chunks.append(view[at : at + size])
        at += size + 2
    content = b"".join(chunks)
    declared = headers.get("x-amz-decoded-content-length", str(len(content)))
    if declared != str(len(content)):
        raise _broken(f"x-amz-decoded-content-length is not the {len(content)} bytes that came")
    return content, _trailer(body, at)


def _trailer(body: bytes, at: int) -> dict[str, str]:
    trailer: dict[str, str] = {}
    while at < len(body):
        line, at = _line(body, at)
        if not line:
            break
        name, _, value = line.decode("latin-1").partition(":")
        trailer[name.strip().lower()] = value.strip()
    return trailer


def _line(body: bytes, at: int) -> tuple[bytes, int]:
    end = body.find(b"\r\n", at, at + _LINE_BYTES)
    if end < 0:
        raise _broken("a line does not end")
    return body[at:end], end + 2


def _size(line: bytes) -> int:
    digits = line.partition(b";")[0].strip()
    if not 1 <= len(digits) <= 16 or digits.strip(b"0123456789abcdefABCDEF"):
        raise _broken("a chunk does not begin with its size")
    return int(digits, 16)


def _broken(why: str) -> IncompleteBody:
    return IncompleteBody(f"The aws-chunked body is broken: {why}")
