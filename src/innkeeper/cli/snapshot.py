"""`innkeeper snapshot`: keep what a session is now."""

from typing import Annotated

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json

SessionId = Annotated[str, typer.Argument(help="Session id.", metavar="SESSION")]
Name = Annotated[str, typer.Option("--name", help="A name for the snapshot.")]


def snapshot(
    name: RuntimeName,
    session: SessionId,
    called: Name = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Keep a durable copy of a session, which others go on from; prints its id."""
    wanted = {"name": called} if called else {}
    taken = runtimes.change(Api.connect(data_dir), name, session, "snapshot", wanted)
    if as_json:
        print_json(taken)
    else:
        typer.echo(taken["id"])
