"""S3's own failures (https://docs.aws.amazon.com/AmazonS3/latest/API/ErrorResponses.html)."""

from innkeeper.kernel.errors import Conflict, InnkeeperError, InvalidRequest, NotFound


class NoSuchBucket(NotFound):
    code = "NoSuchBucket"

    def __init__(self, bucket: str) -> None:
        super().__init__(f"The specified bucket does not exist: {bucket}")


class NoSuchKey(NotFound):
    code = "NoSuchKey"

    def __init__(self, key: str) -> None:
        super().__init__(f"The specified key does not exist: {key}")


class NoSuchUpload(NotFound):
    code = "NoSuchUpload"

    def __init__(self) -> None:
        super().__init__("The specified upload does not exist; it may have been completed or aborted")


class NoSuchConfiguration(NotFound):
    """`code` depends on the kind of configuration that the bucket lacks."""

    def __init__(self, code: str) -> None:
        super().__init__("The bucket has no such configuration")
        self.code = code


class BucketAlreadyOwnedByYou(Conflict):
    code = "BucketAlreadyOwnedByYou"


class BucketNotEmpty(Conflict):
    code = "BucketNotEmpty"


class InvalidBucketName(InvalidRequest):
    code = "InvalidBucketName"


class InvalidArgument(InvalidRequest):
    code = "InvalidArgument"


class InvalidUri(InvalidRequest):
    code = "InvalidURI"


class KeyTooLong(InvalidRequest):
    code = "KeyTooLongError"


class MalformedXml(InvalidRequest):
    code = "MalformedXML"


class BadDigest(InvalidRequest):
    """The body is not what its checksum says."""

    code = "BadDigest"


class IncompleteBody(InvalidRequest):
    code = "IncompleteBody"


class InvalidPart(InvalidRequest):
    code = "InvalidPart"


class InvalidPartOrder(InvalidRequest):
    code = "InvalidPartOrder"


class PreconditionFailed(InnkeeperError):
    code = "PreconditionFailed"
    status = 412


class InvalidRange(InnkeeperError):
    code = "InvalidRange"
    status = 416
