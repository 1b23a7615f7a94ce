"""The AWS wire: one ASGI app in front of every operation."""

import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass

from botocore.model import OperationModel
from starlette.types import Receive, Scope, Send

from innkeeper.aws.answer import Answer
from innkeeper.aws.errors import UnknownOperation, json_error, s3_error, shown
from innkeeper.aws.exchange import ClientGone, read_body, send_answer, while_connected
from innkeeper.aws.models import is_streaming
from innkeeper.aws.planes import Plane, RawPlane
from innkeeper.aws.protocol import Match
from innkeeper.aws.request import RawRequest, SignedRequest
from innkeeper.aws.sigv4 import SignatureVerifier, is_signed, signing_service
from innkeeper.kernel.call import Call, Document, Operation
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import AccessDenied, NotImplementedYet

Authorize = Callable[[Call, OperationModel, Document], Awaitable[None]]
VerifyBearer = Callable[[Document, str | None, Mapping[str, str]], Awaitable[Caller]]


@dataclass(slots=True)
class _Exchange:
    """One request on its way; `operation` is known once the request has been matched."""

    request: SignedRequest
    request_id: str
    receive: Receive
    send: Send
    plane: Plane | None = None
    operation: OperationModel | None = None

    async def fail(self, error: Exception) -> None:
        await send_answer(self.send, self.failure(error), self.request_id)

    def failure(self, error: Exception) -> Answer:
        write = self.plane.codec.error if self.plane else json_error
        return write(shown(error, self.request_id), self.operation, self.request_id)


@dataclass(frozen=True, slots=True)
class _Accepted:
    """A request that is authentic, valid and allowed."""

    plane: Plane
    operation: OperationModel
    handler: Operation
    call: Call
    parameters: Document


class Wire:
    """Authenticates, decodes, authorizes, calls the operation and sends what it gives.

    `authorize` is asked for callers who signed. `bearer` names the operations that also take a bearer token
    or no credentials at all: its functions take the parameters, the token (or None) and the headers, and
    give the caller or raise Unauthorized. `body_timeout_seconds` is how long the next piece of a request's
    body may take.
    """

    def __init__(
        self,
        planes: Sequence[Plane | RawPlane],
        verifier: SignatureVerifier,
        authorize: Authorize,
        bearer: Mapping[str, VerifyBearer],
        body_limit_bytes: int,
        body_timeout_seconds: float = 60.0,
    ) -> None:
        self._planes = {plane.scope: plane for plane in planes}
        self._verifier = verifier
        self._authorize = authorize
        self._bearer = bearer
        self._body_limit_bytes = body_limit_bytes
        self._body_timeout_seconds = body_timeout_seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "websocket":  # no operation is one: before it is accepted, closing it says 403
            await send({"type": "websocket.close"})
            return
        request = SignedRequest.of(scope)
        plane = self._planes.get(signing_service(request.headers, request.query_string) or "")
        exchange = _Exchange(request, str(uuid.uuid4()), receive, send)
        if isinstance(plane, RawPlane):
            await self._answer_raw(exchange, plane, scope)
        else:
            exchange.plane = plane
            await self._answer(exchange)

    async def _answer(self, exchange: _Exchange) -> None:
        try:
            accepted = await self._accept(exchange)
        except ClientGone:
            return
        except Exception as error:
            await exchange.fail(error)
            return
        finish = self._finish(exchange, accepted)
        # What changes something is carried through even when the caller does not wait for the answer.
        if is_streaming(accepted.operation):
            await while_connected(exchange.receive, finish)
        else:
            await finish

    async def _accept(self, exchange: _Exchange) -> _Accepted:
        request = exchange.request
        if not is_signed(request.headers, request.query_string):
            return await self._accept_unsigned(exchange)
        body = await self._read(exchange)
        signed = await self._verifier.verify(request, body)
        if exchange.plane is None:
            raise UnknownOperation(f"This server has no service '{signed.service}'")
        match = exchange.plane.codec.match(request, body)
        if match is None:
            raise UnknownOperation(f"{request.method} {request.raw_path} is no operation of {signed.service}")
        handler = _handler(exchange, exchange.plane, match)
        call = Call(signed.caller, exchange.request_id, request.headers)
        parameters = match.decode(body)
        await self._authorize(call, match.operation, parameters)
        return _Accepted(exchange.plane, match.operation, handler, call, parameters)

    async def _accept_unsigned(self, exchange: _Exchange) -> _Accepted:
        request = exchange.request
        plane, match = self._match_unsigned(request)
        handler = _handler(exchange, plane, match)
        parameters = match.decode(await self._read(exchange))
        token = request.headers.get("authorization", "").partition(" ")[2].strip() or None
        caller = await self._bearer[match.operation.name](parameters, token, request.headers)
        call = Call(caller, exchange.request_id, request.headers)
        return _Accepted(plane, match.operation, handler, call, parameters)

    def _match_unsigned(self, request: SignedRequest) -> tuple[Plane, Match]:
        scheme = request.headers.get("authorization", "bearer").partition(" ")[0].lower()
        for plane in self._planes.values():
            if scheme == "bearer" and isinstance(plane, Plane) and plane.protocol == "rest-json":
                match = plane.codec.match(request, b"")
                if match is not None and match.operation.name in self._bearer:
                    return plane, match
        raise AccessDenied("Missing Authentication Token", "MissingAuthenticationTokenException")

    async def _finish(self, exchange: _Exchange, accepted: _Accepted) -> None:
        try:
            output = await accepted.handler(accepted.call, accepted.parameters)
            answer = accepted.plane.codec.answer(accepted.operation, output or {}, exchange.request_id)
        except Exception as error:
            answer = exchange.failure(error)
        try:
            await send_answer(exchange.send, answer, exchange.request_id)
        except Exception as error:  # midway through a stream: too late to say so but by an unfinished answer
            shown(error, exchange.request_id)

    async def _answer_raw(self, exchange: _Exchange, plane: RawPlane, scope: Scope) -> None:
        request, request_id = exchange.request, exchange.request_id
        try:
            body = await self._read(exchange)
            signed = await self._verifier.verify(request, body)
            call = Call(signed.caller, request_id, request.headers)
            response = await plane.handler(call, RawRequest.of(request, body))
        except ClientGone:
            return
        except Exception as error:
            answer = s3_error(shown(error, request_id), None, request_id)
            await send_answer(exchange.send, answer, request_id)
            return
        response.headers["x-amzn-requestid"] = response.headers["x-amz-request-id"] = request_id
        await response(scope, exchange.receive, exchange.send)

    async def _read(self, exchange: _Exchange) -> bytes:
        return await read_body(
            exchange.receive, exchange.request.headers, self._body_limit_bytes, self._body_timeout_seconds
        )


def _handler(exchange: _Exchange, plane: Plane, match: Match) -> Operation:
    """From here on, failures are shown as this operation shows them."""
    exchange.plane, exchange.operation = plane, match.operation
    handler = plane.operations.get(match.operation.name)
    if handler is None:
        raise NotImplementedYet(f"{match.operation.name} is not implemented by this server")
    return handler
