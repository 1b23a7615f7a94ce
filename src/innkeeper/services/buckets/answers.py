"""What S3's answers share."""

from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime

from starlette.responses import Response

from innkeeper.services.buckets.model import StoredObject
from innkeeper.services.buckets.xml import Content, render


def xml_answer(root: str, content: Content, headers: Mapping[str, str] | None = None) -> Response:
    return Response(render(root, content), headers=headers, media_type="application/xml")


def moment(time: datetime) -> str:
    """ISO 8601 as S3 writes it in documents."""
    return time.strftime("%Y-%m-%dT%H:%M:%S.") + f"{time.microsecond // 1000:03}Z"


def quoted(etag: str) -> str:
    return f'"{etag}"'


def object_headers(stored: StoredObject) -> dict[str, str]:
    """The headers of an answer with or about an object, but for its length."""
    return {
        "etag": quoted(stored.etag),
        "last-modified": format_datetime(stored.modified_at, usegmt=True),
        "accept-ranges": "bytes",
        **stored.headers,
    }
