"""`innkeeper logs`: what an agent wrote to stdout and stderr in a session."""

import sys
from typing import Annotated
from urllib.parse import quote

import typer

from innkeeper.cli import runtimes, sse
from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json, say

SessionId = Annotated[
    str, typer.Argument(help="Session id.", metavar="SESSION", show_default="the last used")
]
Follow = Annotated[bool, typer.Option("--follow", "-f", help="Go on until the session ends, or Ctrl-C.")]


def logs(
    name: RuntimeName,
    session: SessionId = "",
    follow: Follow = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show a session's output."""
    api = Api.connect(data_dir)
    runtime_id = runtimes.find(api, name)["agentRuntimeId"]
    known = {found["sessionId"]: found for found in reversed(runtimes.sessions(api, runtime_id))}
    if not known:
        raise CommandFailed(f"{name} has had no session yet; start one: innkeeper invoke {name} PAYLOAD")
    if not session:
        session = next(reversed(known))
        say(f"session {session}")
    endpoint = known.get(session, {}).get("endpoint", "DEFAULT")
    query = f"follow={str(follow).lower()}&endpoint={quote(endpoint, safe='')}"
    path = f"/-/v1/runtimes/{quote(runtime_id, safe='')}/sessions/{quote(session, safe='')}/logs?{query}"
    chunks = api.send("GET", path, b"", {}).chunks()
    try:
        if as_json:
            for line in sse.lines(chunks):
                print_json({"sessionId": session, "line": line})
        else:
            for chunk in chunks:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
    except KeyboardInterrupt:
        say("")
