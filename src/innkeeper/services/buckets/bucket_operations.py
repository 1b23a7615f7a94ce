"""S3's operations on buckets (https://docs.aws.amazon.com/AmazonS3/latest/API/API_Operations.html)."""

from dataclasses import dataclass

from starlette.responses import Response

from innkeeper.services.buckets.answers import moment, xml_answer
from innkeeper.services.buckets.errors import NoSuchConfiguration
from innkeeper.services.buckets.request import S3Request
from innkeeper.services.buckets.service import Buckets
from innkeeper.services.buckets.xml import parse


@dataclass(frozen=True, slots=True)
class Configuration:
    """A document of a bucket that is kept: its root element, the end of its IAM actions' names, and the
    error where there is none."""

    root: str
    permission: str
    missing: str = ""


CONFIGURATIONS = {
    "lifecycle": Configuration(
        "LifecycleConfiguration", "LifecycleConfiguration", "NoSuchLifecycleConfiguration"
    ),
    "encryption": Configuration(
        "ServerSideEncryptionConfiguration",
        "EncryptionConfiguration",
        "ServerSideEncryptionConfigurationNotFoundError",
    ),
    "publicAccessBlock": Configuration(
        "PublicAccessBlockConfiguration", "BucketPublicAccessBlock", "NoSuchPublicAccessBlockConfiguration"
    ),
    "tagging": Configuration("Tagging", "BucketTagging", "NoSuchTagSet"),
    "versioning": Configuration("VersioningConfiguration", "BucketVersioning"),
}


class BucketOperations:
    def __init__(self, buckets: Buckets) -> None:
        self._buckets = buckets

    async def list_buckets(self, request: S3Request) -> Response:
        found = await self._buckets.list_all(request.account)
        lines = [{"Name": bucket.name, "CreationDate": moment(bucket.created_at)} for bucket in found]
        owner = {"ID": request.account, "DisplayName": request.account}
        return xml_answer("ListAllMyBucketsResult", {"Owner": owner, "Buckets": {"Bucket": lines}})

    async def create_bucket(self, request: S3Request) -> Response:
        region = request.call.caller.region
        if request.body:
            wanted = parse(request.body, "CreateBucketConfiguration").findtext("LocationConstraint")
            region = wanted or region
        await self._buckets.create(request.account, request.bucket, region)
        return Response(headers={"location": f"/{request.bucket}"})

    async def head_bucket(self, request: S3Request) -> Response:
        bucket = await self._buckets.get(request.account, request.bucket)
        return Response(headers={"x-amz-bucket-region": bucket.region})

    async def delete_bucket(self, request: S3Request) -> Response:
        await self._buckets.delete(request.account, request.bucket)
        return Response(status_code=204)

    async def get_bucket_location(self, request: S3Request) -> Response:
        """The first region of S3 is the one without a name."""
        region = (await self._buckets.get(request.account, request.bucket)).region
        return xml_answer("LocationConstraint", "" if region == "us-east-1" else region)

    async def put_configuration(self, request: S3Request) -> Response:
        kind = _kind(request)
        parse(request.body, CONFIGURATIONS[kind].root)
        document = request.body.decode("utf-8", errors="replace")
        await self._buckets.configure(request.account, request.bucket, kind, document)
        return Response()

    async def get_configuration(self, request: S3Request) -> Response:
        kind = _kind(request)
        document = await self._buckets.configuration(request.account, request.bucket, kind)
        configuration = CONFIGURATIONS[kind]
        if document is not None:
            return Response(document, media_type="application/xml")
        if configuration.missing:
            raise NoSuchConfiguration(configuration.missing)
        return xml_answer(configuration.root, "")

    async def delete_configuration(self, request: S3Request) -> Response:
        await self._buckets.delete_configuration(request.account, request.bucket, _kind(request))
        return Response(status_code=204)


def _kind(request: S3Request) -> str:
    return next(kind for kind in CONFIGURATIONS if kind in request.query)
