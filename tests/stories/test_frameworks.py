"""Agents of the well-known frameworks, deployed from `examples` as they are, answer."""

import asyncio
import json
from collections.abc import Generator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from mcp import Client
from mcp.client.streamable_http import streamable_http_client

from tests.engines.models.scripted.openai_server import ScriptedOpenAi
from tests.engines.models.scripted.script import Says, ToolCall
from tests.running import Agents, RunningServer, new_session
from tests.stories.conftest import IMPORT_SECONDS, terminal_for
from tests.stories.terminal import ROOT, Terminal

pytestmark = [pytest.mark.slow, pytest.mark.timeout(300)]


def deploy(terminal: Terminal, example: str, *options: str) -> str:
    """The agent's ARN."""
    made = terminal.json("innkeeper", "deploy", str(ROOT / "examples" / example), *options, "--json")
    assert made["agentRuntimeName"] == example
    return str(made["agentRuntimeArn"])


def invoke(terminal: Terminal, name: str, prompt: str, session: str) -> Any:
    words = ("innkeeper", "invoke", name, prompt, "--session", session, "--json")
    return terminal.json(*words)["data"]


async def test_a_strands_agent_asks_the_configured_model_and_uses_its_tool(
    data_dir: Path, tmp_path: Path
) -> None:
    call = ToolCall("word_count", '{"text": "a room with a view"}')
    script = Says(tools=(call,), stop="tool_use"), Says("It has five words.")
    async with ScriptedOpenAi(*script) as model:
        provider = {"kind": "openai", "base_url": model.url, "api_key": "a-key"}
        settings = {
            "models": json.dumps({"scripted": provider}),
            "model_ids": json.dumps({"*": "scripted/house-model"}),
            "session_init_timeout_seconds": IMPORT_SECONDS,
        }
        server = await asyncio.to_thread(RunningServer(data_dir, settings).start)
        try:
            terminal = terminal_for(server, tmp_path)
            await asyncio.to_thread(deploy, terminal, "strands_agent")
            asked = "How many words has 'a room with a view'?"
            session = new_session()
            answer = await asyncio.to_thread(invoke, terminal, "strands_agent", asked, session)
            used = await asyncio.to_thread(server.native, "GET", f"/-/v1/models/usage?session={session}")
        finally:
            await asyncio.to_thread(server.stop)
    assert answer == {"answer": "It has five words."}
    first, second = (request.body for request in model.requests)
    assert first["model"] == "house-model"
    assert [tool["function"]["name"] for tool in first["tools"]] == ["word_count"]
    assert [message["content"] for message in second["messages"] if message["role"] == "tool"] == ["5"]
    assert [(one["input_tokens"], one["output_tokens"]) for one in used["usage"]] == [(20, 10)]


def test_a_langgraph_agent_keeps_its_history_in_the_session(terminal: Terminal) -> None:
    deploy(terminal, "langgraph_agent")
    session = new_session()
    assert invoke(terminal, "langgraph_agent", "what is 20 + 22?", session) == {
        "answer": "The sum is 42",
        "history": ["what is 20 + 22?"],
    }
    assert invoke(terminal, "langgraph_agent", "thanks", session) == {
        "answer": "You said: thanks",
        "history": ["what is 20 + 22?", "thanks"],
    }


async def test_an_mcp_client_calls_the_tools_of_a_fastmcp_server(
    server: RunningServer, terminal: Terminal
) -> None:
    arn = await asyncio.to_thread(deploy, terminal, "mcp_server", "--protocol", "MCP")
    url = f"{server.url}/runtimes/{quote(arn, safe='')}/invocations?qualifier=DEFAULT"
    async with (
        httpx2.AsyncClient(auth=Signer(server), timeout=60) as http,
        Client(streamable_http_client(url, http_client=http)) as client,
    ):
        tools = await client.list_tools()
        result = await client.call_tool("multiply", {"a": 6, "b": 7})
    assert [tool.name for tool in tools.tools] == ["add", "multiply"]
    assert result.structured_content == {"result": 42}


def test_a_fastmcp_server_answers_json_rpc_through_boto3(terminal: Terminal, agents: Agents) -> None:
    arn = deploy(terminal, "mcp_server", "--protocol", "MCP")
    call = {"name": "add", "arguments": {"a": 40, "b": 2}}
    answer = json_rpc(agents, arn, "tools/call", call)
    assert answer["result"]["structuredContent"] == {"result": 42}
    assert json_rpc(agents, arn, "no/such", {})["error"]["code"] == -32602


def test_an_a2a_server_shows_its_card_and_answers_a_message(terminal: Terminal, agents: Agents) -> None:
    arn = deploy(terminal, "a2a_agent", "--protocol", "A2A")
    session = new_session()
    found = agents.data.get_agent_card(agentRuntimeArn=arn, runtimeSessionId=session)
    card = found["agentCard"]
    assert (card["name"], [skill["id"] for skill in card["skills"]]) == ("Reverser", ["reverse"])
    # The address in the card is the one at which callers reach the agent.
    assert card["supportedInterfaces"][0]["url"].endswith(f"/runtimes/{quote(arn, safe='')}/invocations/")
    message = {"role": "user", "messageId": "1", "parts": [{"kind": "text", "text": "one two three"}]}
    answer = json_rpc(agents, arn, "message/send", {"message": message})
    assert answer["result"]["parts"] == [{"kind": "text", "text": "three two one"}]


def json_rpc(agents: Agents, arn: str, method: str, parameters: dict[str, Any]) -> Any:
    payload = {"jsonrpc": "2.0", "id": 1, "method": method, "params": parameters}
    answer = agents.data.invoke_agent_runtime(
        agentRuntimeArn=arn, runtimeSessionId=new_session(), payload=json.dumps(payload).encode()
    )
    text = answer["response"].read().decode()
    if answer["contentType"].startswith("text/event-stream"):
        text = next(line for line in text.splitlines() if line.startswith("data: ")).removeprefix("data: ")
    return json.loads(text)


class Signer(httpx2.Auth):
    """Signs the requests of an HTTP client as an AWS client does."""

    def __init__(self, server: RunningServer) -> None:
        self._signer = SigV4Auth(Credentials(*server.keys), "bedrock-agentcore", "us-west-2")

    def auth_flow(self, request: httpx2.Request) -> Generator[httpx2.Request, httpx2.Response, None]:
        unsigned = {name: request.headers[name] for name in ("content-type",) if name in request.headers}
        signed = AWSRequest(request.method, str(request.url), unsigned, request.content)
        self._signer.add_auth(signed)
        request.headers.update(dict(signed.headers))
        yield request
