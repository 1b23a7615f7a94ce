"""`innkeeper keys`: the access keys of this account."""

from shlex import quote as quoted
from typing import Annotated
from urllib.parse import quote

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, print_table

keys = typer.Typer(help="Manage access keys.", no_args_is_help=True)

KeyId = Annotated[str, typer.Argument(help="The access key's id.", metavar="KEY_ID")]
Description = Annotated[str, typer.Option(help="Whose key it is, for the list.")]


@keys.command("ls")
def list_keys(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the access keys."""
    answer = Api.connect(data_dir).call("GET", "/-/v1/keys")
    if as_json:
        print_json(answer)
        return
    columns = ("KEY ID", "ACTIVE", "CREATED", "DESCRIPTION")
    members = ("accessKeyId", "active", "createdAt", "description")
    print_table(columns, [[key.get(member) for member in members] for key in answer["keys"]])


@keys.command("create")
def create_key(description: Description = "", data_dir: DataDir = None, as_json: Json = False) -> None:
    """Make an access key; its secret is shown this once."""
    key = Api.connect(data_dir).call("POST", "/-/v1/keys", {"description": description})
    if as_json:
        print_json(key)
        return
    typer.echo(
        f"export AWS_ACCESS_KEY_ID={key['accessKeyId']}\n"
        f"export AWS_SECRET_ACCESS_KEY={key['secretAccessKey']}"
    )
    typer.echo("The secret is not shown again.", err=True)


@keys.command("e2b")
def e2b_key(
    key_id: Annotated[
        str, typer.Argument(help="The access key it is made from; the server's own if none.")
    ] = "",
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print the exports for E2B's SDKs: eval "$(innkeeper keys e2b)". The key ends with its access key."""
    api = Api.connect(data_dir)
    made = api.call("GET", f"{_path(key_id or api.server.access_key_id)}/e2b")
    url = f"{api.server.url}/-/e2b"
    variables = {"E2B_API_KEY": made["apiKey"], "E2B_API_URL": url, "E2B_SANDBOX_URL": f"{url}/sandbox"}
    if as_json:
        print_json(variables)
    else:
        typer.echo("\n".join(f"export {name}={quoted(value)}" for name, value in variables.items()))


@keys.command("rm")
def remove_key(key_id: KeyId, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Delete an access key."""
    Api.connect(data_dir).call("DELETE", _path(key_id))
    _report(key_id, "deleted", as_json)


@keys.command("disable")
def disable_key(key_id: KeyId, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Refuse requests signed with a key, until it is enabled again."""
    Api.connect(data_dir).call("PATCH", _path(key_id), {"active": False})
    _report(key_id, "disabled", as_json)


@keys.command("enable")
def enable_key(key_id: KeyId, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Accept requests signed with a key again."""
    Api.connect(data_dir).call("PATCH", _path(key_id), {"active": True})
    _report(key_id, "enabled", as_json)


def _path(key_id: str) -> str:
    return f"/-/v1/keys/{quote(key_id, safe='')}"


def _report(key_id: str, state: str, as_json: bool) -> None:
    if as_json:
        print_json({"accessKeyId": key_id, "state": state})
    else:
        typer.echo(f"{key_id} is {state}.")
