"""Who makes a request."""

from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum


class CallerKind(StrEnum):
    """How the caller proved who they are."""

    ROOT = "root"  # a long-lived access key of the account: may do everything in it
    ROLE = "role"  # short-lived credentials of a role: may do what the role's policies allow
    BEARER = "bearer"  # a JWT that a resource's own authorizer accepted


@dataclass(frozen=True, slots=True)
class Caller:
    """An authenticated principal.

    `account` is the tenant: a 12-digit AWS account id. `principal` is an ARN, as STS `GetCallerIdentity`
    gives it (`arn:aws:iam::123456789012:root`, `arn:aws:sts::123456789012:assumed-role/NAME/SESSION`), or
    the token's `sub` for a bearer. `region` is that of the credential scope and only names new ARNs.
    """

    account: str
    principal: str
    region: str
    kind: CallerKind = CallerKind.ROOT
    access_key_id: str = ""
    role: str = ""
    user_id: str = ""


@dataclass(frozen=True, slots=True)
class Credential:
    """An access key that may sign requests, and whom it speaks for.

    `session_token` is empty for long-lived keys; when set, the request must carry the same in
    `X-Amz-Security-Token`. `caller.region` is filled in from the request's credential scope.
    """

    access_key_id: str
    secret_access_key: str = field(repr=False)
    caller: Caller
    session_token: str = field(default="", repr=False)
    expires_at: datetime | None = None
