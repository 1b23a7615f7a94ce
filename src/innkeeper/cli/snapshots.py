"""`innkeeper snapshots`: what is kept of an agent's sessions."""

from typing import Annotated
from urllib.parse import quote

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json, print_table

snapshots = typer.Typer(help="Manage snapshots of agents' sessions.", no_args_is_help=True)

Snapshot = Annotated[str, typer.Argument(help="The snapshot's name or id.", metavar="SNAPSHOT")]

COLUMNS = {
    "ID": "id",
    "NAME": "name",
    "SESSION": "sessionId",
    "VERSION": "version",
    "KIND": "kind",
    "BYTES": "sizeBytes",
    "CREATED": "createdAt",
}


@snapshots.command("ls")
def list_all(name: RuntimeName, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the snapshots of an agent's sessions."""
    api = Api.connect(data_dir)
    found = runtimes.pages(api, runtimes.path(api, name, "snapshots"), "snapshots")
    if as_json:
        print_json({"snapshots": found})
    else:
        print_table(list(COLUMNS), [[one.get(member) for member in COLUMNS.values()] for one in found])


@snapshots.command("rm")
def remove(name: RuntimeName, snapshot: Snapshot, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Delete a snapshot; what goes on from it lives on."""
    api = Api.connect(data_dir)
    api.call("DELETE", f"{runtimes.path(api, name, 'snapshots')}/{quote(snapshot, safe='')}")
    if as_json:
        print_json({"id": snapshot, "removed": True})
    else:
        typer.echo(f"Removed {snapshot}.")
