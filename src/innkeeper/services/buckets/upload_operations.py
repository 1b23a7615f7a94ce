"""S3's operations on uploads in parts.

https://docs.aws.amazon.com/AmazonS3/latest/userguide/mpuoverview.html
"""

from starlette.responses import Response

from innkeeper.kernel.errors import NotImplementedYet
from innkeeper.services.buckets.answers import moment, quoted, xml_answer
from innkeeper.services.buckets.errors import MalformedXml
from innkeeper.services.buckets.model import MAX_PART
from innkeeper.services.buckets.object_operations import refuse_unsupported
from innkeeper.services.buckets.request import S3Request
from innkeeper.services.buckets.uploads import Uploads
from innkeeper.services.buckets.xml import parse

MAX_PARTS_LISTED = 1000


class UploadOperations:
    def __init__(self, uploads: Uploads) -> None:
        self._uploads = uploads

    async def create_multipart_upload(self, request: S3Request) -> Response:
        refuse_unsupported(request.headers)
        upload_id = await self._uploads.begin(request.account, request.bucket, request.key, request.headers)
        names = {"Bucket": request.bucket, "Key": request.key, "UploadId": upload_id}
        algorithm = request.headers.get("x-amz-checksum-algorithm")
        headers = {"x-amz-checksum-algorithm": algorithm} if algorithm else {}
        return xml_answer("InitiateMultipartUploadResult", names, headers)

    async def upload_part(self, request: S3Request) -> Response:
        if "x-amz-copy-source" in request.headers:
            raise NotImplementedYet("UploadPartCopy is not implemented; copy objects of up to 5 GB whole")
        number = request.number("partNumber", 0, 1, MAX_PART + 1)
        digest = await self._uploads.put_part(*_upload(request), number, request.body, request.headers)
        return Response(headers={"etag": quoted(digest.md5), **digest.checksums})

    async def list_parts(self, request: S3Request) -> Response:
        size = request.number("max-parts", MAX_PARTS_LISTED, 0, MAX_PARTS_LISTED)
        after = request.number("part-number-marker", 0, 0, MAX_PART)
        rest = [part for part in await self._uploads.parts(*_upload(request)) if part.number > after]
        shown = rest[:size]
        lines = [
            {
                "PartNumber": str(part.number),
                "LastModified": moment(part.modified_at),
                "ETag": quoted(part.etag),
                "Size": str(part.size),
            }
            for part in shown
        ]
        answer = {
            "Bucket": request.bucket,
            "Key": request.key,
            "UploadId": request.query["uploadId"],
            "PartNumberMarker": str(after),
            "NextPartNumberMarker": str(shown[-1].number if shown else after),
            "MaxParts": str(size),
            "IsTruncated": "true" if len(rest) > len(shown) else "false",
            "StorageClass": "STANDARD",
            "Part": lines,
        }
        return xml_answer("ListPartsResult", answer)

    async def complete_multipart_upload(self, request: S3Request) -> Response:
        stored = await self._uploads.complete(*_upload(request), _wanted(request.body))
        answer = {
            "Location": f"/{request.bucket}/{request.key}",
            "Bucket": request.bucket,
            "Key": request.key,
            "ETag": quoted(stored.etag),
        }
        return xml_answer("CompleteMultipartUploadResult", answer)

    async def abort_multipart_upload(self, request: S3Request) -> Response:
        await self._uploads.abort(*_upload(request))
        return Response(status_code=204)


def _upload(request: S3Request) -> tuple[str, str, str, str]:
    return request.account, request.bucket, request.key, request.query["uploadId"]


def _wanted(body: bytes) -> list[tuple[int, str]]:
    """Part numbers and ETags."""
    wanted = []
    for element in parse(body, "CompleteMultipartUpload").findall("Part"):
        number, etag = element.findtext("PartNumber", ""), element.findtext("ETag", "")
        if not number.isascii() or not number.isdigit() or len(number) > 5 or not etag:
            raise MalformedXml("Each Part needs its PartNumber and its ETag")
        wanted.append((int(number), etag.strip().strip('"')))
    if not wanted:
        raise MalformedXml("CompleteMultipartUpload must name at least one Part")
    return wanted
