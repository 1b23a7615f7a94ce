"""IAM's and STS's own failures (https://docs.aws.amazon.com/IAM/latest/APIReference/CommonErrors.html)."""

from innkeeper.kernel.errors import InnkeeperError


class NoSuchEntity(InnkeeperError):
    code = "NoSuchEntity"
    status = 404


class EntityAlreadyExists(InnkeeperError):
    code = "EntityAlreadyExists"
    status = 409


class DeleteConflict(InnkeeperError):
    """Something still hangs on what was to be deleted."""

    code = "DeleteConflict"
    status = 409


class MalformedPolicyDocument(InnkeeperError):
    code = "MalformedPolicyDocument"
    status = 400


class InvalidInput(InnkeeperError):
    code = "InvalidInput"
    status = 400
