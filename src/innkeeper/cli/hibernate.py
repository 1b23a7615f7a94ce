"""`innkeeper hibernate`: put a session on disk."""

from typing import Annotated

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json

SessionId = Annotated[str, typer.Argument(help="Session id.", metavar="SESSION")]


def hibernate(name: RuntimeName, session: SessionId, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Put a session on disk until its next call: it takes no memory and no processor."""
    changed = runtimes.change(Api.connect(data_dir), name, session, "hibernate")
    if as_json:
        print_json(changed)
    else:
        typer.echo(f"Hibernated {changed['sessionId']}.")
