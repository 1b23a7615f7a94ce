"""One server process: one data folder, one port, from start to a clean stop."""

import asyncio
import configparser
import fcntl
import gc
import io
import json
import logging
import os
import resource
import signal
import socket
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import uvicorn
from starlette.types import ASGIApp, Receive, Scope, Send

from innkeeper.app import VERSION, Innkeeper
from innkeeper.bounded_http import bounded_http
from innkeeper.services.account.model import AccessKey
from innkeeper.services.runtime.environment import Home
from innkeeper.settings import Settings

_log = logging.getLogger(__name__)

_GRACE_SECONDS = 5
_KEEP_ALIVE_SECONDS = 60  # longer than clients pool a connection, so that they close it first


class AlreadyRunning(RuntimeError):
    """Another server has this data folder."""


async def serve(settings: Settings) -> None:
    """Run until SIGINT or SIGTERM.

    `<data_dir>/server.json` says where the server is while it answers; `<data_dir>/credentials` holds the
    root access key, made at the first start. Raises AlreadyRunning; OSError when the port is taken.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    settings.data_dir.chmod(0o700)  # it holds secrets, and files of agents that nobody else may run
    _allow_many_files()
    logging.basicConfig(
        level=settings.log_level.upper(), format="%(asctime)s %(levelname)s %(name)s: %(message)s"
    )
    logging.getLogger("uvicorn").setLevel(logging.WARNING)  # below, it tells whole URLs, signatures and all
    logging.getLogger("mcp").setLevel(logging.WARNING)  # below, it tells of every call
    with locked(settings.data_dir), _listening(settings.host, settings.port) as listener, _door() as door:
        port = listener.getsockname()[1]
        inn = Innkeeper(settings, Home(*door.getsockname()))
        try:
            walls = await _opened(inn)
            root = await inn.office.accounts.bootstrap()
            _write_credentials(settings.data_dir / "credentials", root, settings.region)
            with _announced(settings.data_dir / "server.json", _reachable(settings.host), port, walls):
                await _serve_http(inn, settings, listener, door)
        finally:
            await inn.close()


async def _opened(inn: Innkeeper) -> str:
    """By what its sandboxes are; that is found out while the rest is brought up."""
    driver = inn.engines.sandboxes
    found, _ = await asyncio.gather(driver.probe(), inn.open())
    walls = f"{driver.name}: {found.wall}"
    _log.info("sandboxes by %s", walls)
    _keep_what_is_loaded()
    return walls


def _keep_what_is_loaded() -> None:
    """Modules and what they made stay as long as the process: the collector need not look at them again, in
    each of its full passes and at the end, where that takes most of the time of a stop."""
    gc.collect()
    gc.freeze()


async def _serve_http(
    inn: Innkeeper, settings: Settings, listener: socket.socket, door: socket.socket
) -> None:
    config = uvicorn.Config(
        _cut_off(_by_door(inn, door.getsockname()[1])),
        http=bounded_http(settings.request_head_max_bytes, settings.request_arrival_timeout_seconds),
        log_config=None,
        access_log=False,
        lifespan="off",
        server_header=False,
        ws_max_size=max(settings.websocket_frame_max_bytes, settings.web_message_max_bytes),
        ws_ping_interval=None,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=_GRACE_SECONDS,
    )
    await _Server(config, inn.end_sessions).serve(sockets=[listener, door])


def _by_door(inn: Innkeeper, door: int) -> ASGIApp:
    """What comes out of sandboxes comes in by a port of its own, and finds less."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        inside = (scope.get("server") or ("", 0))[1] == door
        await (inn.inside if inside else inn.http)(scope, receive, send)

    return run


def _cut_off(app: ASGIApp) -> ASGIApp:
    """What does not end in time while the server stops is cut off by uvicorn, which says how many there were:
    nothing has failed that a traceback could explain."""

    async def run(scope: Scope, receive: Receive, send: Send) -> None:
        with suppress(asyncio.CancelledError):
            await app(scope, receive, send)

    return run


class _Server(uvicorn.Server):
    """uvicorn lets the signal that stops it kill the process in the end: we have sessions to end first.

    They end while requests are still answered: who shows what goes on in one would go on as long as that.
    """

    def __init__(self, config: uvicorn.Config, end_sessions: Callable[[], Awaitable[None]]) -> None:
        super().__init__(config)
        self._end_sessions = end_sessions

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await asyncio.gather(super().shutdown(sockets), self._end_sessions())

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        yield


def _allow_many_files() -> None:
    """A session takes about ten descriptors; the soft limit of most systems ends at a hundred sessions."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """For one server on a data folder. Raises AlreadyRunning."""
    with (folder / "lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise AlreadyRunning(f"a server runs on {folder} already; stop it: innkeeper down") from error
        yield


@contextmanager
def _listening(host: str, port: int) -> Iterator[socket.socket]:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.create_server((host, port), family=family, backlog=2048) as listener:
        yield listener


def _door() -> socket.socket:
    """For sandboxes' relays, which are of this machine."""
    return socket.create_server(("127.0.0.1", 0), backlog=2048)


@contextmanager
def _announced(path: Path, host: str, port: int, walls: str) -> Iterator[None]:
    shown = f"[{host}]" if ":" in host else host
    note = {"url": f"http://{shown}:{port}", "pid": os.getpid(), "version": VERSION, "sandboxes": walls}
    _write(path, json.dumps(note))
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


def _reachable(host: str) -> str:
    """Where this machine reaches a server that listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104


def _write_credentials(path: Path, root: AccessKey, region: str) -> None:
    """In the form of ~/.aws/credentials, readable by this user alone."""
    parser = configparser.ConfigParser(interpolation=None)
    parser["default"] = {
        "aws_access_key_id": root.access_key_id,
        "aws_secret_access_key": root.secret_access_key,
        "region": region,
    }
    text = io.StringIO()
    parser.write(text)
    _write(path, text.getvalue())


def _write(path: Path, text: str) -> None:
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)


def run(settings: Settings) -> None:
    """`serve` on the fastest event loop there is."""
    with asyncio.Runner(loop_factory=uvicorn.Config("", log_config=None).get_loop_factory()) as runner:
        runner.run(serve(settings))
