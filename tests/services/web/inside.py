"""A web service on the standard library alone, to run inside a sandbox: `python inside.py PORT`."""

import base64
import hashlib
import json
import socket
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

released = threading.Event()


class Service(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        path = self.path.partition("?")[0]
        if path == "/ws":
            self.web_socket()
        elif path == "/stream":
            self.stream()
        elif path == "/release":
            released.set()
            self.reply({})
        elif path == "/silent":
            time.sleep(60)
        elif path == "/garbage":
            self.connection.sendall(b"\x00 this is no HTTP\r\n\r\n")
            self.close_connection = True
        elif path == "/cut":
            self.send_response(200)
            self.send_header("Content-Length", "1000")
            self.end_headers()
            self.wfile.write(b"half")
            self.close_connection = True
        elif path == "/own":
            self.reply(
                {},
                302,
                [
                    ("Location", "/next?a=b"),
                    ("Set-Cookie", "mine=1; Domain=localhost; Path=/; HttpOnly"),
                    ("Set-Cookie", "innkeeper-web=forged; Path=/"),
                    ("Strict-Transport-Security", "max-age=1"),
                    ("Connection", "X-Hop"),
                    ("X-Hop", "1"),
                ],
            )
        else:
            self.echo()

    def echo(self) -> None:
        size = int(self.headers.get("Content-Length", 0))
        body = self.rfile.read(size) if size else b""
        if self.headers.get("Transfer-Encoding") == "chunked":
            while chunk := int(self.rfile.readline(), 16):
                body += self.rfile.read(chunk)
                self.rfile.readline()
            self.rfile.readline()
        headers = [[name.lower(), value] for name, value in self.headers.items()]
        told = {"method": self.command, "target": self.path, "headers": headers, "size": len(body)}
        self.reply(told)

    do_POST = do_PUT = echo  # noqa: N815

    def do_HEAD(self) -> None:
        self.send_response(200)
        self.send_header("Content-Length", "12345")
        self.end_headers()

    def stream(self) -> None:
        self.send_response(200)
        self.send_header("Content-Type", "text/event-stream")
        self.send_header("Transfer-Encoding", "chunked")
        self.end_headers()
        for text in ("data: first\n\n", "data: second\n\n", ""):
            self.wfile.write(f"{len(text):x}\r\n{text}\r\n".encode())
            self.wfile.flush()
            released.wait(30)

    def web_socket(self) -> None:
        """Say the headers first, then echo short text messages (RFC 6455)."""
        key = self.headers["Sec-WebSocket-Key"] + "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"
        accepted = base64.b64encode(hashlib.sha1(key.encode()).digest()).decode()  # noqa: S324
        self.send_response(101)
        self.send_header("Upgrade", "websocket")
        self.send_header("Connection", "Upgrade")
        self.send_header("Sec-WebSocket-Accept", accepted)
        if "chat" in self.headers.get("Sec-WebSocket-Protocol", ""):
            self.send_header("Sec-WebSocket-Protocol", "chat")
        self.end_headers()
        told = json.dumps({"cookie": self.headers.get("Cookie"), "target": self.path}).encode()
        self.frame(0x81, told)
        while True:
            head, length = self.rfile.read(2)
            mask = self.rfile.read(4)
            data = bytes(byte ^ mask[i % 4] for i, byte in enumerate(self.rfile.read(length & 0x7F)))
            self.frame(head, data)
            if head & 0xF == 8:
                self.close_connection = True
                return

    def frame(self, head: int, data: bytes) -> None:
        length = bytes([len(data)]) if len(data) < 126 else b"\x7e" + len(data).to_bytes(2, "big")
        self.wfile.write(bytes([head]) + length + data)
        self.wfile.flush()

    def reply(self, document: Any, status: int = 200, headers: list[tuple[str, str]] | None = None) -> None:
        data = json.dumps(document).encode()
        self.send_response(status)
        for name, value in [*(headers or []), ("Content-Length", str(len(data)))]:
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer.address_family = socket.AF_INET
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Service).serve_forever()
