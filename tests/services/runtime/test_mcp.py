"""MCP servers as agents, called by a real MCP client that knows no session but that of MCP."""

from pathlib import Path
from urllib.parse import quote

import pytest
from mcp import Client
from mcp.client.streamable_http import streamable_http_client
from mcp.shared._httpx_utils import create_mcp_http_client

from tests.oidc import Issuer
from tests.running import Agents, RunningServer

SOURCE = Path(__file__).parents[2] / "agents" / "mcp_server.py"


@pytest.mark.parametrize("stateless", ["", "yes"])
async def test_an_mcp_client_stays_in_one_sandbox(
    server: RunningServer, agents: Agents, stateless: str
) -> None:
    async with Issuer() as issuer:
        authorizer = {"discoveryUrl": issuer.discovery_url, "allowedAudience": ["hotel"]}
        runtime = agents.deploy(
            {"main.py": SOURCE.read_text(), "requirements.txt": "mcp<2\n"},
            protocolConfiguration={"serverProtocol": "MCP"},
            authorizerConfiguration={"customJWTAuthorizer": authorizer},
            environmentVariables={"STATELESS": stateless},
        )
        url = f"{server.url}/runtimes/{quote(runtime['agentRuntimeArn'], safe='')}/invocations"
        headers = {"Authorization": f"Bearer {issuer.token(aud='hotel')}"}
        async with create_mcp_http_client(headers=headers) as http:
            transport = streamable_http_client(url, http_client=http)
            async with Client(transport) as client:
                counts = [await client.call_tool("add_one", {}) for _ in range(3)]
        assert [str(one.content[0].text) for one in counts] == ["1", "2", "3"]  # type: ignore[union-attr]
