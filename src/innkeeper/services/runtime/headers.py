"""The headers that an agent gets with a request."""

import secrets
from collections.abc import Mapping

from innkeeper.kernel.call import Document

SESSION = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"
REQUEST = "X-Amzn-Bedrock-AgentCore-Runtime-Request-Id"
_CUSTOM_PREFIX = "x-amzn-bedrock-agentcore-runtime-custom-"
_TOKEN_HEADERS = ("WorkloadAccessToken", "X-Amz-Bedrock-AgentCore-Identity-WAT")
_OF_PARAMETERS = {
    "contentType": "Content-Type",
    "accept": "Accept",
    "mcpSessionId": "Mcp-Session-Id",
    "mcpProtocolVersion": "Mcp-Protocol-Version",
    "mcpMethod": "Mcp-Method",
    "mcpName": "Mcp-Name",
    "traceId": "X-Amzn-Trace-Id",
    "traceParent": "traceparent",
    "traceState": "tracestate",
    "baggage": "baggage",
}
# Hop-by-hop, content, caching, connection, cookie and forwarding headers are the platform's business, even
# where an allow-list names them (developer guide, "Pass custom headers").
_RESTRICTED = frozenset(
    """
    accept accept-charset accept-encoding accept-language accept-ranges age allow cache-control clear-
    site-data connection content-disposition content-encoding content-language content-length content-
    location content-range content-security-policy content-type cookie date etag expect expires
    forwarded from host if-match if-modified-since if-none-match if-range if-unmodified-since keep-alive
    last-modified location max-forwards origin pragma proxy-authenticate proxy-authorization proxy-
    connection range referer refresh retry-after sec-websocket-accept sec-websocket-extensions sec-
    websocket-key sec-websocket-protocol sec-websocket-version server set-cookie strict-transport-
    security te trailer transfer-encoding upgrade user-agent vary via warning www-authenticate
    x-forwarded-for x-forwarded-host x-forwarded-proto x-real-ip
    """.split()  # noqa: SIM905
)


def of_request(parameters: Document, request: Mapping[str, str], allowlist: frozenset[str]) -> dict[str, str]:
    """Those that the caller gave: of the contract, the trace context, custom ones, and the allowed ones."""
    headers = {}
    for member, header in _OF_PARAMETERS.items():
        if value := parameters.get(member):
            headers[header] = value
    headers.setdefault("traceparent", f"00-{secrets.token_hex(16)}-{secrets.token_hex(8)}-01")
    headers.update({name: value for name, value in request.items() if _forwarded(name, allowlist)})
    return headers


def of_workload(token: str) -> dict[str, str]:
    """The workload access token, under its old name and its new one."""
    return dict.fromkeys(_TOKEN_HEADERS, token)


def _forwarded(name: str, allowlist: frozenset[str]) -> bool:
    if name.startswith(_CUSTOM_PREFIX):
        return True
    return name in allowlist and name not in _RESTRICTED and not name.startswith(("x-amz-", "x-amzn-"))
