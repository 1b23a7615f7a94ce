"""Bodies and documents from hostile hands."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.services.buckets.chunked import decode_chunks, is_chunked
from innkeeper.services.buckets.errors import IncompleteBody, InvalidRange, MalformedXml
from innkeeper.services.buckets.model import byte_range, common_prefix
from innkeeper.services.buckets.xml import parse, render

BOMB = b"""<?xml version="1.0"?><!DOCTYPE d [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;">]>
<Delete><Object><Key>&b;</Key></Object></Delete>"""


def chunked(chunks: list[bytes], extension: str = "", trailer: dict[str, str] | None = None) -> bytes:
    body = b"".join(b"%x%s\r\n%s\r\n" % (len(chunk), extension.encode(), chunk) for chunk in [*chunks, b""])
    lines = "".join(f"{name}:{value}\r\n" for name, value in (trailer or {}).items())
    return body[:-2] + lines.encode() + b"\r\n"


@given(
    st.lists(st.binary(min_size=1, max_size=40), max_size=5),
    st.sampled_from(["", ";chunk-signature=" + "0" * 64]),
    st.dictionaries(st.sampled_from(["x-amz-checksum-crc32", "x-amz-trailer-signature"]), st.just("AAAA==")),
)
def test_chunks_come_together(chunks: list[bytes], extension: str, trailer: dict[str, str]) -> None:
    content = b"".join(chunks)
    headers = {"x-amz-decoded-content-length": str(len(content))}
    assert decode_chunks(chunked(chunks, extension, trailer), headers) == (content, trailer)


@given(st.binary(max_size=60))
def test_any_bytes_decode_or_are_refused(body: bytes) -> None:
    try:
        decode_chunks(body, {})
    except IncompleteBody as error:
        assert error.code == "IncompleteBody"


@pytest.mark.parametrize(
    "body",
    [b"", b"5\r\nhello", b"5\r\nhel\r\n0\r\n\r\n", b"-5\r\n", b"x\r\n", b"f" * 17 + b"\r\n", b"5" * 2000],
)
def test_a_broken_chunk_is_refused(body: bytes) -> None:
    with pytest.raises(IncompleteBody):
        decode_chunks(body, {})


def test_a_body_shorter_than_it_said_is_refused() -> None:
    with pytest.raises(IncompleteBody, match="decoded-content-length"):
        decode_chunks(chunked([b"hello"]), {"x-amz-decoded-content-length": "6"})


def test_chunked_bodies_are_known_by_their_headers() -> None:
    assert is_chunked({"content-encoding": "gzip, aws-chunked"})
    assert is_chunked({"x-amz-content-sha256": "STREAMING-UNSIGNED-PAYLOAD-TRAILER"})
    assert not is_chunked({"content-encoding": "gzip", "x-amz-content-sha256": "UNSIGNED-PAYLOAD"})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<Delete>",
        b"<Other/>",
        b"\xff\xfe",
        BOMB,
        BOMB.decode().replace('"1.0"', '"1.0" encoding="utf-16"').encode("utf-16"),
        b"<!DOCTYPE Delete SYSTEM 'file:///etc/passwd'><Delete/>",
        b"<?xml version='1.0' encoding='no-such'?><Delete/>",
        b"<Delete>&undefined;</Delete>",
        b"<Delete>" + b" " * (4 << 20) + b"</Delete>",
    ],
)
def test_a_hostile_document_is_refused(body: bytes) -> None:
    with pytest.raises(MalformedXml):
        parse(body, "Delete")


@given(st.dictionaries(st.sampled_from("ABC"), st.lists(st.text(max_size=8), max_size=3), max_size=3))
def test_what_is_rendered_can_be_parsed(content: dict[str, list[str]]) -> None:
    root = parse(render("Root", content), "Root")
    assert [child.tag for child in root] == [name for name, texts in content.items() for _ in texts]


def test_names_have_no_namespace_and_texts_are_escaped() -> None:
    document = render("Root", {"Key": ["a<&>b", "\x00"]})
    assert [key.text for key in parse(document, "Root").findall("Key")] == ["a<&>b", "\ufffd"]


@given(st.integers(0, 20), st.integers(0, 25), st.integers(0, 25))
def test_ranges_lie_within_the_object(size: int, first: int, last: int) -> None:
    content = bytes(range(size))
    try:
        span = byte_range(f"bytes={first}-{last}", size)
    except InvalidRange:
        assert first >= size
        return
    if span is None:
        assert first > last
    else:
        assert content[span.start : span.start + span.length] == content[first : last + 1]


@pytest.mark.parametrize("header", ["", "bytes=-", "bytes=a-b", "bytes", "bytes=" + "9" * 30 + "-"])
def test_a_range_that_is_none_is_ignored(header: str) -> None:
    assert byte_range(header, 10) is None


def test_folders_are_what_comes_before_the_delimiter() -> None:
    assert common_prefix("a/b/c", "", "/") == "a/"
    assert common_prefix("a/b/c", "a/", "/") == "a/b/"
    assert common_prefix("a/b/c", "a/b/", "/") is None
    assert common_prefix("a--b", "", "--") == "a--"
    assert common_prefix("a/b", "", "") is None
