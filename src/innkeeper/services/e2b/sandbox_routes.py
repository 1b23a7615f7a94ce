"""What E2B's clients ask of a sandbox itself: its daemon, its code interpreter."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, Router
from starlette.types import ASGIApp

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InnkeeperError, InvalidRequest
from innkeeper.services.e2b import connect, files
from innkeeper.services.e2b.api_routes import METHODS
from innkeeper.services.e2b.bodies import json_object, read, uploads
from innkeeper.services.e2b.connect import ConnectError, Frames
from innkeeper.services.e2b.contexts import Context, Run
from innkeeper.services.e2b.envd import Calls
from innkeeper.services.e2b.failures import as_connect, framed
from innkeeper.services.e2b.guests import Guest
from innkeeper.services.e2b.model import check_user, path_of, user_of
from innkeeper.services.e2b.service import E2b, error_document, status_of
from innkeeper.services.e2b.streaming import Streamed

_PING_SECONDS = 90
_CODE_MAX_BYTES = 16 << 20

Unary = Callable[[Calls, Document], Awaitable[Document]]
ServerStream = Callable[[Calls, Document, float], AsyncIterator[Document]]
Work = Callable[[Request], Awaitable[Response | Streamed]]

_UNARY: dict[str, Unary] = {
    "process.Process/List": Calls.list,
    "process.Process/SendInput": Calls.send_input,
    "process.Process/CloseStdin": Calls.close_stdin,
    "process.Process/SendSignal": Calls.send_signal,
    "process.Process/Update": Calls.update,
    "filesystem.Filesystem/Stat": Calls.stat,
    "filesystem.Filesystem/MakeDir": Calls.make_dir,
    "filesystem.Filesystem/Move": Calls.move,
    "filesystem.Filesystem/ListDir": Calls.list_dir,
    "filesystem.Filesystem/Remove": Calls.remove,
    "filesystem.Filesystem/CreateWatcher": Calls.create_watcher,
    "filesystem.Filesystem/GetWatcherEvents": Calls.get_watcher_events,
    "filesystem.Filesystem/RemoveWatcher": Calls.remove_watcher,
}
_STREAMS: dict[str, tuple[ServerStream, Document]] = {
    "process.Process/Start": (Calls.start, {"event": {"keepalive": {}}}),
    "process.Process/Connect": (Calls.connect, {"event": {"keepalive": {}}}),
    "filesystem.Filesystem/WatchDir": (Calls.watch_dir, {"keepalive": {}}),
}


def daemon(e2b: E2b) -> ASGIApp:
    """For requests whose `state.guest` is set."""
    return Router(
        [
            Route("/health", _health, methods=["GET"]),
            Route("/files", _answering(_download(e2b)), methods=["GET"]),
            Route("/files", _answering(_upload(e2b)), methods=["POST"]),
            *(Route(f"/{name}", _unary(call), methods=["POST"]) for name, call in _UNARY.items()),
            *(Route(f"/{name}", _stream(e2b, *call), methods=["POST"]) for name, call in _STREAMS.items()),
            Route("/process.Process/StreamInput", _stream_input(e2b), methods=["POST"]),
            Route("/{path:path}", _unknown, methods=METHODS),
        ]
    )


def interpreter(e2b: E2b) -> ASGIApp:
    """For requests whose `state.guest` is set."""
    of_one = "/contexts/{id}"
    return Router(
        [
            Route("/health", _health, methods=["GET"]),
            Route("/execute", _answering(_execute), methods=["POST"]),
            Route("/contexts", _answering(_list_contexts), methods=["GET"]),
            Route("/contexts", _answering(_create_context), methods=["POST"]),
            Route(of_one, _answering(_remove_context), methods=["DELETE"]),
            Route(f"{of_one}/restart", _answering(_restart_context), methods=["POST"]),
            Route("/{path:path}", _unknown, methods=METHODS),
        ]
    )


def _answering(work: Work) -> Work:
    async def answer(request: Request) -> Response | Streamed:
        try:
            check_user(request.query_params.get("username", ""))
            return await work(request)
        except InnkeeperError as error:
            return JSONResponse(error_document(error), status_of(error))

    return answer


def _unary(call: Unary) -> Work:
    async def answer(request: Request) -> Response:
        try:
            with as_connect():
                _check_user(request)
                body = await read(request.stream(), connect.FRAME_MAX_BYTES)
                return JSONResponse(await call(Calls(_guest(request)), connect.message_of(body)))
        except ConnectError as error:
            return JSONResponse(error.document, connect.STATUS[error.code])

    return answer


def _stream(e2b: E2b, call: ServerStream, quiet: Document) -> Work:
    async def answer(request: Request) -> Streamed:
        body = await read(request.stream(), connect.FRAME_MAX_BYTES + 1024)
        ping = _ping_seconds(request.headers)

        async def events() -> AsyncIterator[Document]:
            _check_user(request)
            deadline = _deadline(e2b, request.headers)
            stream = call(Calls(_guest(request)), connect.only_message(body), deadline)
            async for event in stream:
                yield event

        headers = {"content-type": connect.STREAM_TYPE}
        return Streamed(framed(events()), headers, connect.frame(quiet), ping)

    return answer


def _stream_input(e2b: E2b) -> Work:
    async def messages(request: Request) -> AsyncIterator[Document]:
        frames = Frames()
        async for chunk in request.stream():
            for message in frames.feed(chunk):
                yield message
        frames.finish()

    async def answer(request: Request) -> Response:
        try:
            with as_connect():
                async with asyncio.timeout_at(_deadline(e2b, request.headers)):
                    message = await Calls(_guest(request)).stream_input(messages(request))
            body = connect.frame(message) + connect.last_frame()
        except TimeoutError:
            body = connect.last_frame(ConnectError("deadline_exceeded", "the stream took too long"))
        except ConnectError as error:
            body = connect.last_frame(error)
        return Response(body, media_type=connect.STREAM_TYPE)

    return answer


async def _health(_request: Request) -> Response:
    return Response(status_code=204)


def _download(e2b: E2b) -> Work:
    async def download(request: Request) -> Response:
        path = request.query_params.get("path", "")
        data = await files.read(_guest(request), path, e2b.rules.file_max_bytes)
        return Response(data, media_type="application/octet-stream")

    return download


def _upload(e2b: E2b) -> Work:
    async def upload(request: Request) -> Response:
        most = e2b.rules.file_max_bytes
        body = await read(request.stream(), most)
        path = request.query_params.get("path", "")
        written = [
            await files.write(_guest(request), path or one.name, one.data)
            for one in uploads(request.headers, body, most)
        ]
        return JSONResponse(written)

    return upload


async def _execute(request: Request) -> Streamed:
    body = await _json(request)
    guest = _guest(request)
    chosen = body.get("context_id")
    if chosen:
        context = guest.contexts.get(str(chosen))
    else:
        context = guest.contexts.default(str(body.get("language") or "python"))
    variables = body.get("env_vars") or {}
    code = body.get("code")
    if not isinstance(code, str) or not isinstance(variables, dict):
        raise InvalidRequest("`code` must be a text and `env_vars` an object")
    run = Run(code, {str(name): str(value) for name, value in variables.items()})
    return Streamed(_lines(context, run), {"content-type": "application/x-ndjson"})


async def _lines(context: Context, run: Run) -> AsyncIterator[bytes]:
    events = context.run(run)
    try:
        async for event in events:
            yield json.dumps(event).encode() + b"\n"
    finally:
        await events.aclose()


async def _list_contexts(request: Request) -> Response:
    return JSONResponse([context.document for context in _guest(request).contexts])


async def _create_context(request: Request) -> Response:
    body = await _json(request)
    folder = path_of(str(body.get("cwd") or "~"))
    context = _guest(request).contexts.create(str(body.get("language") or "python"), folder)
    return JSONResponse(context.document)


async def _remove_context(request: Request) -> Response:
    await _guest(request).contexts.remove(request.path_params["id"])
    return Response(status_code=204)


async def _restart_context(request: Request) -> Response:
    await _guest(request).contexts.get(request.path_params["id"]).restart()
    return Response(status_code=204)


async def _unknown(request: Request) -> Response:
    message = f"{request.method} {request.url.path} is not supported"
    return JSONResponse({"code": "unimplemented", "message": message}, 501)


def _guest(request: Request) -> Guest:
    guest: Guest = request.state.guest
    return guest


def _check_user(request: Request) -> None:
    check_user(user_of(request.headers.get("authorization", "")))


def _deadline(e2b: E2b, headers: Mapping[str, str]) -> float:
    seconds = connect.timeout_seconds(headers, e2b.rules.stream_seconds)
    return asyncio.get_running_loop().time() + seconds


def _ping_seconds(headers: Mapping[str, str]) -> float:
    given = headers.get("keepalive-ping-interval", "")
    usable = given.isascii() and given.isdecimal() and len(given) < 5 and int(given) > 0
    return float(given) if usable else _PING_SECONDS


async def _json(request: Request) -> Document:
    return await json_object(request, _CODE_MAX_BYTES)
