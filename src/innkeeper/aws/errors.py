"""Failures as each protocol shows them: JSON of two kinds, the XML of `query`, the XML of S3."""

import json
import logging
import re
from collections.abc import Mapping
from xml.sax.saxutils import escape

from botocore.model import OperationModel, Shape

from innkeeper.aws.answer import Answer
from innkeeper.kernel.errors import InnkeeperError, InvalidRequest, Unauthorized

AWS_JSON = "application/x-amz-json-1.1"

_log = logging.getLogger(__name__)

# What services call a failure, and what some models call the same.
_OTHER_NAMES = {
    "ThrottlingException": ("ThrottledException",),
    "InternalServerException": ("ServiceException", "ServiceFailure", "InternalServiceError"),
    "ValidationException": ("InvalidInputException", "InvalidInput", "InvalidParameterException"),
    "ResourceNotFoundException": ("NoSuchEntity",),
    "ConflictException": ("EntityAlreadyExists", "DeleteConflict"),
    "ServiceQuotaExceededException": ("LimitExceeded", "LimitExceededException"),
}
_QUERY_CODES = {
    "AccessDeniedException": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "IncompleteSignature",
    "InternalServerException": "InternalFailure",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "MissingAuthenticationTokenException": "MissingAuthenticationToken",
    "ThrottlingException": "Throttling",
    "UnknownOperationException": "InvalidAction",
    "UnrecognizedClientException": "InvalidClientTokenId",
    "ValidationException": "ValidationError",
}
_S3_CODES = {
    "AccessDeniedException": "AccessDenied",
    "ExpiredTokenException": "ExpiredToken",
    "IncompleteSignatureException": "AuthorizationHeaderMalformed",
    "InternalServerException": "InternalError",
    "InvalidSignatureException": "SignatureDoesNotMatch",
    "NotImplementedException": "NotImplemented",
    "RequestEntityTooLargeException": "EntityTooLarge",
    "ServiceUnavailableException": "ServiceUnavailable",
    "ThrottlingException": "SlowDown",
    "UnrecognizedClientException": "InvalidAccessKeyId",
    "ValidationException": "InvalidRequest",
}
_NOT_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


class UnknownOperation(InnkeeperError):
    code = "UnknownOperationException"
    status = 404


class RequestTimeout(InnkeeperError):
    code = "RequestTimeoutException"
    status = 408


def shown(error: Exception, request_id: str) -> InnkeeperError:
    """The failure that the caller may see: one of ours, or a neutral one while the log has the rest."""
    if isinstance(error, InnkeeperError):
        return error
    _log.error("request %s failed", request_id, exc_info=error)
    return InnkeeperError(
        f"The server failed while it answered; its log has the details of request {request_id}"
    )


def modelled(code: str, shapes: Mapping[str, Shape]) -> Shape | None:
    """The shape, of those an operation declares by code, that says what this code says."""
    names = (code, *_OTHER_NAMES.get(code, ()))
    return next((shapes[name] for name in names if name in shapes), None)


def json_error(error: InnkeeperError, operation: OperationModel | None, request_id: str) -> Answer:
    shape = _declared(error, operation)
    code, status = _code_and_status(error, shape)
    content: dict[str, object] = {"message": error.message}
    if isinstance(error, InvalidRequest) and shape is not None and "reason" in shape.members:
        content["reason"] = error.reason
        content["fieldList"] = [{"name": field.name, "message": field.message} for field in error.fields]
    headers = {"content-type": "application/json", "x-amzn-errortype": code}
    if isinstance(error, Unauthorized):
        headers["www-authenticate"] = error.challenge
    return Answer(status, headers, json.dumps(content).encode())


def aws_json_error(error: InnkeeperError, operation: OperationModel | None, request_id: str) -> Answer:
    """All that is the caller's fault is a 400 in this protocol; the name tells what it is."""
    shape = _declared(error, operation)
    code, status = _code_and_status(error, shape)
    member = "Message" if shape is not None and "Message" in shape.members else "message"
    content = {"__type": code, member: error.message}
    return Answer(status if status >= 500 else 400, {"content-type": AWS_JSON}, json.dumps(content).encode())


def query_error(error: InnkeeperError, operation: OperationModel | None, request_id: str) -> Answer:
    code, status = _code_and_status(error, _declared(error, operation))
    fault = "Sender" if status < 500 else "Receiver"
    body = (
        f"<ErrorResponse><Error><Type>{fault}</Type><Code>{xml_text(_QUERY_CODES.get(code, code))}</Code>"
        f"<Message>{xml_text(error.message)}</Message></Error>"
        f"<RequestId>{request_id}</RequestId></ErrorResponse>"
    )
    return Answer(status, {"content-type": "text/xml"}, body.encode())


def s3_error(error: InnkeeperError, operation: OperationModel | None, request_id: str) -> Answer:
    body = (
        '<?xml version="1.0" encoding="UTF-8"?>\n'
        f"<Error><Code>{xml_text(_S3_CODES.get(error.code, error.code))}</Code>"
        f"<Message>{xml_text(error.message)}</Message><RequestId>{request_id}</RequestId></Error>"
    )
    return Answer(error.status, {"content-type": "application/xml"}, body.encode())


def xml_text(text: str) -> str:
    """Escaped; characters that XML 1.0 cannot hold become U+FFFD."""
    return _NOT_XML.sub("\ufffd", escape(text))


def _declared(error: InnkeeperError, operation: OperationModel | None) -> Shape | None:
    if operation is None:
        return None
    return modelled(error.code, {shape.error_code: shape for shape in operation.error_shapes})


def _code_and_status(error: InnkeeperError, shape: Shape | None) -> tuple[str, int]:
    if shape is None:
        return error.code, error.status
    return shape.error_code, shape.metadata.get("error", {}).get("httpStatusCode", error.status)
