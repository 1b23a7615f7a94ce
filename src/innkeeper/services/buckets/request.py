"""A request of S3, taken apart."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol
from urllib.parse import parse_qsl, unquote

from innkeeper.kernel.call import Call
from innkeeper.services.buckets.chunked import decode_chunks, is_chunked
from innkeeper.services.buckets.errors import InvalidArgument, InvalidUri


class RawRequest(Protocol):
    """An HTTP request as it came: `raw_path` percent-encoded, header names in lower case."""

    @property
    def method(self) -> str: ...
    @property
    def raw_path(self) -> str: ...
    @property
    def query_string(self) -> bytes: ...
    @property
    def headers(self) -> Mapping[str, str]: ...
    @property
    def body(self) -> bytes: ...


@dataclass(frozen=True, slots=True)
class S3Request:
    """`bucket` and `key` are empty where the path has none; `body` and `headers` are without aws-chunked."""

    call: Call
    method: str
    bucket: str
    key: str
    query: Mapping[str, str]
    headers: Mapping[str, str]
    body: bytes

    @property
    def account(self) -> str:
        return self.call.caller.account

    @classmethod
    def of(cls, call: Call, raw: RawRequest) -> "S3Request":
        """Raises InvalidUri, IncompleteBody."""
        bucket, key = split_path(raw.raw_path)
        headers, body = raw.headers, raw.body
        if is_chunked(headers):
            body, trailer = decode_chunks(body, headers)
            headers = {**headers, **trailer}
        query = dict(parse_qsl(raw.query_string.decode("latin-1"), keep_blank_values=True))
        check_text("".join(query.values()))
        return cls(call, raw.method, bucket, key, query, headers, body)

    def number(self, name: str, default: int, low: int, high: int) -> int:
        """A whole number of the query; `high` also where it asks for more. Raises InvalidArgument."""
        text = self.query.get(name) or str(default)
        if not text.isascii() or not text.isdigit() or len(text) > 10 or int(text) < low:
            raise InvalidArgument(f"{name} must be a whole number from {low}")
        return min(int(text), high)


def split_path(path: str) -> tuple[str, str]:
    """Bucket and key of a percent-encoded path. Raises InvalidUri."""
    bucket, _, key = path.removeprefix("/").partition("/")
    try:
        decoded = unquote(bucket, errors="strict"), unquote(key, errors="strict")
    except UnicodeDecodeError as error:
        raise InvalidUri("The path is not percent-encoded UTF-8") from error
    check_text("".join(decoded))
    return decoded


def check_text(text: str) -> None:
    """Databases keep no NUL characters. Raises InvalidUri."""
    if "\0" in text:
        raise InvalidUri("A NUL character is not allowed in names")
