"""Typical AWS calls, with what the service answers: the codec's daily bread."""

from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

_ACCOUNT = "123456789012"
_RUNTIME_ID = "concierge-a1B2c3D4e5"
_ARN = f"arn:aws:bedrock-agentcore:us-west-2:{_ACCOUNT}:runtime/{_RUNTIME_ID}"
_NOW = datetime(2026, 1, 31, 12, 0, 0, tzinfo=UTC)
_SESSION = "session-0123456789abcdef0123456789abcdef"
_RUNTIME = {
    "agentRuntimeArn": _ARN,
    "agentRuntimeId": _RUNTIME_ID,
    "agentRuntimeVersion": "1",
    "workloadIdentityDetails": {"workloadIdentityArn": f"{_ARN}/workload-identity"},
    "createdAt": _NOW,
    "status": "READY",
}
_CONFIGURATION = {
    "agentRuntimeName": "concierge",
    "description": "Answers guests at any hour",
    "agentRuntimeArtifact": {
        "codeConfiguration": {
            "code": {"s3": {"bucket": "innkeeper-code", "prefix": "concierge/code.zip"}},
            "runtime": "PYTHON_3_11",
            "entryPoint": ["main.py"],
        }
    },
    "roleArn": f"arn:aws:iam::{_ACCOUNT}:role/InnkeeperAgentRole",
    "networkConfiguration": {"networkMode": "PUBLIC"},
    "protocolConfiguration": {"serverProtocol": "HTTP"},
    "environmentVariables": {"MODEL_ID": "claude", "LOG_LEVEL": "info"},
    "lifecycleConfiguration": {"idleRuntimeSessionTimeout": 900, "maxLifetime": 28800},
}
_PAYLOAD = [
    {"conversational": {"role": "USER", "content": {"text": "Is breakfast included? " * 8}}},
    {"conversational": {"role": "ASSISTANT", "content": {"text": "It is, from seven to ten. " * 8}}},
]
_CONVERSATION = {"memoryId": "guests-a1B2c3D4e5", "actorId": "alice", "sessionId": _SESSION}
_EVENT = {**_CONVERSATION, "eventId": "0000001738324800000#1a2b3c4d", "eventTimestamp": _NOW}


@dataclass(frozen=True, slots=True)
class Call:
    """What a client sends to an operation of a service, and what it gets, in botocore's own terms."""

    service: str
    operation: str
    parameters: dict[str, Any]
    answer: dict[str, Any]


CALLS = (
    Call("bedrock-agentcore-control", "CreateAgentRuntime", _CONFIGURATION, _RUNTIME),
    Call(
        "bedrock-agentcore-control",
        "GetAgentRuntime",
        {"agentRuntimeId": _RUNTIME_ID},
        {**_CONFIGURATION, **_RUNTIME, "lastUpdatedAt": _NOW},
    ),
    Call(
        "bedrock-agentcore",
        "InvokeAgentRuntime",
        {"agentRuntimeArn": _ARN, "runtimeSessionId": _SESSION, "payload": b'{"prompt": "Hello"}'},
        {
            "runtimeSessionId": _SESSION,
            "contentType": "application/json",
            "statusCode": 200,
            "response": b"{}",
        },
    ),
    Call(
        "bedrock-agentcore",
        "CreateEvent",
        {**_CONVERSATION, "eventTimestamp": _NOW, "payload": _PAYLOAD},
        {"event": {**_EVENT, "payload": _PAYLOAD}},
    ),
    Call(
        "bedrock-agentcore",
        "ListEvents",
        {**_CONVERSATION, "includePayloads": True, "maxResults": 20},
        {"events": [{**_EVENT, "payload": _PAYLOAD}] * 20},
    ),
)
