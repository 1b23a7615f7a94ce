"""A method and a raw path lead to one operation, or to none."""

import pytest

from innkeeper.aws.models import AGENTCORE, service_model
from innkeeper.aws.router import Router

ROUTER = Router([*map(service_model, AGENTCORE), service_model("bedrock-runtime")])


def operation_at(method: str, path: str) -> str | None:
    found = ROUTER.match(method, path, b"")
    return found and found[0].name


@pytest.mark.parametrize(
    "method, path, operation",
    [
        ("PUT", "/runtimes/", "CreateAgentRuntime"),
        ("PUT", "/runtimes", "CreateAgentRuntime"),
        ("POST", "/runtimes/", "ListAgentRuntimes"),
        ("GET", "/runtimes/a/", "GetAgentRuntime"),
        ("GET", "/runtimes/a", "GetAgentRuntime"),
        ("POST", "/memories/create", "CreateMemory"),
        ("POST", "/memories/create/", "CreateMemory"),
        ("POST", "/memories/create/events", "CreateEvent"),
        ("POST", "/runtimes/a/invocations", "InvokeAgentRuntime"),
        ("GET", "/runtimes/a/invocations/.well-known/agent-card.json", "GetAgentCard"),
        ("POST", "/model/anthropic.claude-v1%3A0/converse-stream", "ConverseStream"),
        ("DELETE", "/runtimes/", None),
        ("GET", "/runtimes//", None),
        ("GET", "//runtimes/a/", None),
        ("GET", "/runtimes/a/b/c/d/e", None),
        ("GET", "/", None),
        ("GET", "", None),
    ],
)
def test_a_path_leads_to_its_operation(method: str, path: str, operation: str | None) -> None:
    assert operation_at(method, path) == operation


def test_labels_are_decoded_after_the_path_is_split() -> None:
    found = ROUTER.match("POST", "/memories/m%2F%2e%2e%2Fevents%20%C3%A9+/events", b"")
    assert found is not None
    assert found[0].name == "CreateEvent"
    assert found[1] == {"memoryId": "m/../events é+"}
