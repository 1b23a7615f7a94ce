"""uvicorn's HTTP/1.1 with bounds that it lacks: how large a request's head may be, and how long the whole
request may take to arrive. Without them, clients that never finish a request would be waited for for ever."""

import asyncio

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol


class BoundedHttp(HttpToolsProtocol):
    """Too large a head is answered with 400; a connection whose request does not get whole is closed."""

    head_max_bytes: int
    arrival_timeout_seconds: float
    _head_bytes: int | None = 0
    _overdue: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._expect_request()

    def data_received(self, data: bytes) -> None:
        if self._head_bytes is not None:
            self._head_bytes += len(data)
        super().data_received(data)
        if self._head_bytes is not None and self._head_bytes > self.head_max_bytes:
            self.send_400_response(f"The request line and headers may have {self.head_max_bytes} bytes.")

    def on_message_begin(self) -> None:
        super().on_message_begin()
        if self._overdue is None:
            self._expect_request()

    def on_headers_complete(self) -> None:
        self._head_bytes = None
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        self._expect_nothing()
        super().on_message_complete()

    def connection_lost(self, exc: Exception | None) -> None:
        self._expect_nothing()
        super().connection_lost(exc)

    def _expect_request(self) -> None:
        self._head_bytes = 0
        self._overdue = self.loop.call_later(self.arrival_timeout_seconds, self._give_up)

    def _expect_nothing(self) -> None:
        if self._overdue is not None:
            self._overdue.cancel()
            self._overdue = None

    def _give_up(self) -> None:
        """Not while an earlier request of this connection is being answered: that answer goes out first."""
        if self.cycle and not self.cycle.response_complete and not self.cycle.more_body:
            self._overdue = self.loop.call_later(self.arrival_timeout_seconds, self._give_up)
        else:
            self.transport.close()


def bounded_http(head_max_bytes: int, arrival_timeout_seconds: float) -> type[BoundedHttp]:
    """The protocol with these bounds, as uvicorn takes it: a class."""
    bounds = {"head_max_bytes": head_max_bytes, "arrival_timeout_seconds": arrival_timeout_seconds}
    return type("BoundedHttp", (BoundedHttp,), bounds)
