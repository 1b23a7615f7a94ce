"""Secrets, their versions and values, and the rules for them.

https://docs.aws.amazon.com/secretsmanager/latest/userguide/whats-in-a-secret.html
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import FieldError, InvalidRequest, QuotaExceeded
from innkeeper.kernel.ids import Arn, random_suffix
from innkeeper.kernel.text import storable

CURRENT, PREVIOUS = "AWSCURRENT", "AWSPREVIOUS"
VALUE_MAX_BYTES = 65_536
LABELS_MAX = 20
RECOVERY_DAYS = range(7, 31)
SERVICE = "secretsmanager"

_NAME = re.compile(r"[A-Za-z0-9/_+=.@!-]{1,512}")
_SUFFIX_LENGTH = 6
_UNSUPPORTED = {
    "AddReplicaRegions": "this server is one region",
    "CrossAccountPrimaryARN": "secrets have no replicas here",
    "RotationToken": "secrets are not rotated here",
    "Type": "secrets of partners are not kept here",
}


@dataclass(frozen=True, slots=True)
class Secret:
    """`accessed_at` is a day, as midnight UTC; `delete_at` is set while it is scheduled for deletion."""

    account: str
    name: str
    arn: str
    description: str
    kms_key_id: str | None
    tags: Mapping[str, str]
    created_at: datetime
    changed_at: datetime
    accessed_at: datetime | None = None
    delete_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Version:
    """What is told of a value without opening it."""

    id: str
    labels: tuple[str, ...]
    created_at: datetime
    accessed_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Value:
    """Text is kept as UTF-8."""

    data: bytes = field(repr=False)
    is_text: bool

    @classmethod
    def of(cls, parameters: Document) -> "Value | None":
        """From `SecretString` or `SecretBinary`; None without either. Raises InvalidRequest."""
        text: str | None = parameters.get("SecretString")
        data: bytes | None = parameters.get("SecretBinary")
        if text is not None and data is not None:
            raise invalid("SecretString", "a version has either SecretString or SecretBinary, not both")
        if text is not None:
            value = cls(_utf8(text), True)
        elif data is not None:
            value = cls(data, False)
        else:
            return None
        if len(value.data) > VALUE_MAX_BYTES:
            member = "SecretString" if value.is_text else "SecretBinary"
            raise invalid(member, f"a value has at most {VALUE_MAX_BYTES} bytes")
        return value

    @property
    def members(self) -> Document:
        if self.is_text:
            return {"SecretString": self.data.decode()}
        return {"SecretBinary": self.data}


def new_arn(region: str, account: str, name: str) -> str:
    """Another one each time: who may read a secret that was deleted may not read the next of its name."""
    return str(Arn(SERVICE, region, account, f"secret:{name}-{random_suffix(_SUFFIX_LENGTH)}"))


def name_in(secret_id: str) -> str:
    """The secret's name, where the id is that, or an ARN without the random characters."""
    try:
        return Arn.parse(secret_id).resource.removeprefix("secret:")
    except ValueError:
        return secret_id


def is_named(secret: Secret, secret_id: str) -> bool:
    """Whether it is what a name, an ARN, or an ARN without the random characters stands for."""
    return secret_id in (secret.name, secret.arn, secret.arn[: -_SUFFIX_LENGTH - 1])


def check_name(name: str) -> None:
    """Raises InvalidRequest."""
    if not _NAME.fullmatch(name):
        raise invalid("Name", "a name has 1 to 512 letters, digits and characters of /_+=.@-")


def check_supported(parameters: Document) -> None:
    """Raises InvalidRequest for what no secret can have here."""
    for member, reason in _UNSUPPORTED.items():
        if parameters.get(member):
            raise invalid(member, f"{reason}; leave it out")


def check_text(member: str, text: str) -> str:
    """What a database can hold. Raises InvalidRequest."""
    if not storable(text):
        raise invalid(member, "a NUL character is not allowed")
    return text


def labelled(
    labels: Mapping[str, frozenset[str]], version_id: str, wanted: Iterable[str]
) -> dict[str, frozenset[str]]:
    """The labels of every version once it has those that are wanted beside its own. A label leaves the
    version that had it; AWSPREVIOUS goes to the one that AWSCURRENT leaves. Raises QuotaExceeded."""
    moving = frozenset(wanted)
    before = next((id_ for id_, had in labels.items() if CURRENT in had and id_ != version_id), None)
    after = {id_: had - moving for id_, had in labels.items()}
    after[version_id] = labels.get(version_id, frozenset()) | moving
    if CURRENT in moving and before is not None:
        after = {id_: had - {PREVIOUS} for id_, had in after.items()}
        after[before] |= {PREVIOUS}
    if any(len(had) > LABELS_MAX for had in after.values()):
        raise QuotaExceeded(f"A version has at most {LABELS_MAX} staging labels")
    return after


def invalid(member: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"Invalid {member}: {rule}.", (FieldError(member, rule),))


def _utf8(text: str) -> bytes:
    try:
        return text.encode()
    except UnicodeEncodeError:
        raise invalid("SecretString", "it is no Unicode text") from None
