"""`innkeeper stop`: end sessions of an agent."""

from typing import Annotated

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json

SessionId = Annotated[str, typer.Argument(help="Session id.", metavar="SESSION")]
All = Annotated[bool, typer.Option("--all", help="Every live session.")]


def stop(
    name: RuntimeName,
    session: SessionId = "",
    every: All = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Stop a session, or all of them."""
    if bool(session) == every:
        raise typer.BadParameter("name a session, or give --all", param_hint="SESSION")
    api = Api.connect(data_dir)
    runtime = runtimes.find(api, name)
    live = runtimes.live(runtimes.sessions(api, runtime["agentRuntimeId"]))
    chosen = [found for found in live if every or found["sessionId"] == session]
    if session and not chosen:
        raise CommandFailed(f"{name} has no live session {session}; see: innkeeper sessions {name}")
    client = api.client("bedrock-agentcore")
    for found in chosen:
        client.stop_runtime_session(
            agentRuntimeArn=runtime["agentRuntimeArn"],
            runtimeSessionId=found["sessionId"],
            qualifier=found.get("endpoint", "DEFAULT"),
        )
        if not as_json:
            typer.echo(f"Stopped {found['sessionId']}.")
    if as_json:
        print_json({"stopped": [found["sessionId"] for found in chosen]})
    elif not chosen:
        typer.echo(f"{name} has no live session.")
