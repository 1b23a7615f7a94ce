"""Calling an agent: its answer passes through as it comes, and its failures are told apart from ours."""

import asyncio
import json
from contextlib import ExitStack

import aiohttp

from innkeeper.engines.sandbox.client import Unreachable
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import CallerKind
from innkeeper.kernel.errors import AgentFailed, RetryableConflict
from innkeeper.services.runtime import headers
from innkeeper.services.runtime.access import Access
from innkeeper.services.runtime.answer_stream import AnswerStream
from innkeeper.services.runtime.directory import Target
from innkeeper.services.runtime.model import SessionKey
from innkeeper.services.runtime.provisioning import log_hint
from innkeeper.services.runtime.session import Session
from innkeeper.services.runtime.sessions import Sessions
from innkeeper.services.runtime.workload_tokens import WorkloadTokens

AGENT_CARD_PATH = "/.well-known/agent-card.json"
_AGENT_CARD_MAX_BYTES = 1 << 20
_ACCEPT = "application/json, text/event-stream"


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

    async def open(self, call: Call, parameters: Document) -> tuple[Target, Session]:
        """The session that the request names, started when it is not there."""
        target = await self._access.target(call.caller, parameters)
        session_id = parameters["runtimeSessionId"]
        mcp_session = parameters.get("mcpSessionId")
        if mcp_session and headers.SESSION.lower() not in call.headers:
            # An MCP client knows no session but that of MCP: it says which sandbox is meant.
            session_id = self._sessions.of_mcp_session(target.endpoint, mcp_session) or mcp_session
        key = session_key(target, session_id)
        return target, await self._sessions.acquire(target.runtime, target.version, key)

    def headers(self, call: Call, target: Target, session: Session, parameters: Document) -> dict[str, str]:
        """What the agent gets with the request, the workload access token included."""
        user = call.caller.user_id or parameters.get("runtimeUserId")
        allowlist = target.version.header_allowlist
        sent = headers.of_request(parameters, call.headers, allowlist)
        sent[headers.SESSION] = session.key.session_id
        sent[headers.REQUEST] = call.request_id
        if user or call.caller.kind is CallerKind.BEARER:
            token = self._tokens.issue(target.runtime.account, target.runtime.id, user or None)
            sent.update(headers.of_workload(token))
        return sent

    async def invoke(self, call: Call, parameters: Document) -> Document:
        """`InvokeAgentRuntime`: `response` is an iterator over the bytes of the agent's answer."""
        target, session = await self.open(call, parameters)
        contract = session.version.contract
        sent = self.headers(call, target, session, parameters)
        sent.setdefault("Content-Type", "application/json")
        sent.setdefault("Accept", _ACCEPT)
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
                "mcpSessionId": _mcp_session(session, answer),
                "mcpProtocolVersion": answer.headers.get("Mcp-Protocol-Version"),
                "traceId": sent.get("X-Amzn-Trace-Id"),
                "traceParent": sent["traceparent"],
                "traceState": sent.get("tracestate"),
                "baggage": sent.get("baggage"),
                "response": AnswerStream(answer, stack.pop_all(), self._stream_timeout_seconds),
            }

    async def agent_card(self, call: Call, parameters: Document) -> Document:
        """`GetAgentCard`: the card that an A2A agent gives of itself."""
        target, session = await self.open(call, parameters)
        with session.use():
            sent = self.headers(call, target, session, parameters)
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
        except Unreachable as error:
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


def _mcp_session(session: Session, answer: aiohttp.ClientResponse) -> str | None:
    """The agent's own; for one that keeps none our session's id, so that its client comes back here."""
    if session.version.contract.protocol != "MCP":
        return None
    session.mcp_session = answer.headers.get("Mcp-Session-Id", session.mcp_session)
    return session.mcp_session or session.key.session_id


def session_key(target: Target, session_id: str) -> SessionKey:
    endpoint = target.endpoint
    return SessionKey(endpoint.account, endpoint.runtime_id, endpoint.name, session_id)
