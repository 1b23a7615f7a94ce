"""Who makes a request."""

from dataclasses import dataclass
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
