"""An agent on the standard library alone that does what its payload says: `{"do": "...", ...}`."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

STARTED = time.time()
memory: dict[str, Any] = {"calls": 0, "status": "Healthy", "advance": False}


class Agent(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True  # else each answer waits 40 ms for the acknowledgement of its head

    def do_GET(self) -> None:
        if self.path != "/ping":
            return self.reply({"error": "not found"}, 404)
        if memory["status"] == "broken":
            return self.reply({"error": "broken"}, 500)
        since = time.time() if memory["advance"] else STARTED
        return self.reply({"status": memory["status"], "time_of_last_update": int(since)})

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        try:
            order = json.loads(body)
        except ValueError:
            order = {"do": "size"}
        memory["calls"] += 1
        getattr(self, "do_" + order.pop("do", "echo"))(body=body, **order)

    def do_echo(self, body: bytes, **order: Any) -> None:
        self.reply(order)

    def do_size(self, body: bytes) -> None:
        self.reply({"size": len(body)})

    def do_count(self, body: bytes) -> None:
        self.reply({"calls": memory["calls"], "pid": os.getpid()})

    def do_headers(self, body: bytes) -> None:
        self.reply({name.lower(): value for name, value in self.headers.items()})

    def do_environment(self, body: bytes) -> None:
        self.reply(dict(os.environ))

    def do_status(self, body: bytes, status: str, advance: bool = False) -> None:
        memory.update(status=status, advance=advance)
        self.reply({})

    def do_write(self, body: bytes, path: str, text: str) -> None:
        Path(path).write_text(text)
        self.reply({})

    def do_read(self, body: bytes, path: str) -> None:
        file = Path(path)
        self.reply({"text": file.read_text() if file.exists() else None})

    def do_stream(self, body: bytes, count: int, pause: float = 0.0, size: int = 0) -> None:
        self.start_stream()
        text = "x" * size
        for number in range(count):
            self.chunk(f'data: {{"number": {number}, "at": {time.time()}, "text": "{text}"}}\n\n'.encode())
            time.sleep(pause)
        self.chunk(b"")

    def do_cut(self, body: bytes) -> None:
        self.start_stream()
        self.chunk(b"data: 1\n\n")
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def do_fail(self, body: bytes, status: int = 500) -> None:
        self.reply({"secret": "traceback"}, status)

    def do_exit(self, body: bytes, code: int = 3) -> None:
        os._exit(code)

    def do_eat(self, body: bytes, mebibytes: int) -> None:
        memory["eaten"] = b"x" * (mebibytes << 20)
        self.reply({})

    def do_hang(self, body: bytes, seconds: float = 3600) -> None:
        time.sleep(seconds)
        self.reply({})

    def do_garbage(self, body: bytes) -> None:
        self.connection.sendall(b"\x00\xff this is no HTTP\r\n\r\n")
        self.close_connection = True

    def do_close(self, body: bytes) -> None:
        self.connection.shutdown(socket.SHUT_RDWR)
        self.close_connection = True

    def do_flood_log(self, body: bytes, size: int) -> None:
        for _ in range(size // 1000):
            sys.stdout.write("x" * 999 + "\n")
        sys.stdout.flush()
        self.reply({})

    def do_print(self, body: bytes, text: str) -> None:
        print(text, flush=True)
        print(text, file=sys.stderr, flush=True)
        self.reply({})

    def do_send(self, body: bytes, url: str) -> None:
        try:
            answer = urllib.request.urlopen(url, timeout=30)
        except urllib.error.HTTPError as error:
            answer = error
        with answer:
            self.reply({"status": answer.status, "text": answer.read().decode()})

    def do_fetch(self, body: bytes, url: str) -> None:
        try:
            with urllib.request.urlopen(url, timeout=5) as answer:
                self.reply({"status": answer.status})
        except OSError as error:
            self.reply({"error": str(error)})

    def do_spawn(self, body: bytes) -> None:
        child = subprocess.Popen(["sleep", "1000"])
        self.reply({"pid": child.pid})

    def start_stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()

    def chunk(self, data: bytes) -> None:
        self.wfile.write(f"{len(data):x}\r\n".encode() + data + b"\r\n")
        self.wfile.flush()

    def reply(self, document: Any, status: int = 200) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: os._exit(0))
    server = ThreadingHTTPServer(("0.0.0.0", int(os.environ.get("PORT", "8080"))), Agent)
    threading.Thread(target=server.serve_forever).start()
