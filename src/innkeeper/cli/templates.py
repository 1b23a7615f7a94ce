"""`innkeeper templates`: what sandboxes begin from."""

import time
import tomllib
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.skopeo import upload
from innkeeper.cli.terminal import print_json, print_table, progress
from innkeeper.kernel.call import Document

templates = typer.Typer(help="Manage templates of sandboxes.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The template's name.", metavar="NAME")]
Declaration = Annotated[Path, typer.Argument(exists=True, help="A TOML file: what is in it.", metavar="FILE")]
Source = Annotated[
    str,
    typer.Argument(
        help="As skopeo names it: docker://REGISTRY/NAME:TAG, oci:FOLDER, oci-archive:FILE, …",
        metavar="IMAGE",
    ),
]
Network = Annotated[str, typer.Option(help="none or public: of the template's sandboxes.")]

COLUMNS = {"NAME": "name", "BASE": "base", "STATE": "state", "KIND": "kind", "BYTES": "sizeBytes"}
LOOK_SECONDS = 0.3


@templates.command("ls")
def list_all(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the templates of this account."""
    found = Api.connect(data_dir).call("GET", "/-/v1/templates")
    if as_json:
        print_json({"templates": found["templates"]})
        return
    rows = [[one.get(member) for member in COLUMNS.values()] for one in found["templates"]]
    print_table(list(COLUMNS), rows)


@templates.command()
def build(name: Name, declaration: Declaration, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Build a template from its declaration, and wait until it is ready."""
    try:
        declared = tomllib.loads(declaration.read_text("utf-8"))
    except ValueError as error:
        raise CommandFailed(f"{declaration} is no TOML: {error}") from error
    _build(Api.connect(data_dir), {**declared, "name": name}, as_json)


def _build(api: Api, declared: Document, as_json: bool) -> None:
    name = declared["name"]
    made = api.call("POST", "/-/v1/templates", declared)
    with progress(f"Building {name} ..."):
        while made["state"] == "BUILDING":
            time.sleep(LOOK_SECONDS)
            made = api.call("GET", _path(name))
    if made["state"] == "FAILED":
        raise CommandFailed(f"{name} could not be built:\n{made['log']}")
    if as_json:
        print_json(made)
    else:
        typer.echo(f"{name} is ready.")


@templates.command("import")
def import_image(
    name: Name, source: Source, network: Network = "none", data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Make a container image a template, and wait until it is ready. It is copied by skopeo on this machine,
    with what this machine may read."""
    api = Api.connect(data_dir)
    place = upload(api, name, source)
    try:
        _build(api, {"name": name, "image": {"s3": place}, "network": network}, as_json)
    finally:
        api.client("s3").delete_object(Bucket=place["bucket"], Key=place["prefix"])


@templates.command()
def show(name: Name, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show a template and the log of its build."""
    found: dict[str, Any] = Api.connect(data_dir).call("GET", _path(name))
    if as_json:
        print_json(found)
        return
    for member, value in found.items():
        typer.echo(f"{member}: {value}")


@templates.command("rm")
def remove(name: Name, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Delete a template; its sandboxes live on."""
    Api.connect(data_dir).call("DELETE", _path(name))
    if as_json:
        print_json({"name": name, "removed": True})
    else:
        typer.echo(f"Removed {name}.")


@templates.command()
def prune(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Remove packages that no template, snapshot or sandbox stands on; the server does so every day."""
    removed = Api.connect(data_dir).call("DELETE", "/-/v1/templates")
    if as_json:
        print_json(removed)
    else:
        typer.echo(f"{removed['bytes'] / 1e6:.1f} MB removed.")


def _path(name: str) -> str:
    return f"/-/v1/templates/{quote(name, safe='')}"
