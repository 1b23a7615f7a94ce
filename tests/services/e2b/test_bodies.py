"""Uploads, as httpx and browsers write them."""

import gzip

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.kernel.errors import InvalidRequest, PayloadTooLarge
from innkeeper.services.e2b.bodies import Upload, uploads

LIMIT = 1 << 20
NAMES = st.text(st.characters(categories=["L", "N"], include_characters=' ./"_-'), min_size=1, max_size=20)


@given(st.lists(st.tuples(NAMES, st.binary(max_size=200)), min_size=1, max_size=4))
def test_a_form_by_httpx_is_read_as_it_was_written(files: list[tuple[str, bytes]]) -> None:
    request = httpx.Request("POST", "http://x/files", files=[("file", file) for file in files])
    request.read()
    assert uploads(request.headers, request.content, LIMIT) == [Upload(*file) for file in files]


@given(st.binary(max_size=200))
def test_any_bytes_are_a_form_or_refused(body: bytes) -> None:
    try:
        uploads({"content-type": "multipart/form-data; boundary=--x"}, body, LIMIT)
    except InvalidRequest as error:
        assert error.message


def test_bytes_may_be_gzipped_up_to_a_limit() -> None:
    headers = {"content-type": "application/octet-stream", "content-encoding": "gzip"}
    assert uploads(headers, gzip.compress(b"data"), LIMIT) == [Upload("", b"data")]
    with pytest.raises(PayloadTooLarge):
        uploads(headers, gzip.compress(bytes(2 * LIMIT)), LIMIT)
    for broken in (b"no gzip", gzip.compress(b"data")[:-4]):
        with pytest.raises(InvalidRequest):
            uploads(headers, broken, LIMIT)
