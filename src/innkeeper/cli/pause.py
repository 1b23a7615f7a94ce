"""`innkeeper pause`: freeze a session."""

from typing import Annotated

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json

SessionId = Annotated[str, typer.Argument(help="Session id.", metavar="SESSION")]


def pause(name: RuntimeName, session: SessionId, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Freeze a session until its next call: it keeps its memory and uses no processor."""
    changed = runtimes.change(Api.connect(data_dir), name, session, "pause")
    if as_json:
        print_json(changed)
    else:
        typer.echo(f"Paused {changed['sessionId']}.")
