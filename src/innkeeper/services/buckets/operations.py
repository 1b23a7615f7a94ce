"""S3 on the wire: finds the operation of a request, and asks whether the caller may."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Literal

from starlette.responses import Response

from innkeeper.kernel.call import Call
from innkeeper.kernel.errors import AccessDenied, NotImplementedYet
from innkeeper.services.account.service import Accounts
from innkeeper.services.buckets.bucket_operations import CONFIGURATIONS, BucketOperations
from innkeeper.services.buckets.listing import ListOperations
from innkeeper.services.buckets.object_operations import ObjectOperations
from innkeeper.services.buckets.request import RawRequest, S3Request
from innkeeper.services.buckets.service import Buckets
from innkeeper.services.buckets.upload_operations import UploadOperations

Level = Literal["service", "bucket", "object"]
# Method, level, and the query parameter that makes it another operation.
Route = tuple[str, Level, str]


@dataclass(frozen=True, slots=True)
class _Operation:
    """`action` is the IAM action; empty where the operation asks for each object by itself."""

    action: str
    answer: Callable[[S3Request], Awaitable[Response]]


# Query parameters that name an operation of their own, served here or not.
_SUBRESOURCES = frozenset(
    {
        *("accelerate", "acl", "analytics", "attributes", "cors", "delete", "encryption"),
        *("intelligent-tiering", "inventory", "legal-hold", "lifecycle", "location", "logging"),
        *("metrics", "notification", "object-lock", "ownershipControls", "policy", "policyStatus"),
        *("publicAccessBlock", "replication", "requestPayment", "restore", "retention", "select"),
        *("session", "tagging", "torrent", "uploadId", "uploads", "versioning", "versions", "website"),
    }
)


class S3Handler:
    """Failures are raised as kernel errors, for the wire to show as S3 shows them."""

    def __init__(self, buckets: Buckets, accounts: Accounts) -> None:
        self._accounts = accounts
        self._operations = _operations(buckets, accounts)

    async def __call__(self, call: Call, raw: RawRequest) -> Response:
        request = S3Request.of(call, raw)
        expected = request.headers.get("x-amz-expected-bucket-owner", request.account)
        if expected != request.account:
            raise AccessDenied("The bucket's owner is not the one you expect")
        operation = self._find(request)
        if operation.action:
            await self._accounts.authorize(call.caller, operation.action, _arn(request))
        return await operation.answer(request)

    def _find(self, request: S3Request) -> _Operation:
        if request.query.get("versionId", "null") != "null":
            raise NotImplementedYet("Objects have no versions here, so versionId can only be null")
        level: Level = "object" if request.key else "bucket" if request.bucket else "service"
        subresource = next((name for name in request.query if name in _SUBRESOURCES), "")
        if request.method == "PUT" and not subresource and "x-amz-copy-source" in request.headers:
            subresource = "copy"
        found = self._operations.get((request.method, level, subresource))
        if found is None:
            what = f"{level} with ?{subresource}" if subresource else level
            raise NotImplementedYet(f"S3's {request.method} of a {what} is not implemented")
        return found


def _operations(buckets: Buckets, accounts: Accounts) -> dict[Route, _Operation]:
    bucket = BucketOperations(buckets)
    listing = ListOperations(buckets)
    stored = ObjectOperations(buckets, accounts)
    upload = UploadOperations(buckets.uploads)
    operations: dict[Route, _Operation] = {
        ("GET", "service", ""): _Operation("s3:ListAllMyBuckets", bucket.list_buckets),
        ("PUT", "bucket", ""): _Operation("s3:CreateBucket", bucket.create_bucket),
        ("HEAD", "bucket", ""): _Operation("s3:ListBucket", bucket.head_bucket),
        ("DELETE", "bucket", ""): _Operation("s3:DeleteBucket", bucket.delete_bucket),
        ("GET", "bucket", "location"): _Operation("s3:GetBucketLocation", bucket.get_bucket_location),
        ("GET", "bucket", ""): _Operation("s3:ListBucket", listing.list_objects),
        ("POST", "bucket", "delete"): _Operation("", stored.delete_objects),
        ("PUT", "object", ""): _Operation("s3:PutObject", stored.put_object),
        ("PUT", "object", "copy"): _Operation("s3:PutObject", stored.copy_object),
        ("GET", "object", ""): _Operation("s3:GetObject", stored.get_object),
        ("HEAD", "object", ""): _Operation("s3:GetObject", stored.head_object),
        ("DELETE", "object", ""): _Operation("s3:DeleteObject", stored.delete_object),
        ("POST", "object", "uploads"): _Operation("s3:PutObject", upload.create_multipart_upload),
        ("PUT", "object", "uploadId"): _Operation("s3:PutObject", upload.upload_part),
        ("POST", "object", "uploadId"): _Operation("s3:PutObject", upload.complete_multipart_upload),
        ("GET", "object", "uploadId"): _Operation("s3:ListMultipartUploadParts", upload.list_parts),
        ("DELETE", "object", "uploadId"): _Operation(
            "s3:AbortMultipartUpload", upload.abort_multipart_upload
        ),
    }
    for kind, configuration in CONFIGURATIONS.items():
        put, get = f"s3:Put{configuration.permission}", f"s3:Get{configuration.permission}"
        operations["PUT", "bucket", kind] = _Operation(put, bucket.put_configuration)
        operations["GET", "bucket", kind] = _Operation(get, bucket.get_configuration)
        operations["DELETE", "bucket", kind] = _Operation(put, bucket.delete_configuration)
    return operations


def _arn(request: S3Request) -> str:
    if not request.bucket:
        return "*"
    return f"arn:aws:s3:::{request.bucket}" + (f"/{request.key}" if request.key else "")
