"""`innkeeper memory context` and `blocks`: what a model would be given to read."""

from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.memory import Name, Session, memory_path
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, say

Actor = Annotated[str, typer.Option(help="Whose memory is read.")]


def context(
    name: Name,
    actor: Actor,
    query: Annotated[str | None, typer.Argument(help="What is asked; else what the user said last.")] = None,
    session: Session = None,
    tokens: Annotated[int, typer.Option(help="The budget.", min=1)] = 2000,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Compose what a model reads before it answers, and print it."""
    asked = {"actor": actor, "session": session, "query": query, "tokens": tokens}
    wanted = {member: value for member, value in asked.items() if value is not None}
    found = Api.connect(data_dir).call("POST", f"{memory_path(name)}/context", wanted)
    if as_json:
        print_json(found)
        return
    typer.echo(found["text"], nl=False)
    parts = [f"{len(one['pieces'])} {one['part']} ({one['tokens']})" for one in found["parts"]]
    say(f"{found['tokens']} of {tokens} tokens: {', '.join(parts) or 'nothing is remembered'}")


def blocks(
    name: Name, actor: Actor, session: Session = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Print the blocks of an actor; with a session, those of the session too."""
    where = {"actor": actor} | ({"session": session} if session else {})
    found = Api.connect(data_dir).call(
        "GET", f"{memory_path(name)}/blocks?{urlencode(where, quote_via=quote)}"
    )
    if as_json:
        print_json(found)
        return
    for one in found["blocks"]:
        place = f" of session {one['session']}" if one["session"] else ""
        typer.echo(f"{one['name']}{place}, version {one['version']}: {one['description']}")
        typer.echo("".join(f"    {line}\n" for line in one["text"].splitlines()), nl=False)
