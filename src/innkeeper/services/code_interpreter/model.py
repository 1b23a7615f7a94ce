"""Code interpreters, their sessions, and the rules for both."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import FieldError, InvalidRequest

SYSTEM_INTERPRETER = "aws.codeinterpreter.v1"
RESOURCE_TYPE = "code-interpreter-custom"
DEFAULT_TIMEOUT_SECONDS = 900
WORKING_FOLDER = "/home/agent"


class SessionStatus(StrEnum):
    READY = "READY"
    TERMINATED = "TERMINATED"


@dataclass(frozen=True, slots=True)
class CodeInterpreter:
    """`configuration` holds the members of the create request as they came, and the `limits` of its tags."""

    account: str
    id: str
    name: str
    arn: str
    configuration: Document
    created_at: datetime

    @property
    def has_network(self) -> bool:
        mode: str = self.configuration["networkConfiguration"]["networkMode"]
        return mode == "PUBLIC"

    @property
    def limits(self) -> Mapping[str, float]:
        """Those of its sessions, where it has some of its own."""
        own: Mapping[str, float] = self.configuration.get("limits", {})
        return own

    @property
    def certificates(self) -> Sequence[Document]:
        """Where the authorities lie that its sessions trust."""
        own: Sequence[Document] = self.configuration.get("certificates", ())
        return own

    @property
    def role(self) -> str | None:
        """The ARN of its execution role."""
        return self.configuration.get("executionRoleArn")


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """CPU in seconds and memory in MiB are known once the session has ended."""

    id: str
    account: str
    interpreter: str
    name: str | None
    status: SessionStatus
    timeout_seconds: int
    host: str
    created_at: datetime
    updated_at: datetime
    end_reason: str | None = None
    cpu_seconds: float = 0.0
    memory_peak_mib: float = 0.0


def check_configuration(configuration: Document) -> None:
    """Rules that the wire's model cannot say. Raises InvalidRequest naming the member."""
    if configuration["networkConfiguration"]["networkMode"] == "VPC":
        raise invalid("networkConfiguration.networkMode", "VPC is not supported; use SANDBOX or PUBLIC")
    check_extras(configuration)


def check_extras(parameters: Document) -> None:
    """Raises InvalidRequest for what neither an interpreter nor a session can have here."""
    if parameters.get("filesystemConfigurations"):
        source = "they are access points of Amazon S3 Files or EFS"
        raise invalid("filesystemConfigurations", f"{source}, which this server does not have; leave it out")


def invalid(member: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"Value at '{member}' is not allowed: {rule}", (FieldError(member, rule),))
