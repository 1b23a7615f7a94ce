"""Secrets Manager's own failures
(https://docs.aws.amazon.com/secretsmanager/latest/apireference/CommonErrors.html)."""

from innkeeper.kernel.errors import Conflict, InvalidRequest, NotFound


class SecretNotFound(NotFound):
    def __init__(self, what: str = "the specified secret") -> None:
        super().__init__(f"Secrets Manager can't find {what}.")


class SecretExists(Conflict):
    """The name or the version's id is taken."""

    code = "ResourceExistsException"


class InvalidState(InvalidRequest):
    """Not now: the secret is scheduled for deletion, or what the request names does not go together."""

    code = "InvalidRequestException"


class InvalidNextToken(InvalidRequest):
    code = "InvalidNextTokenException"
