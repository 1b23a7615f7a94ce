"""S3's operations on objects (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html)."""

from collections.abc import Mapping

from starlette.responses import Response, StreamingResponse

from innkeeper.kernel.errors import AccessDenied, NotImplementedYet
from innkeeper.services.account.service import Accounts
from innkeeper.services.buckets.answers import moment, object_headers, quoted, xml_answer
from innkeeper.services.buckets.errors import InvalidArgument, MalformedXml, PreconditionFailed
from innkeeper.services.buckets.model import Span, StoredObject, byte_range
from innkeeper.services.buckets.request import S3Request, split_path
from innkeeper.services.buckets.service import Buckets
from innkeeper.services.buckets.xml import parse

MAX_DELETES = 1000

# Silently leaving these out would break a promise that the client relies on.
_UNSUPPORTED = (
    "if-match",
    "if-none-match",
    "x-amz-server-side-encryption-customer-algorithm",
    "x-amz-object-lock-mode",
)
_OVERRIDES = tuple(
    f"response-{name}"
    for name in (
        "cache-control",
        "content-disposition",
        "content-encoding",
        "content-language",
        "content-type",
        "expires",
    )
)


class ObjectOperations:
    def __init__(self, buckets: Buckets, accounts: Accounts) -> None:
        self._buckets = buckets
        self._accounts = accounts

    async def put_object(self, request: S3Request) -> Response:
        refuse_unsupported(request.headers)
        stored = await self._buckets.put_object(
            request.account, request.bucket, request.key, request.body, request.headers
        )
        return Response(headers={"etag": quoted(stored.etag), **stored.checksums})

    async def copy_object(self, request: S3Request) -> Response:
        refuse_unsupported(request.headers)
        source = await self._source(request)
        replaces = request.headers.get("x-amz-metadata-directive", "COPY") == "REPLACE"
        headers = request.headers if replaces else None
        made = await self._buckets.copy_object(source, request.bucket, request.key, headers)
        result = {"LastModified": moment(made.modified_at), "ETag": quoted(made.etag)}
        return xml_answer("CopyObjectResult", result)

    async def get_object(self, request: S3Request) -> Response:
        stored = await self._find(request)
        if not_modified(stored, request.headers):
            return Response(status_code=304, headers={"etag": quoted(stored.etag)})
        span = byte_range(request.headers.get("range", ""), stored.size)
        headers = _headers(stored, request, span)
        whole = span or Span(0, stored.size)
        chunks = await self._buckets.read(stored, whole)
        return StreamingResponse(chunks, 206 if span else 200, headers)

    async def head_object(self, request: S3Request) -> Response:
        stored = await self._find(request)
        if not_modified(stored, request.headers):
            return Response(status_code=304, headers={"etag": quoted(stored.etag)})
        span = byte_range(request.headers.get("range", ""), stored.size)
        return Response(status_code=206 if span else 200, headers=_headers(stored, request, span))

    async def delete_object(self, request: S3Request) -> Response:
        await self._buckets.delete_object(request.account, request.bucket, request.key)
        return Response(status_code=204)

    async def delete_objects(self, request: S3Request) -> Response:
        """Each key by itself: one that the caller may not delete does not keep the others."""
        document = parse(request.body, "Delete")
        keys = [element.findtext("Key") or "" for element in document.findall("Object")]
        if not 1 <= len(keys) <= MAX_DELETES or not all(keys):
            raise MalformedXml(f"Delete must name 1 to {MAX_DELETES} objects, each with its Key")
        await self._buckets.get(request.account, request.bucket)
        deleted: list[dict[str, str]] = []
        refused: list[dict[str, str]] = []
        for key in keys:
            try:
                await self._allow(request, "s3:DeleteObject", request.bucket, key)
                await self._buckets.delete_object(request.account, request.bucket, key)
                deleted.append({"Key": key})
            except AccessDenied as error:
                refused.append({"Key": key, "Code": "AccessDenied", "Message": error.message})
        if document.findtext("Quiet", "").lower() == "true":
            deleted = []
        return xml_answer("DeleteResult", {"Deleted": deleted, "Error": refused})

    async def _find(self, request: S3Request) -> StoredObject:
        return await self._buckets.find_object(request.account, request.bucket, request.key)

    async def _source(self, request: S3Request) -> StoredObject:
        path, _, version = request.headers["x-amz-copy-source"].partition("?versionId=")
        bucket, key = split_path(path)
        if not bucket or not key or version not in ("", "null"):
            raise InvalidArgument("x-amz-copy-source must be BUCKET/KEY, percent-encoded, without a version")
        await self._allow(request, "s3:GetObject", bucket, key)
        stored = await self._buckets.find_object(request.account, bucket, key)
        conditions = {
            name: request.headers[f"x-amz-copy-source-{name}"]
            for name in ("if-match", "if-none-match")
            if f"x-amz-copy-source-{name}" in request.headers
        }
        if not_modified(stored, conditions):
            raise PreconditionFailed("The source has the ETag that it must not have")
        return stored

    async def _allow(self, request: S3Request, action: str, bucket: str, key: str) -> None:
        await self._accounts.authorize(request.call.caller, action, f"arn:aws:s3:::{bucket}/{key}")


def refuse_unsupported(headers: Mapping[str, str]) -> None:
    for name in _UNSUPPORTED:
        if name in headers:
            raise NotImplementedYet(f"The header {name} is not supported")


def not_modified(stored: StoredObject, headers: Mapping[str, str]) -> bool:
    """Whether `If-None-Match` spares the answer. Raises PreconditionFailed when `If-Match` fails."""
    if "if-match" in headers and not _lists(headers["if-match"], stored.etag):
        raise PreconditionFailed("The object's ETag is another")
    return "if-none-match" in headers and _lists(headers["if-none-match"], stored.etag)


def _lists(header: str, etag: str) -> bool:
    wanted = {part.strip().removeprefix("W/").strip('"') for part in header.split(",")}
    return "*" in wanted or etag in wanted


def _headers(stored: StoredObject, request: S3Request, span: Span | None) -> dict[str, str]:
    headers = object_headers(stored)
    for name in _OVERRIDES:
        if name in request.query:
            headers[name.removeprefix("response-")] = request.query[name]
    if span is not None:
        last = span.start + span.length - 1
        return headers | {
            "content-length": str(span.length),
            "content-range": f"bytes {span.start}-{last}/{stored.size}",
        }
    if request.headers.get("x-amz-checksum-mode", "").upper() == "ENABLED":
        headers |= stored.checksums
    return headers | {"content-length": str(stored.size)}
