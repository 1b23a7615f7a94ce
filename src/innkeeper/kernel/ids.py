"""Ids and ARNs (https://docs.aws.amazon.com/IAM/latest/UserGuide/reference-arns.html)."""

import secrets
import string
from dataclasses import dataclass

_ALPHANUMERIC = string.ascii_letters + string.digits


def random_suffix(length: int = 10) -> str:
    """The random tail of a resource id, letters and digits."""
    return "".join(secrets.choice(_ALPHANUMERIC) for _ in range(length))


def resource_id(name: str) -> str:
    """An id such as `my_agent-a1B2c3D4e5`, the form of all AgentCore resources."""
    return f"{name}-{random_suffix()}"


@dataclass(frozen=True, slots=True)
class Arn:
    """`arn:aws:{service}:{region}:{account}:{resource}`."""

    service: str
    region: str
    account: str
    resource: str
    partition: str = "aws"

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"

    @classmethod
    def parse(cls, text: str) -> "Arn":
        """Raises ValueError when `text` is no ARN."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[2] or not parts[5] or "\0" in text:
            raise ValueError(f"not an ARN: {text[:120]!r}")
        return cls(parts[2], parts[3], parts[4], parts[5], parts[1])


def agentcore_arn(region: str, account: str, resource: str) -> str:
    """The ARN of an AgentCore resource such as `runtime/my_agent-a1B2c3D4e5`."""
    return str(Arn("bedrock-agentcore", region, account, resource))
