"""`innkeeper url`: the address of a web service in a sandbox."""

from typing import Annotated

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, say

Id = Annotated[str, typer.Argument(help="Id of a live session or sandbox.", metavar="ID")]
Port = Annotated[int, typer.Argument(min=1, max=65_535, help="Where the service listens.", metavar="PORT")]
Seconds = Annotated[int | None, typer.Option(min=1, help="How long the token lasts.", show_default="an hour")]


def url(
    id_: Id, port: Port, seconds: Seconds = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Print a link to a web service that listens inside a sandbox."""
    order = {"id": id_, "port": port, **({"seconds": seconds} if seconds else {})}
    granted = Api.connect(data_dir).call("POST", "/-/v1/web", order)
    if as_json:
        print_json(granted)
        return
    typer.echo(granted["link"])
    say(f"Whoever has this link may use the service until {granted['expiresAt']}.")
