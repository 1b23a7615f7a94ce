"""ListObjectsV2, and the older ListObjects.

https://docs.aws.amazon.com/AmazonS3/latest/API/API_ListObjectsV2.html
"""

import base64
import binascii
from urllib.parse import quote

from starlette.responses import Response

from innkeeper.services.buckets.answers import moment, quoted, xml_answer
from innkeeper.services.buckets.errors import InvalidArgument
from innkeeper.services.buckets.model import Entry, StoredObject
from innkeeper.services.buckets.request import S3Request, check_text
from innkeeper.services.buckets.service import Buckets
from innkeeper.services.buckets.xml import Content

MAX_KEYS = 1000


class ListOperations:
    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    async def list_objects(self, request: S3Request) -> Response:
        is_v2 = request.query.get("list-type") == "2"
        size = request.number("max-keys", MAX_KEYS, 0, MAX_KEYS)
        entries, more = await self._buckets.list_entries(
            request.account,
            request.bucket,
            request.query.get("prefix", ""),
            request.query.get("delimiter", ""),
            _after(request, is_v2),
            size,
        )
        last = entries[-1].name if entries and more else ""
        answer = _described(request, size) | {"IsTruncated": "true" if last else "false"}
        answer |= _position_v2(request, entries, last) if is_v2 else _position_v1(request, last)
        answer["Contents"] = [_line(request, entry.object) for entry in entries if entry.object]
        answer["CommonPrefixes"] = [
            {"Prefix": _name(request, entry.name)} for entry in entries if entry.object is None
        ]
        return xml_answer("ListBucketResult", answer)


def _after(request: S3Request, is_v2: bool) -> str:
    if not is_v2:
        return request.query.get("marker", "")
    token = request.query.get("continuation-token", "")
    try:
        after = base64.b64decode(token, b"-_", validate=True).decode()
    except (binascii.Error, ValueError) as error:
        raise InvalidArgument("The continuation token provided is incorrect") from error
    check_text(after)
    return after or request.query.get("start-after", "")


def _described(request: S3Request, size: int) -> dict[str, Content]:
    """What was asked for."""
    described: dict[str, Content] = {
        "Name": request.bucket,
        "Prefix": _name(request, request.query.get("prefix", "")),
        "MaxKeys": str(size),
    }
    if request.query.get("delimiter"):
        described["Delimiter"] = _name(request, request.query["delimiter"])
    if _is_encoded(request):
        described["EncodingType"] = "url"
    return described


def _position_v2(request: S3Request, entries: list[Entry], last: str) -> dict[str, Content]:
    position: dict[str, Content] = {"KeyCount": str(len(entries))}
    if "continuation-token" in request.query:
        position["ContinuationToken"] = request.query["continuation-token"]
    if "start-after" in request.query:
        position["StartAfter"] = _name(request, request.query["start-after"])
    if last:
        position["NextContinuationToken"] = base64.urlsafe_b64encode(last.encode()).decode()
    return position


def _position_v1(request: S3Request, last: str) -> dict[str, Content]:
    position: dict[str, Content] = {"Marker": _name(request, request.query.get("marker", ""))}
    if last:
        position["NextMarker"] = _name(request, last)
    return position


def _line(request: S3Request, stored: StoredObject) -> dict[str, Content]:
    return {
        "Key": _name(request, stored.key),
        "LastModified": moment(stored.modified_at),
        "ETag": quoted(stored.etag),
        "Size": str(stored.size),
        "StorageClass": "STANDARD",
    }


def _is_encoded(request: S3Request) -> bool:
    return request.query.get("encoding-type") == "url"


def _name(request: S3Request, text: str) -> str:
    return quote(text) if _is_encoded(request) else text
