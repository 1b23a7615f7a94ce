"""Named sandboxes, as a program that signs its requests has them."""

import base64
import contextlib
import json
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from tests.running import RunningServer
from tests.stories.processes import until

BUILD_SECONDS = 100.0


class Lodging:
    """The sandboxes of a server; after a restart, a new one is needed."""

    def __init__(self, server: RunningServer) -> None:
        self.api = Api.connect(server.data_dir)

    def create(self, **members: Any) -> str:
        made = self.api.call("POST", "/-/v1/sandboxes", members)
        return str(made["id"])

    def get(self, id_: str) -> Any:
        return self.api.call("GET", f"/-/v1/sandboxes/{id_}")

    def state(self, id_: str) -> str:
        return str(self.get(id_)["state"])

    def change(self, id_: str, word: str, **members: Any) -> Any:
        return self.api.call("POST", f"/-/v1/sandboxes/{id_}/{word}", members)

    def kill(self, id_: str) -> Any:
        return self.api.call("DELETE", f"/-/v1/sandboxes/{id_}")

    def empty(self) -> None:
        """Kill all that there are."""
        for one in self.api.call("GET", "/-/v1/sandboxes")["sandboxes"]:
            with contextlib.suppress(CommandFailed):  # its time was over
                self.kill(one["id"])

    def events(self, id_: str, argv: Sequence[str], **members: Any) -> list[Any]:
        body = json.dumps({"argv": list(argv), **members}).encode()
        answer = self.api.send("POST", f"/-/v1/sandboxes/{id_}/exec", body, {})
        return [json.loads(line) for line in answer.read().splitlines()]

    def sh(self, id_: str, script: str, **members: Any) -> str:
        """What a script that succeeds prints."""
        events = self.events(id_, ["bash", "-c", script], **members)
        assert events[-1] == {"exitCode": 0}, [*map(plain, events)]
        return "".join(base64.b64decode(one["stdout"]).decode() for one in events if "stdout" in one)

    def put(self, id_: str, path: str, data: bytes) -> None:
        self.api.send("PUT", f"/-/v1/sandboxes/{id_}/files?path={quote(path, safe='')}", data, {})

    def built(self, name: str, **members: Any) -> str:
        """Build a template; the state that it gets to."""
        self.api.call("POST", "/-/v1/templates", {"name": name, **members})
        path = f"/-/v1/templates/{name}"
        assert until(lambda: self.api.call("GET", path)["state"] != "BUILDING", BUILD_SECONDS)
        return str(self.api.call("GET", path)["state"])

    def log(self, name: str) -> str:
        """Of a template's build."""
        return str(self.api.call("GET", f"/-/v1/templates/{name}")["log"])

    def read(self, id_: str, path: str) -> bytes:
        query = f"path={quote(path, safe='')}"
        return self.api.send("GET", f"/-/v1/sandboxes/{id_}/files?{query}", b"", {}).read()


def plain(event: Any) -> Any:
    return {
        name: base64.b64decode(value).decode() if name in ("stdout", "stderr") else value
        for name, value in event.items()
    }
