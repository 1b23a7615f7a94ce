"""A package index on a loopback port that keeps its clients waiting until it is told to answer."""

import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any


class PackageIndex:
    """Serves the wheels in `folder/NAME/` (https://peps.python.org/pep-0503/). `asked` is set by the first
    request; none is answered before `release`."""

    def __init__(self, folder: Path) -> None:
        self.asked = threading.Event()
        released = self._released = threading.Event()
        asked = self.asked

        class Handler(SimpleHTTPRequestHandler):
            def __init__(self, *arguments: Any) -> None:
                super().__init__(*arguments, directory=str(folder))

            def send_head(self) -> Any:
                asked.set()
                released.wait(60)
                return super().send_head()

            def log_message(self, format: str, *arguments: object) -> None:
                pass

        self._server = _Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}/"

    def release(self) -> None:
        self._released.set()

    def __enter__(self) -> "PackageIndex":
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()
        return self

    def __exit__(
        self,
        _type: type[BaseException] | None,
        _error: BaseException | None,
        _traceback: TracebackType | None,
    ) -> None:
        self.release()
        self._server.shutdown()
        self._server.server_close()


class _Server(ThreadingHTTPServer):
    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that was killed while it waited is no error."""
