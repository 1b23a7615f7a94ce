"""`innkeeper resume`: let a session that rests go on."""

from typing import Annotated

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json

SessionId = Annotated[str, typer.Argument(help="Session id.", metavar="SESSION")]


def resume(name: RuntimeName, session: SessionId, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Let a paused or hibernated session go on where it was."""
    changed = runtimes.change(Api.connect(data_dir), name, session, "resume")
    if as_json:
        print_json(changed)
    else:
        typer.echo(f"Resumed {changed['sessionId']}.")
