"""The AWS operations of code interpreters, of both planes."""

from datetime import UTC, datetime
from typing import Any

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.errors import FieldError, InvalidRequest
from innkeeper.kernel.page import PageRequest
from innkeeper.services.code_interpreter import tools
from innkeeper.services.code_interpreter.model import CodeInterpreter, SessionRecord, SessionStatus
from innkeeper.services.code_interpreter.service import CodeInterpreters

_KEPT = ("description", "executionRoleArn", "networkConfiguration", "certificates")


class CodeInterpreterOperations:
    def __init__(self, interpreters: CodeInterpreters) -> None:
        self._interpreters = interpreters
        self._sessions = interpreters.sessions

    async def create_code_interpreter(self, call: Call, params: Document) -> Document:
        made = await self._interpreters.create(call.caller, params)
        return {**_identity(made), "createdAt": made.created_at, "status": "READY"}

    async def get_code_interpreter(self, call: Call, params: Document) -> Document:
        found = await self._interpreters.get(call.caller, params["codeInterpreterId"])
        return {**_summary(found), **{member: found.configuration.get(member) for member in _KEPT}}

    async def list_code_interpreters(self, call: Call, params: Document) -> Document:
        page = await self._interpreters.list(call.caller, params.get("type"), _page(params))
        return {"codeInterpreterSummaries": list(map(_summary, page.items)), "nextToken": page.next_token}

    async def delete_code_interpreter(self, call: Call, params: Document) -> Document:
        gone = await self._interpreters.delete(call.caller, params["codeInterpreterId"])
        return {"codeInterpreterId": gone.id, "status": "DELETING", "lastUpdatedAt": datetime.now(UTC)}

    async def start_code_interpreter_session(self, call: Call, params: Document) -> Document:
        interpreter = await self._interpreter(call, params)
        record = await self._sessions.start(call.caller, interpreter, params)
        return {**_session(record), "createdAt": record.created_at}

    async def get_code_interpreter_session(self, call: Call, params: Document) -> Document:
        interpreter = await self._interpreter(call, params)
        record = await self._sessions.get(call.caller.account, interpreter.id, params["sessionId"])
        return {
            **_session(record),
            "name": record.name,
            "createdAt": record.created_at,
            "sessionTimeoutSeconds": record.timeout_seconds,
            "status": record.status,
        }

    async def list_code_interpreter_sessions(self, call: Call, params: Document) -> Document:
        interpreter = await self._interpreter(call, params)
        status = SessionStatus(params["status"]) if params.get("status") else None
        page = await self._sessions.list(call.caller.account, interpreter.id, status, _page(params))
        return {"items": list(map(_session_summary, page.items)), "nextToken": page.next_token}

    async def stop_code_interpreter_session(self, call: Call, params: Document) -> Document:
        interpreter = await self._interpreter(call, params)
        record = await self._sessions.stop(call.caller.account, interpreter.id, params["sessionId"])
        return {**_session(record), "lastUpdatedAt": record.updated_at}

    async def invoke_code_interpreter(self, call: Call, params: Document) -> Document:
        session_id = params.get("sessionId")
        if not session_id:
            message = "sessionId is required; start a session with StartCodeInterpreterSession"
            raise InvalidRequest(message, (FieldError("sessionId", message),))
        interpreter = await self._interpreter(call, params)
        arguments = params.get("arguments") or {}
        tools.check(params["name"], arguments)
        room = await self._sessions.room(call.caller.account, interpreter.id, session_id)
        return {"sessionId": session_id, "stream": tools.run(room, params["name"], arguments)}

    async def _interpreter(self, call: Call, params: Document) -> CodeInterpreter:
        return await self._interpreters.get(call.caller, params["codeInterpreterIdentifier"])


def _page(params: Document) -> PageRequest:
    return PageRequest.of(params.get("maxResults"), params.get("nextToken"))


def _identity(interpreter: CodeInterpreter) -> dict[str, Any]:
    return {"codeInterpreterId": interpreter.id, "codeInterpreterArn": interpreter.arn}


def _summary(interpreter: CodeInterpreter) -> Document:
    return {
        **_identity(interpreter),
        "name": interpreter.name,
        "description": interpreter.configuration.get("description"),
        "status": "READY",
        "createdAt": interpreter.created_at,
        "lastUpdatedAt": interpreter.created_at,
    }


def _session(record: SessionRecord) -> dict[str, Any]:
    return {"codeInterpreterIdentifier": record.interpreter, "sessionId": record.id}


def _session_summary(record: SessionRecord) -> Document:
    return {
        **_session(record),
        "name": record.name,
        "status": record.status,
        "createdAt": record.created_at,
        "lastUpdatedAt": record.updated_at,
    }
