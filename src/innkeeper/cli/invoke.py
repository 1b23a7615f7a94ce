"""`innkeeper invoke`: send a payload to an agent and show its answer as it comes."""

import json
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from innkeeper.cli import runtimes, sse
from innkeeper.cli.api import Answer, Api
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json, say

SESSION_HEADER = "X-Amzn-Bedrock-AgentCore-Runtime-Session-Id"
USER_HEADER = "X-Amzn-Bedrock-AgentCore-Runtime-User-Id"
ACCEPT = "application/json, text/event-stream"

PayloadText = Annotated[
    str | None,
    typer.Argument(
        help='JSON, or a text that is sent as {"prompt": TEXT}; - reads stdin.', metavar="PAYLOAD"
    ),
]
PayloadFile = Annotated[
    Path | None, typer.Option("--file", exists=True, dir_okay=False, help="File to send, as it is.")
]
Session = Annotated[
    str, typer.Option(help="Session id, 33 characters or more.", show_default="a new session")
]
User = Annotated[str, typer.Option(help="The user on whose behalf the agent acts.")]
Endpoint = Annotated[str, typer.Option(help="Endpoint of the agent.")]


def invoke(
    name: RuntimeName,
    payload: PayloadText = None,
    file: PayloadFile = None,
    session: Session = "",
    user: User = "",
    endpoint: Endpoint = "DEFAULT",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Invoke an agent. With --json, each event or answer is one line: {"sessionId", "data"}."""
    if payload is not None and file is not None:
        raise typer.BadParameter("give a payload or --file, not both", param_hint="PAYLOAD")
    body, content_type = _body(payload, file)
    api = Api.connect(data_dir)
    runtime = runtimes.find(api, name)
    arn = quote(runtime["agentRuntimeArn"], safe="")
    headers = {"accept": ACCEPT, "content-type": content_type, SESSION_HEADER: session or new_session_id()}
    if user:
        headers[USER_HEADER] = user
    path = f"/runtimes/{arn}/invocations?qualifier={quote(endpoint, safe='')}"
    answer = api.send("POST", path, body, headers)
    used = answer.headers.get(SESSION_HEADER, headers[SESSION_HEADER])
    show(answer, used, as_json)
    if not as_json:
        say(f"session {used}; go on with: innkeeper invoke {name} --session {used} PAYLOAD")


def new_session_id() -> str:
    """36 characters; the wire asks for at least 33."""
    return f"cli-{uuid.uuid4().hex}"


def show(answer: Answer, session: str, as_json: bool) -> None:
    """Events one by one as they come, anything else as a whole."""
    if answer.headers.get("content-type", "").startswith("text/event-stream"):
        for event in sse.events(answer.chunks()):
            _show_one(event, session, as_json)
    else:
        _show_one(answer.read().decode(errors="replace"), session, as_json)


def _show_one(text: str, session: str, as_json: bool) -> None:
    if as_json:
        print_json({"sessionId": session, "data": _parsed(text)})
    elif sys.stdout.isatty() and isinstance(document := _parsed(text), dict | list):
        from rich.console import Console

        Console().print_json(data=document)
    else:
        typer.echo(text)


def _parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _body(payload: str | None, file: Path | None) -> tuple[bytes, str]:
    if file is not None:
        data = file.read_bytes()
        return data, "application/json" if _is_json(data) else "application/octet-stream"
    text = sys.stdin.read() if payload == "-" else payload or "{}"
    if not _is_json(text):
        text = json.dumps({"prompt": text})
    return text.encode(), "application/json"


def _is_json(data: str | bytes) -> bool:
    try:
        json.loads(data)
    except ValueError:
        return False
    return True
