"""Calling an agent: its answer passes through as it comes, and its failures are told apart from ours."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import ExitStack

import aiohttp

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.errors import AgentFailed, RetryableConflict
from innkeeper.services.runtime import headers
from innkeeper.services.runtime.access import Access
from innkeeper.services.runtime.agent_client import AgentUnreachable
from innkeeper.services.runtime.directory import Target
from innkeeper.services.runtime.model import SessionKey
from innkeeper.services.runtime.provisioning import log_hint
from innkeeper.services.runtime.session import Session
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.workload_tokens import WorkloadTokens

AGENT_CARD_PATH = "/.well-known/agent-card.json"
_AGENT_CARD_MAX_BYTES = 1 << 20
_ACCEPT = {"MCP": "application/json, text/event-stream"}


class Invocations:
    def __init__(
        self,
        access: Access,
        sessions: Sessions,
        tokens: WorkloadTokens,
        request_timeout_seconds: float,
        stream_timeout_seconds: float,
    ) -> None:
        self._access = access
        self._sessions = sessions
        self._tokens = tokens
        self._request_timeout_seconds = request_timeout_seconds
        self._stream_timeout_seconds = stream_timeout_seconds

    async def open(self, caller: Caller, parameters: Document) -> tuple[Target, Session]:
        """The session that the parameters name, started when it is not there."""
        target = await self._access.target(caller, parameters)
        key = session_key(target, parameters["runtimeSessionId"])
        return target, await self._sessions.acquire(target.runtime, target.version, key)

    def headers(self, call: Call, target: Target, parameters: Document) -> dict[str, str]:
        """What the agent gets with the request, the workload access token included."""
        user = call.caller.user_id or parameters.get("runtimeUserId")
        sent = headers.of_request(parameters, call.headers, target.version.header_allowlist, call.request_id)
        if user or call.caller.kind is CallerKind.BEARER:
            token = self._tokens.issue(target.runtime.account, target.runtime.id, user or None)
            sent.update(headers.of_workload(token))
        return sent

    async def invoke(self, call: Call, parameters: Document) -> Document:
        """`InvokeAgentRuntime`: `response` is an iterator over the bytes of the agent's answer."""
        target, session = await self.open(call.caller, parameters)
        contract = session.version.contract
        sent = self.headers(call, target, parameters)
        sent.setdefault("Content-Type", "application/json")
        sent.setdefault("Accept", _ACCEPT.get(contract.protocol, "application/json, text/event-stream"))
        with ExitStack() as stack:
            stack.enter_context(session.use())
            answer = await self._ask(session, "POST", contract.path, sent, parameters["payload"])
            if answer.status >= 400 and not contract.passes_errors:
                answer.close()
                raise AgentFailed(
                    f"Received error ({answer.status}) from runtime. Its log may say why: {log_hint(session)}"
                )
            return {
                "runtimeSessionId": session.key.session_id,
                "contentType": answer.headers.get("Content-Type", "application/octet-stream"),
                "statusCode": answer.status,
                "mcpSessionId": answer.headers.get("Mcp-Session-Id"),
                "mcpProtocolVersion": answer.headers.get("Mcp-Protocol-Version"),
                "traceId": sent.get("X-Amzn-Trace-Id"),
                "traceParent": sent["traceparent"],
                "traceState": sent.get("tracestate"),
                "baggage": sent.get("baggage"),
                "response": self._stream(session, answer, stack.pop_all()),
            }

    async def agent_card(self, call: Call, parameters: Document) -> Document:
        """`GetAgentCard`: the card that an A2A agent gives of itself."""
        target, session = await self.open(call.caller, parameters)
        with session.use():
            sent = self.headers(call, target, parameters)
            answer = await self._ask(session, "GET", AGENT_CARD_PATH, sent)
            async with answer:
                try:
                    body = await answer.content.read(_AGENT_CARD_MAX_BYTES)
                    card = json.loads(body) if answer.status == 200 else None
                except (aiohttp.ClientError, ValueError):
                    card = None
        if not isinstance(card, dict):
            raise AgentFailed(f"The agent gave no agent card: GET {AGENT_CARD_PATH} answered {answer.status}")
        return {
            "runtimeSessionId": session.key.session_id,
            "agentCard": card,
            "statusCode": 200,
        }

    async def _ask(
        self, session: Session, method: str, path: str, sent: dict[str, str], payload: bytes = b""
    ) -> aiohttp.ClientResponse:
        try:
            async with asyncio.timeout(self._request_timeout_seconds):
                return await session.http.request(
                    method, session.url(path), headers=sent, data=payload or None, allow_redirects=False
                )
        except AgentUnreachable as error:
            await self._sessions.end(session, "the agent no longer listens")
            raise RetryableConflict("The session's agent has ended, please retry") from error
        except TimeoutError as error:
            seconds = f"{self._request_timeout_seconds:g}s"
            raise AgentFailed(f"The agent did not begin to answer within {seconds}") from error
        except (aiohttp.ClientError, ValueError, RuntimeError) as error:
            raise AgentFailed(
                f"The agent closed the connection, or answered no valid HTTP. "
                f"Its log may say why: {log_hint(session)}"
            ) from error

    async def _stream(
        self, session: Session, answer: aiohttp.ClientResponse, stack: ExitStack
    ) -> AsyncIterator[bytes]:
        deadline = asyncio.get_running_loop().time() + self._stream_timeout_seconds
        with stack:
            try:
                while True:
                    async with asyncio.timeout_at(deadline):
                        chunk = await answer.content.readany()
                    if not chunk:
                        return
                    yield chunk
            except (aiohttp.ClientError, TimeoutError) as error:
                raise AgentFailed("The agent's answer was cut off") from error
            finally:
                answer.close()


def session_key(target: Target, session_id: str) -> SessionKey:
    endpoint = target.endpoint
    return SessionKey(endpoint.account, endpoint.runtime_id, endpoint.name, session_id)
