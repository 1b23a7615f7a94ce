"""The proxy that adds secrets to the requests of a sandbox: its sockets are in the sandbox's network.

The name server gives its address under each name that has a secret. It ends the sandbox's TLS with a
certificate of ours and makes each request anew, by HTTP/1.1 over TLS, to the host of that name and to no
other: what it adds can only reach who proves to be that host. Nothing of a request or a failure is logged.
"""

import asyncio
import logging
import socket
import ssl
from collections.abc import Callable, Sequence
from contextlib import AsyncExitStack

import aiohttp
from aiohttp import hdrs, web
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.http import HttpVersion11
from yarl import URL

from innkeeper.engines.sandbox.egress import resolver
from innkeeper.engines.sandbox.egress.authority import Authority, NamedContext
from innkeeper.engines.sandbox.egress.listing import Listing, is_name, plain, replaced
from innkeeper.engines.sandbox.egress.resolver import NoSuchName
from innkeeper.engines.sandbox.sandbox import Secret

CONNECTIONS_MAX = 128
IDLE_SECONDS = 75.0
CONNECT_TIMEOUT_SECONDS = 15.0
READ_TIMEOUT_SECONDS = 900.0
"""Longest silence of a server that answers."""
LINE_MAX_BYTES = 32_768
CLOSE_TIMEOUT_SECONDS = 1.0

_PORTS = ("", "443", "80")
_REFUSED = frozenset((hdrs.METH_CONNECT, hdrs.METH_TRACE))  # TRACE would show the secret to the sandbox

_silent = logging.Logger("egress", logging.CRITICAL + 1)


class Proxy:
    """`listing` says which list is in force now."""

    def __init__(self, authority: Authority, listing: Callable[[], Listing]) -> None:
        self._authority = authority
        self._listing = listing
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=CONNECTIONS_MAX, ssl=authority.outgoing, resolver=_Checked(), use_dns_cache=False
            ),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(
                total=None, sock_connect=CONNECT_TIMEOUT_SECONDS, sock_read=READ_TIMEOUT_SECONDS
            ),
            max_line_size=LINE_MAX_BYTES,
            max_field_size=LINE_MAX_BYTES,
            skip_auto_headers=("User-Agent", "Accept", "Accept-Encoding", "Content-Type"),
        )

    async def serve(self, https: socket.socket, http: socket.socket, stack: AsyncExitStack) -> None:
        stack.push_async_callback(self._session.close)
        server = web.Server(
            self._pass,
            handler_cancellation=True,
            access_log=None,
            logger=_silent,
            keepalive_timeout=IDLE_SECONDS,
            lingering_time=CLOSE_TIMEOUT_SECONDS,
            max_line_size=LINE_MAX_BYTES,
            max_field_size=LINE_MAX_BYTES,
            auto_decompress=False,
        )
        stack.push_async_callback(server.shutdown, CLOSE_TIMEOUT_SECONDS)
        loop = asyncio.get_running_loop()
        for listener, context in ((https, self._authority.choosing(self._has_secret)), (http, None)):
            handshake = CONNECT_TIMEOUT_SECONDS if context else None
            listening = await loop.create_server(
                server, sock=listener, ssl=context, ssl_handshake_timeout=handshake
            )
            stack.callback(listening.close)

    def _has_secret(self, name: str) -> bool:
        return bool(self._listing().secrets_of(name))

    async def _pass(self, request: web.BaseRequest) -> web.StreamResponse:
        name = _named(request)
        secrets = self._listing().secrets_of(name)
        if not secrets:
            return _refusal(421, "this host has no secret, or is not the one that was connected to")
        if request.method in _REFUSED or not request.raw_path.startswith("/"):
            return _refusal(405, "the method or the form of the request is not passed on")
        try:
            return await self._exchange(request, name, secrets)
        except TimeoutError:
            return _refusal(504, f"{name} did not answer in time")
        except ssl.SSLError:
            return _refusal(502, f"{name} did not prove to be that host")
        except (aiohttp.ClientError, OSError, ValueError):
            return _refusal(502, f"{name} could not be reached, or broke off")

    async def _exchange(
        self, request: web.BaseRequest, name: str, secrets: Sequence[Secret]
    ) -> web.StreamResponse:
        """Raises before anything is answered; an answer that cannot be finished is cut off."""
        await _bid_continue(request)
        outgoing = self._session.request(
            request.method,
            URL(f"https://{name}{request.raw_path}", encoded=True),
            headers=replaced(request.headers.items(), secrets),
            data=request.content if request.body_exists else None,
            allow_redirects=False,
        )
        async with outgoing as answer:
            headers = replaced(answer.headers.items())
            reply = web.StreamResponse(status=answer.status, reason=answer.reason, headers=headers)
            await reply.prepare(request)
            try:
                async for part in answer.content.iter_any():
                    await reply.write(part)
                await reply.write_eof()
            except (aiohttp.ClientError, OSError, TimeoutError):
                if request.transport is not None:
                    request.transport.abort()
            return reply


class _Checked(AbstractResolver):
    """Names only, and only addresses that a sandbox may reach."""

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        try:
            found = await resolver.addresses_of(host)
        except NoSuchName:
            raise OSError(f"{host} has no address") from None
        return [
            ResolveResult(
                hostname=host, host=str(address), port=port, family=socket.AF_INET, proto=0, flags=0
            )
            for address in found
        ]

    async def close(self) -> None:
        pass


def _named(request: web.BaseRequest) -> str:
    """The host that the request is for; empty when it is none, or not the one that TLS was begun with."""
    given, _, port = request.headers.get(hdrs.HOST, "").partition(":")
    name = plain(given)
    if port not in _PORTS or not is_name(name) or len(request.headers.getall(hdrs.HOST, ())) != 1:
        return ""
    tls = request.get_extra_info("ssl_object")
    if tls is not None and not (isinstance(tls.context, NamedContext) and tls.context.name == name):
        return ""
    return name


async def _bid_continue(request: web.BaseRequest) -> None:
    """The sandbox may wait for that (RFC 9110, 10.1.1)."""
    expected = request.headers.get(hdrs.EXPECT, "").lower() == "100-continue"
    if expected and request.version == HttpVersion11:
        await request.writer.write(b"HTTP/1.1 100 Continue\r\n\r\n")


def _refusal(status: int, words: str) -> web.Response:
    response = web.Response(status=status, text=f"innkeeper egress: {words}\n")
    response.force_close()
    return response
