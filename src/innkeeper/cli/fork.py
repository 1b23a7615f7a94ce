"""`innkeeper fork`: a second session that goes on from where one is."""

from typing import Annotated

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json

SessionId = Annotated[str, typer.Argument(help="Session id.", metavar="SESSION")]
NewId = Annotated[
    str | None,
    typer.Option("--session-id", help="Id of the new session, 33 to 256 characters; else one is made."),
]


def fork(
    name: RuntimeName,
    session: SessionId,
    new_id: NewId = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a session with the memory and the storage that another one has now."""
    wanted = {"sessionId": new_id} if new_id else {}
    made = runtimes.change(Api.connect(data_dir), name, session, "fork", wanted)
    if as_json:
        print_json(made)
    else:
        typer.echo(made["sessionId"])
