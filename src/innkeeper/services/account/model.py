"""Accounts, access keys, roles, policies and the credentials of role sessions."""

import base64
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.ids import Arn

AGENTCORE_SERVICE = "bedrock-agentcore.amazonaws.com"
AGENT_ROLE = "InnkeeperAgentRole"
AGENT_POLICY = "InnkeeperAgentPolicy"
MAX_SESSION_SECONDS = 43_200


@dataclass(frozen=True, slots=True)
class AccessKey:
    """`secret_access_key` is known only where the key was just made, or at the server's start."""

    access_key_id: str
    account: str
    description: str
    active: bool
    created_at: datetime
    secret_access_key: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Role:
    """`trust` is the JSON text as it came; `details` the members only kept (`Description`, `Tags`)."""

    account: str
    name: str
    role_id: str
    path: str
    trust: str
    max_session_seconds: int
    details: Mapping[str, Any]
    created_at: datetime

    @property
    def arn(self) -> str:
        return str(Arn("iam", "", self.account, f"role{self.path}{self.name}"))


@dataclass(frozen=True, slots=True)
class ManagedPolicy:
    """`document` is the JSON text as it came; `attachments` counts the roles that have it."""

    account: str
    name: str
    policy_id: str
    path: str
    document: str
    details: Mapping[str, Any]
    created_at: datetime
    attachments: int = 0

    @property
    def arn(self) -> str:
        return policy_arn(self.account, self.path, self.name)


@dataclass(frozen=True, slots=True)
class RoleSession:
    """Short-lived credentials that were given out; `role` is the role's name."""

    access_key_id: str
    account: str
    role: str
    role_arn: str
    session_name: str
    expires_at: datetime

    @property
    def caller(self) -> Caller:
        resource = f"assumed-role/{self.role}/{self.session_name}"
        return Caller(
            account=self.account,
            principal=str(Arn("sts", "", self.account, resource)),
            region="",
            kind=CallerKind.ROLE,
            access_key_id=self.access_key_id,
            role=self.role_arn,
        )


@dataclass(frozen=True, slots=True)
class RoleCredentials:
    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expires_at: datetime
    caller: Caller


def policy_arn(account: str, path: str, name: str) -> str:
    return str(Arn("iam", "", account, f"policy{path}{name}"))


def role_name(arn: str) -> tuple[str, str]:
    """The account and the name in a role's ARN. Raises ValueError when it is none."""
    parsed = Arn.parse(arn)
    kind, _, path = parsed.resource.partition("/")
    if parsed.service != "iam" or kind != "role" or not path:
        raise ValueError(f"not the ARN of a role: {arn[:120]!r}")
    return parsed.account, path.rpartition("/")[2]


def new_account_id() -> str:
    return str(secrets.randbelow(9 * 10**11) + 10**11)


def new_iam_id(prefix: str) -> str:
    """`AKIA` a long-lived key, `ASIA` a session's, `AROA` a role, `ANPA` a policy; then 16 of base 32."""
    return prefix + base64.b32encode(secrets.token_bytes(10)).decode()


def new_secret() -> str:
    """40 characters, as long as AWS's."""
    return secrets.token_urlsafe(30)


def agent_trust(account: str) -> dict[str, Any]:
    """AgentCore itself and the account's own callers may take the role that agents run under."""
    principal = {"Service": AGENTCORE_SERVICE, "AWS": f"arn:aws:iam::{account}:root"}
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {"Version": "2012-10-17", "Statement": [statement]}


def agent_policy(account: str) -> dict[str, Any]:
    """What an agent needs at run time, and no management: models, memory, tools and tokens."""

    def allow(sid: str, actions: list[str], resources: list[str]) -> dict[str, Any]:
        return {"Sid": sid, "Effect": "Allow", "Action": actions, "Resource": resources}

    def agentcore(*verbs: str) -> list[str]:
        return [f"bedrock-agentcore:{verb}" for verb in verbs]

    def own(*kinds: str, owners: tuple[str, ...] = (account,)) -> list[str]:
        return [f"arn:aws:bedrock-agentcore:*:{owner}:{kind}" for kind in kinds for owner in owners]

    shared = (account, "aws")  # the tools that come with the service belong to `aws`
    statements = [
        allow(
            "Models",
            ["bedrock:InvokeModel*", "bedrock:Converse*", "bedrock:ApplyGuardrail", "bedrock:CountTokens"],
            ["arn:aws:bedrock:*::foundation-model/*", f"arn:aws:bedrock:*:{account}:*"],
        ),
        allow("Memory", agentcore(*_MEMORY_VERBS), own("memory/*")),
        allow(
            "CodeInterpreter",
            agentcore(*(f"{verb}CodeInterpreterSession" for verb in _SESSION_VERBS))
            + agentcore("InvokeCodeInterpreter", "ListCodeInterpreterSessions", "GetCodeInterpreter"),
            own("code-interpreter/*", "code-interpreter-custom/*", owners=shared),
        ),
        allow(
            "Browser",
            agentcore(*(f"{verb}BrowserSession" for verb in _SESSION_VERBS))
            + agentcore("ListBrowserSessions", "UpdateBrowserStream", "InvokeBrowser", "GetBrowser")
            + agentcore("ConnectBrowserAutomationStream", "ConnectBrowserLiveViewStream"),
            own("browser/*", "browser-custom/*", owners=shared),
        ),
        allow(
            "IdentityTokens",
            agentcore("GetWorkloadAccessToken*", "GetResourceOauth2Token", "GetResourceApiKey")
            + agentcore("CompleteResourceTokenAuth"),
            own("token-vault/*", "workload-identity-directory/*"),
        ),
    ]
    return {"Version": "2012-10-17", "Statement": statements}


_SESSION_VERBS = ("Start", "Get", "Stop")
_MEMORY_VERBS = (
    "CreateEvent",
    "GetEvent",
    "DeleteEvent",
    "ListEvents",
    "ListActors",
    "ListSessions",
    "GetMemory",
    "ListMemoryRecords",
    "RetrieveMemoryRecords",
    "GetMemoryRecord",
    "DeleteMemoryRecord",
    "Batch*MemoryRecords",
    "IngestData",
)
