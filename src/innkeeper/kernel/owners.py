"""Which service a resource's ARN belongs to, for what is kept beside a resource: its tags and its policy."""

from collections.abc import Mapping
from typing import Protocol

from innkeeper.kernel.errors import FieldError, InvalidRequest, NotFound
from innkeeper.kernel.ids import Arn


class ResourceOwner(Protocol):
    """The service that keeps resources of one type."""

    async def owns(self, account: str, arn: Arn) -> bool:
        """Whether `arn` names a resource of this account that exists."""
        ...


Owners = Mapping[str, ResourceOwner]
"""By resource type: `runtime`, `runtime-endpoint`, `memory`, ..."""


def resource_type(arn: Arn) -> str:
    """The last type in the path: `runtime-endpoint` of `runtime/ID/runtime-endpoint/NAME`."""
    parts = arn.resource.split("/")
    return parts[-2] if len(parts) > 1 else parts[0]


async def require_owned(owners: Owners, account: str, resource_arn: str) -> None:
    """Raises InvalidRequest when it is no ARN; NotFound when the account has no such resource."""
    try:
        arn = Arn.parse(resource_arn)
    except ValueError as error:
        message = "resourceArn must be the ARN of an AgentCore resource"
        raise InvalidRequest(message, (FieldError("resourceArn", message),)) from error
    owner = owners.get(resource_type(arn))
    own = arn.service == "bedrock-agentcore" and arn.account == account
    if owner is None or not own or not await owner.owns(account, arn):
        raise NotFound(f"Resource {resource_arn} was not found")
