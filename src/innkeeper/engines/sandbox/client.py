"""HTTP to a server inside a sandbox: a client whose connections are made there."""

import aiohttp
from aiohttp import ClientRequest, ClientTimeout
from aiohttp.client_proto import ResponseHandler
from aiohttp.connector import BaseConnector
from aiohttp.tracing import Trace

from innkeeper.engines.sandbox.sandbox import Sandbox, SandboxError

# Servers close idle connections after 5 s (uvicorn, Node). We must close first: a request written to a
# connection that the server is just closing fails, and may not be sent again.
_KEEPALIVE_SECONDS = 2.0


class Unreachable(aiohttp.ClientConnectionError):
    """No connection could be made: the server has not seen the request."""


class SandboxConnector(BaseConnector):
    """Connects to ports on the sandbox's own 127.0.0.1, whatever host the URL names."""

    def __init__(self, sandbox: Sandbox) -> None:
        super().__init__(keepalive_timeout=_KEEPALIVE_SECONDS, limit=0)
        self._sandbox = sandbox

    async def _create_connection(
        self,
        req: ClientRequest,
        traces: list[Trace],
        timeout: ClientTimeout,  # noqa: ASYNC109
    ) -> ResponseHandler:
        try:
            connected = await self._sandbox.dial(req.url.port or 80)
        except (OSError, SandboxError) as error:
            raise Unreachable(str(error)) from error
        _, protocol = await self._loop.create_connection(self._factory, sock=connected)
        return protocol


def sandbox_client(sandbox: Sandbox) -> aiohttp.ClientSession:
    """Answers are passed on as they come: nothing is decompressed, no cookie is kept."""
    return aiohttp.ClientSession(
        connector=SandboxConnector(sandbox),
        auto_decompress=False,
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=ClientTimeout(total=None),
        skip_auto_headers=("User-Agent", "Accept-Encoding", "Content-Type"),
    )
