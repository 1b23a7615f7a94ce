"""`innkeeper memory context`: what a model would be given to read."""

from typing import Annotated
from urllib.parse import quote

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.memory import Name, Session
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, say


def context(
    name: Name,
    actor: Annotated[str, typer.Option(help="Whose memory is read.")],
    query: Annotated[str | None, typer.Argument(help="What is asked; else what the user said last.")] = None,
    session: Session = None,
    tokens: Annotated[int, typer.Option(help="The budget.", min=1)] = 2000,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Compose what a model reads before it answers, and print it."""
    asked = {"actor": actor, "session": session, "query": query, "tokens": tokens}
    wanted = {member: value for member, value in asked.items() if value is not None}
    path = f"/-/v1/memories/{quote(name, safe='')}/context"
    found = Api.connect(data_dir).call("POST", path, wanted)
    if as_json:
        print_json(found)
        return
    typer.echo(found["text"], nl=False)
    parts = [f"{len(one['pieces'])} {one['part']} ({one['tokens']})" for one in found["parts"]]
    say(f"{found['tokens']} of {tokens} tokens: {', '.join(parts) or 'nothing is remembered'}")
