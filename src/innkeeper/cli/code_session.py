"""A session of the code interpreter, as the command line uses it: cells, commands, files of any size."""

import shlex
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed

# Both fit into one call with room to spare: requests may have 100 MB, events 24 MiB, bytes go as base64.
_PUT_BYTES = 32_000_000
_GET_BYTES = 16_000_000
_PART = "/tmp/.innkeeper-part"  # noqa: S108 (the sandbox's own)


class Language(StrEnum):
    PYTHON = "python"
    JAVASCRIPT = "javascript"
    TYPESCRIPT = "typescript"


class CodeSession:
    """Live from `start` to `stop`."""

    def __init__(self, api: Api, interpreter: str, seconds: int) -> None:
        self._client = api.client("bedrock-agentcore")
        self._interpreter = interpreter
        self._seconds = seconds
        self._id = ""

    def start(self) -> None:
        started = self._client.start_code_interpreter_session(
            codeInterpreterIdentifier=self._interpreter, sessionTimeoutSeconds=self._seconds
        )
        self._id = started["sessionId"]

    def stop(self) -> None:
        self._client.stop_code_interpreter_session(**self._names)

    def run(self, code: str, language: Language) -> Any:
        """The result of a cell."""
        return self._invoke("executeCode", code=code, language=str(language))

    def shell(self, command: str) -> Any:
        return self._invoke("executeCommand", command=command)

    def put(self, local: Path, remote: str) -> int:
        """Bytes sent. Raises OSError, CommandFailed."""
        size = 0
        with local.open("rb") as file:
            self._must_shell(f": > {shlex.quote(remote)}")
            while data := file.read(_PUT_BYTES):
                self._must("writeFiles", content=[{"path": _PART, "blob": data}])
                self._must_shell(f"cat {_PART} >> {shlex.quote(remote)} && rm {_PART}")
                size += len(data)
        return size

    def get(self, remote: str, local: Path) -> int:
        """Bytes received. Raises OSError, CommandFailed."""
        size = 0
        parts = self._parts(remote)
        first = next(parts)
        with local.open("wb") as file:
            size += file.write(first)
            for data in parts:
                size += file.write(data)
        return size

    @property
    def _names(self) -> dict[str, str]:
        return {"codeInterpreterIdentifier": self._interpreter, "sessionId": self._id}

    def _parts(self, remote: str) -> Iterator[bytes]:
        """At least one, which may be empty."""
        offset = 0
        while True:
            path = shlex.quote(remote)
            self._must_shell(f"test -f {path} || {{ echo {path} is no file >&2; exit 1; }}")
            self._must_shell(f"tail -c +{offset + 1} {path} | head -c {_GET_BYTES} > {_PART}")
            (item,) = self._must("readFiles", paths=[_PART])["content"]
            resource = item["resource"]
            data = bytes(resource["blob"]) if "blob" in resource else resource["text"].encode()
            yield data
            offset += len(data)
            if len(data) < _GET_BYTES:
                return

    def _must_shell(self, command: str) -> None:
        self._must("executeCommand", command=command)

    def _must(self, tool: str, **arguments: Any) -> Any:
        result = self._invoke(tool, **arguments)
        if result.get("isError"):
            raise CommandFailed(" ".join(item.get("text", "") for item in result["content"]))
        return result

    def _invoke(self, tool: str, **arguments: Any) -> Any:
        answer = self._client.invoke_code_interpreter(**self._names, name=tool, arguments=arguments)
        (result,) = (event["result"] for event in answer["stream"])
        return result
