"""Failures that a caller may see, each with the AWS exception name and HTTP status it travels under.

Services raise these; the wire turns them into the error shape of the operation's own model. The message is
shown to the caller: it says what was wrong and what is allowed, and never holds a secret or another
tenant's id.
"""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class FieldError:
    """One member of a request that broke a rule: `name` is its path, `message` the rule."""

    name: str
    message: str


class InnkeeperError(Exception):
    """Base of all failures that may be shown to a caller."""

    code = "InternalServerException"
    status = 500

    def __init__(self, message: str) -> None:
        super().__init__(message)
        self.message = message


class InvalidRequest(InnkeeperError):
    """The request breaks a modelled constraint or a rule of the service."""

    code = "ValidationException"
    status = 400

    def __init__(
        self, message: str, fields: tuple[FieldError, ...] = (), reason: str = "FieldValidationFailed"
    ) -> None:
        super().__init__(message)
        self.fields = fields
        self.reason = reason


class Unauthorized(InnkeeperError):
    """No usable credentials came with the request; `challenge` is the `WWW-Authenticate` value (RFC 6750)."""

    code = "UnauthorizedException"
    status = 401

    def __init__(self, message: str, challenge: str = "Bearer") -> None:
        super().__init__(message)
        self.challenge = challenge


class QuotaExceeded(InnkeeperError):
    code = "ServiceQuotaExceededException"
    status = 402


class AccessDenied(InnkeeperError):
    """Known caller, but not allowed. `code` may be a SigV4 failure such as `InvalidSignatureException`."""

    code = "AccessDeniedException"
    status = 403

    def __init__(self, message: str, code: str = "AccessDeniedException") -> None:
        super().__init__(message)
        self.code = code


class NotFound(InnkeeperError):
    """Unknown, or another tenant's: the two look the same."""

    code = "ResourceNotFoundException"
    status = 404


class Conflict(InnkeeperError):
    code = "ConflictException"
    status = 409


class RetryableConflict(InnkeeperError):
    """A transition is under way; the SDKs retry this by themselves."""

    code = "RetryableConflictException"
    status = 409


class PayloadTooLarge(InnkeeperError):
    code = "RequestEntityTooLargeException"
    status = 413


class AgentFailed(InnkeeperError):
    """The agent itself failed. 424 is not retried by the SDKs, so an agent runs exactly once."""

    code = "RuntimeClientError"
    status = 424


class Throttled(InnkeeperError):
    code = "ThrottlingException"
    status = 429


class NotImplementedYet(InnkeeperError):
    code = "NotImplementedException"
    status = 501


class BadGateway(InnkeeperError):
    """What should have answered does not listen, or answered nonsense."""

    code = "BadGatewayException"
    status = 502


class Unavailable(InnkeeperError):
    """Something that this request needs is not set up or not reachable; the message says what to set."""

    code = "ServiceUnavailableException"
    status = 503


class GatewayTimeout(InnkeeperError):
    """What should have answered did not begin to in time."""

    code = "GatewayTimeoutException"
    status = 504
