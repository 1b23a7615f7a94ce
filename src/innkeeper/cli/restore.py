"""`innkeeper restore`: go on from a snapshot of a session."""

from typing import Annotated

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json

Snapshot = Annotated[str, typer.Argument(help="The snapshot's name or id.", metavar="SNAPSHOT")]
Session = Annotated[str, typer.Option(help="Put this session back to it, in the place of a new one.")]
NewId = Annotated[
    str, typer.Option("--session-id", help="Id of the new session, 33 to 256 characters; else one is made.")
]
Endpoint = Annotated[
    str, typer.Option(help="Endpoint of the new session.", show_default="that of the snapshot's session")
]


def restore(
    name: RuntimeName,
    snapshot: Snapshot,
    session: Session = "",
    new_id: NewId = "",
    endpoint: Endpoint = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Start a session that goes on from a snapshot, or put one back to it; prints its id."""
    if session and (new_id or endpoint):
        raise typer.BadParameter(
            "is for new sessions; leave --session out", param_hint="--session-id, --endpoint"
        )
    api = Api.connect(data_dir)
    if session:
        made = runtimes.change(api, name, session, "restore", {"snapshot": snapshot})
    else:
        wanted = {"snapshot": snapshot, "sessionId": new_id or None, "endpoint": endpoint or None}
        made = api.call("POST", runtimes.path(api, name, "sessions"), wanted)
    if as_json:
        print_json(made)
    else:
        typer.echo(made["sessionId"])
