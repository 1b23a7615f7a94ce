"""Agent runtimes, their versions and endpoints, and the rules of their life."""

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import FieldError, InvalidRequest

DEFAULT_ENDPOINT = "DEFAULT"
DEFAULT_IDLE_SECONDS = 900
DEFAULT_LIFETIME_SECONDS = 28_800
ENDPOINTS_PER_RUNTIME = 10
SESSION_ID_MIN, SESSION_ID_MAX = 33, 256
_SNAPSHOT_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,62}")


class Status(StrEnum):
    """States of a runtime and of an endpoint, as the model's enumeration spells them."""

    CREATING = "CREATING"
    CREATE_FAILED = "CREATE_FAILED"
    UPDATING = "UPDATING"
    UPDATE_FAILED = "UPDATE_FAILED"
    READY = "READY"
    DELETING = "DELETING"

    @property
    def settled(self) -> bool:
        return self not in (Status.CREATING, Status.UPDATING, Status.DELETING)

    @property
    def failed(self) -> "Status":
        """What a transition becomes when it fails."""
        return Status.CREATE_FAILED if self is Status.CREATING else Status.UPDATE_FAILED


@dataclass(frozen=True, slots=True)
class AgentRuntime:
    account: str
    id: str
    name: str
    arn: str
    latest_version: int
    status: Status
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class RuntimeVersion:
    """An immutable version. `configuration` holds the members of the create or update request as they came,
    but the environment variables, which are `environment`, sealed. `build` is the digest of its prepared
    code, once there is one."""

    account: str
    runtime_id: str
    number: int
    configuration: Document
    status: Status
    created_at: datetime
    environment: bytes | None = None
    build: str | None = None
    failure_reason: str | None = None

    @property
    def lifecycle(self) -> "Lifecycle":
        return Lifecycle.of(self.configuration.get("lifecycleConfiguration") or {})

    @property
    def contract(self) -> "Contract":
        return Contract.of(self.configuration.get("protocolConfiguration") or {})

    @property
    def authorizer(self) -> Document | None:
        """The `customJWTAuthorizer` document; None means SigV4."""
        configuration: Document = self.configuration.get("authorizerConfiguration") or {}
        return configuration.get("customJWTAuthorizer")

    @property
    def header_allowlist(self) -> frozenset[str]:
        configuration = self.configuration.get("requestHeaderConfiguration") or {}
        return frozenset(name.lower() for name in configuration.get("requestHeaderAllowlist") or ())

    @property
    def storage_mounts(self) -> tuple[str, ...]:
        """Mount paths of the session storage."""
        return tuple(
            entry["sessionStorage"]["mountPath"].rstrip("/")
            for entry in self.configuration.get("filesystemConfigurations") or ()
            if "sessionStorage" in entry
        )


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A name under which a version is called. `DEFAULT` follows the latest version; others are pinned."""

    account: str
    runtime_id: str
    name: str
    id: str
    arn: str
    runtime_arn: str
    live_version: int | None
    target_version: int
    status: Status
    created_at: datetime
    updated_at: datetime
    description: str | None = None
    failure_reason: str | None = None


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """When a session ends: after `idle_seconds` without work, and `max_seconds` after its start."""

    idle_seconds: int
    max_seconds: int

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Lifecycle":
        """Fill in the defaults (900 and 28,800 s). Raises InvalidRequest when they contradict each other."""
        longest = document.get("maxLifetime", DEFAULT_LIFETIME_SECONDS)
        idle = document.get("idleRuntimeSessionTimeout", min(DEFAULT_IDLE_SECONDS, longest))
        if longest > DEFAULT_LIFETIME_SECONDS:
            raise _invalid(
                "lifecycleConfiguration.maxLifetime", f"must be at most {DEFAULT_LIFETIME_SECONDS}"
            )
        if idle > longest:
            raise _invalid(
                "lifecycleConfiguration.idleRuntimeSessionTimeout",
                f"must not be greater than maxLifetime ({longest})",
            )
        return cls(idle, longest)

    @property
    def document(self) -> Document:
        return {"idleRuntimeSessionTimeout": self.idle_seconds, "maxLifetime": self.max_seconds}


@dataclass(frozen=True, slots=True)
class Contract:
    """Where an agent listens, by its protocol (the runtime service contract of AgentCore)."""

    protocol: str
    port: int
    path: str

    @classmethod
    def of(cls, document: Mapping[str, Any]) -> "Contract":
        protocol = document.get("serverProtocol", "HTTP")
        port, path = _CONTRACTS[protocol]
        return cls(protocol, document.get("port", port), document.get("path", path))

    @property
    def has_ping(self) -> bool:
        """Whether the contract obliges the agent to answer `GET /ping`."""
        return self.protocol in ("HTTP", "AGUI")

    @property
    def passes_errors(self) -> bool:
        """JSON-RPC protocols say more with a 4xx than we could: their answers pass as they are."""
        return self.protocol in ("MCP", "A2A")


_CONTRACTS = {
    "HTTP": (8080, "/invocations"),
    "AGUI": (8080, "/invocations"),
    "MCP": (8000, "/mcp"),
    "A2A": (9000, "/"),
}


class SessionStatus(StrEnum):
    STARTING = "STARTING"
    READY = "READY"
    PAUSED = "PAUSED"
    HIBERNATED = "HIBERNATED"
    STOPPING = "STOPPING"
    TERMINATED = "TERMINATED"

    @property
    def settled(self) -> bool:
        """There is a sandbox, and no transition is under way."""
        return self in (SessionStatus.READY, SessionStatus.PAUSED)


@dataclass(frozen=True, slots=True)
class SessionKey:
    """What makes a session one: the same id under another endpoint is another session."""

    account: str
    runtime_id: str
    endpoint: str
    session_id: str

    @property
    def file_name(self) -> str:
        """For files and folders of the session: its id may hold any character."""
        return hashlib.sha256(self.session_id.encode()).hexdigest()


@dataclass(frozen=True, slots=True)
class SessionRecord:
    """One life of a session, from the start of its sandbox to its end. CPU in seconds, memory in MiB."""

    id: str
    key: SessionKey
    version: int
    host: str
    status: SessionStatus
    started_at: datetime
    last_used_at: datetime
    ended_at: datetime | None = None
    end_reason: str | None = None
    cpu_seconds: float = 0.0
    memory_peak_mib: float = 0.0


@dataclass(frozen=True, slots=True)
class SessionImage:
    """What a `life` of a session goes on from: the image `id` on its host's disk. `agent` is the number of
    the agent's process in it, `access_key_id` names the credentials which that process has; they are sealed
    in `credentials`. `storage` is the copy that is to be put in the place of the session's storage, if it has
    not been yet."""

    account: str
    life: str
    id: str
    size_bytes: int
    agent: int
    access_key_id: str
    ends_at: datetime
    mcp_session: str | None = None
    storage: str | None = None
    credentials: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class SessionSnapshot:
    """A durable copy of a session as it was at one time, which others of the same runtime go on from. `image`
    is of its memory, `storage` a copy of its session storage; both are on its host's disk."""

    account: str
    runtime_id: str
    id: str
    name: str | None
    endpoint: str
    session_id: str
    version: int
    size_bytes: int
    image: str
    agent: int
    access_key_id: str
    created_at: datetime
    mcp_session: str | None = None
    storage: str | None = None
    credentials: bytes | None = field(default=None, repr=False)


def check_session_id(session_id: str) -> None:
    """Raises InvalidRequest; the bounds are those of the wire's `runtimeSessionId`."""
    if not SESSION_ID_MIN <= len(session_id) <= SESSION_ID_MAX:
        raise _invalid("sessionId", f"must have {SESSION_ID_MIN} to {SESSION_ID_MAX} characters")


def check_snapshot_name(name: str) -> None:
    """Raises InvalidRequest."""
    if not _SNAPSHOT_NAME.fullmatch(name):
        raise _invalid(
            "name", "must be 1 to 63 lowercase letters, digits, ., _ and -, and begin with no mark"
        )


def check_configuration(configuration: Document) -> None:
    """Rules that the wire's model cannot say. Raises InvalidRequest naming the member."""
    Lifecycle.of(configuration.get("lifecycleConfiguration") or {})
    if "codeConfiguration" not in configuration["agentRuntimeArtifact"]:
        raise _invalid(
            "agentRuntimeArtifact", "container images are not supported yet; give a codeConfiguration"
        )
    if configuration.get("capacityProviderConfiguration"):
        raise _invalid("capacityProviderConfiguration", "capacity providers are not supported")
    if configuration.get("hooksConfiguration"):
        raise _invalid("hooksConfiguration", "life-cycle hooks are not supported yet")
    network = configuration.get("networkConfiguration") or {"networkMode": "PUBLIC"}
    if network["networkMode"] != "PUBLIC":
        raise _invalid("networkConfiguration.networkMode", "VPC is not supported; use PUBLIC")
    mounts = [next(iter(entry.items())) for entry in configuration.get("filesystemConfigurations") or ()]
    for kind, _ in mounts:
        if kind != "sessionStorage":
            raise _invalid("filesystemConfigurations", f"{kind} is not supported; use sessionStorage")
    paths = [entry["mountPath"].rstrip("/") for _, entry in mounts]
    if len(set(paths)) < len(paths):
        raise _invalid("filesystemConfigurations", "each mountPath must be different")
    if any(path in ("/mnt/.", "/mnt/..") for path in paths):
        raise _invalid("filesystemConfigurations", "mountPath must name a folder below /mnt")


def _invalid(member: str, rule: str) -> InvalidRequest:
    return InvalidRequest(f"Value at '{member}' is not allowed: {rule}", (FieldError(member, rule),))
