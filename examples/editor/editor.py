"""A small editor for the browser: the files of a folder, changed, saved and run. Standard library alone.

`python editor.py PORT [FOLDER]` inside a sandbox; `start.py` puts it there.
"""

import json
import subprocess
import sys
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

FOLDER = Path(sys.argv[2] if len(sys.argv) > 2 else ".").resolve()
RUN_SECONDS = 60
# Links are relative, so that the page works below any path.
PAGE = b"""<!doctype html>
<meta charset="utf-8"><title>Editor</title>
<style>
  body { display: grid; grid: 1fr 12em / 14em 1fr; height: 100vh; margin: 0; font: 14px monospace }
  nav { grid-row: span 2; padding: 1em; overflow: auto; background: #f3f3f3 }
  textarea, pre { margin: 0; padding: 1em; border: 0; font: inherit; overflow: auto }
  pre { background: #222; color: #eee }
  a { display: block; cursor: pointer }
</style>
<nav>
  <button id="save">Save</button> <button id="run">Run</button>
  <p id="name"></p><div id="files"></div>
</nav>
<textarea id="text" spellcheck="false"></textarea><pre id="output"></pre>
<script>
  const at = id => document.getElementById(id)
  const file = () => 'files/' + encodeURIComponent(at('name').textContent)
  const open = async name => {
    at('name').textContent = name
    at('text').value = await (await fetch(file())).text()
  }
  const list = async () => {
    const names = await (await fetch('files')).json()
    at('files').replaceChildren(...names.map(name => Object.assign(
      document.createElement('a'), { textContent: name, onclick: () => open(name) })))
    return names
  }
  const save = () => fetch(file(), { method: 'PUT', body: at('text').value }).then(list)
  at('save').onclick = save
  at('run').onclick = async () => {
    await save()
    at('output').textContent = '...'
    at('output').textContent = (await (await fetch(file(), { method: 'POST' })).json()).output
  }
  list().then(names => open(names[0] || 'main.py'))
</script>
"""


class Editor(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        if self.path == "/":
            self.reply(PAGE, "text/html; charset=utf-8")
        elif self.path == "/files":
            names = sorted(path.name for path in FOLDER.iterdir() if path.is_file() and path.name[0] != ".")
            self.reply(json.dumps(names).encode())
        elif path := self.file():
            self.reply(path.read_bytes() if path.exists() else b"", "text/plain; charset=utf-8")

    def do_PUT(self) -> None:
        if path := self.file():
            path.write_bytes(self.rfile.read(int(self.headers.get("Content-Length", 0))))
            self.reply(b"{}")

    def do_POST(self) -> None:
        """Run a file with Python."""
        if path := self.file():
            command = [sys.executable, path.name]
            try:
                done = subprocess.run(
                    command, cwd=FOLDER, capture_output=True, text=True, timeout=RUN_SECONDS, check=False
                )
                output: Any = done.stdout + done.stderr
            except subprocess.TimeoutExpired:
                output = f"stopped after {RUN_SECONDS} s"
            self.reply(json.dumps({"output": output}).encode())

    def file(self) -> Path | None:
        """The file that the path names; answers itself when it names none."""
        head, _, name = self.path.rpartition("/")
        if head == "/files" and name and name not in (".", "..") and "%" not in name:
            return FOLDER / name
        self.reply(b"no such file", "text/plain", 404)
        return None

    def reply(self, data: bytes, kind: str = "application/json", status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        pass


if __name__ == "__main__":
    ThreadingHTTPServer(("127.0.0.1", int(sys.argv[1])), Editor).serve_forever()
