"""A session of the code interpreter, as a user of boto3 has it."""

from pathlib import Path
from typing import Any

from tests.content import content
from tests.running import RunningServer

SYSTEM = "aws.codeinterpreter.v1"


class Coding:
    """Starts a session; `with` stops it."""

    def __init__(
        self,
        server: RunningServer,
        interpreter: str = SYSTEM,
        keys: tuple[str, str] | None = None,
        **parameters: Any,
    ) -> None:
        self.interpreter = interpreter
        self.control = server.client("bedrock-agentcore-control", keys)
        self.data = server.client("bedrock-agentcore", keys, read_timeout=300)
        self.id = ""
        self.start(**parameters)

    def start(self, **parameters: Any) -> None:
        """Go on with a new session; who has one stops it before."""
        started = self.data.start_code_interpreter_session(
            codeInterpreterIdentifier=self.interpreter, **parameters
        )
        self.id = started["sessionId"]

    def __enter__(self) -> "Coding":
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    @property
    def names(self) -> dict[str, str]:
        return {"codeInterpreterIdentifier": self.interpreter, "sessionId": self.id}

    def stop(self) -> None:
        self.data.stop_code_interpreter_session(**self.names)

    def status(self) -> str:
        return str(self.data.get_code_interpreter_session(**self.names)["status"])

    def results(self, tool: str, **arguments: Any) -> list[dict[str, Any]]:
        answer = self.data.invoke_code_interpreter(**self.names, name=tool, arguments=arguments)
        return [event["result"] for event in answer["stream"]]

    def invoke(self, tool: str, **arguments: Any) -> dict[str, Any]:
        """The only result of a tool."""
        (result,) = self.results(tool, **arguments)
        return result

    def run(self, code: str, **arguments: Any) -> dict[str, Any]:
        return self.invoke("executeCode", code=code, **{"language": "python", **arguments})

    def out(self, code: str, **arguments: Any) -> str:
        """What a cell that succeeds prints."""
        result = self.run(code, **arguments)
        assert not result["isError"], result
        return str(result["structuredContent"]["stdout"])

    def fails(self, code: str, **arguments: Any) -> str:
        """What a cell that fails says about it."""
        result = self.run(code, **arguments)
        assert result["isError"], result
        return str(result["structuredContent"]["stderr"])


def frozen(server: RunningServer) -> set[str]:
    """The ids of the interpreter's sandboxes that stand still, by the control groups of their records."""
    found = set()
    for id_, noted in server.sandboxes():
        for group in noted["cgroups"] if id_.startswith("code-") else ():
            for knob, word in (("cgroup.freeze", b"1"), ("freezer.state", b"FROZEN")):
                if content(Path(group, knob)).strip() == word:
                    found.add(id_)
    return found
