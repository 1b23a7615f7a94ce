"""A web server with a certificate of a private authority, inside a session, and who trusts it there."""

from typing import Any

from tests.running import RunningServer
from tests.services.code_interpreter.coding import Coding
from tests.stories.tls_front import Certificates

_SERVE = """
import http.server, ssl, threading

class Site(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.send_header('Content-Length', '5')
        self.end_headers()
        self.wfile.write(b'hello')

    def log_message(self, *_): pass

context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('server.pem')
site = http.server.ThreadingHTTPServer(('127.0.0.1', 0), Site)
site.socket = context.wrap_socket(site.socket, server_side=True)
threading.Thread(target=site.serve_forever, daemon=True).start()
print(site.server_port)
"""


def stored(server: RunningServer, name: str, data: bytes, keys: tuple[str, str] | None = None) -> str:
    """The ARN of a new secret."""
    made = server.client("secretsmanager", keys).create_secret(Name=name, SecretString=data.decode())
    return str(made["ARN"])


def located(*arns: str) -> list[dict[str, Any]]:
    """The `certificates` of a request."""
    return [{"location": {"secretsManager": {"secretArn": arn}}} for arn in arns]


def visit(coding: Coding, certificates: Certificates) -> dict[str, bool]:
    """Which programs of a session get through to a server for `localhost` of this authority."""
    pem = certificates.server.read_text()
    coding.invoke("writeFiles", content=[{"path": "server.pem", "text": pem}])
    url = f"https://localhost:{coding.out(_SERVE).strip()}/"
    python = f"import urllib.request; urllib.request.urlopen('{url}', timeout=60).read().decode()"
    node = f"console.log(await (await fetch('{url}')).text())"
    command = f"curl --silent --show-error --max-time 60 {url}"
    results = {
        "Python": coding.run(python),
        "curl": coding.invoke("executeCommand", command=command),
        "Node.js": coding.run(node, language="javascript", runtime="nodejs"),
    }
    return {name: "hello" in result["structuredContent"]["stdout"] for name, result in results.items()}
