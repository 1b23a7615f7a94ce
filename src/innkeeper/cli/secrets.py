"""`innkeeper secrets`: what this account keeps in Secrets Manager."""

import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, print_table, say

secrets = typer.Typer(help="Manage secrets.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The secret's name or ARN.", metavar="NAME")]
Source = Annotated[Path | None, typer.Argument(help="What holds the value; else stdin does.", metavar="FILE")]

COLUMNS = {"NAME": "Name", "CHANGED": "LastChangedDate", "DELETED": "DeletedDate", "ARN": "ARN"}


@secrets.command("ls")
def list_all(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the secrets, without their values; those that can be restored too."""
    pages = _client(data_dir).get_paginator("list_secrets").paginate(IncludePlannedDeletion=True)
    found = [one for page in pages for one in page["SecretList"]]
    if as_json:
        print_json({"secrets": found})
        return
    print_table(list(COLUMNS), [[one.get(member) for member in COLUMNS.values()] for one in found])


@secrets.command()
def put(
    name: Name,
    file: Source = None,
    description: Annotated[str | None, typer.Option(help="What it is, for the list.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Store a value, as it comes from the file or stdin, in a new secret or as a new version of one."""
    data = sys.stdin.buffer.read() if file is None else file.read_bytes()
    client, wanted = _client(data_dir), _value(data)
    if description is not None:
        wanted["Description"] = description
    try:
        made = client.update_secret(SecretId=name, **wanted)
    except client.exceptions.ResourceNotFoundException:
        made = client.create_secret(Name=name, **wanted)
    told = {"name": made["Name"], "arn": made["ARN"], "version": made["VersionId"]}
    if as_json:
        print_json(told)
    else:
        typer.echo(told["arn"])


@secrets.command()
def show(
    name: Name,
    value: Annotated[bool, typer.Option("--value", help="Print the value, and nothing else.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show a secret, without its value unless that is asked for."""
    client = _client(data_dir)
    if value and not as_json:
        found = client.get_secret_value(SecretId=name)
        sys.stdout.buffer.write(found.get("SecretBinary") or found["SecretString"].encode())
        return
    told = {
        key: one for key, one in client.describe_secret(SecretId=name).items() if key != "ResponseMetadata"
    }
    if value:
        found = client.get_secret_value(SecretId=name)
        told |= {member: found[member] for member in ("SecretString", "SecretBinary") if member in found}
    if as_json:
        print_json(told)
        return
    for member, one in told.items():
        typer.echo(f"{member}: {one}")


@secrets.command("rm")
def remove(
    name: Name,
    days: Annotated[int, typer.Option(help="How long it can be restored.", min=7, max=30)] = 30,
    now: Annotated[bool, typer.Option("--now", help="At once, and for good.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Delete a secret; until its days are over it can be restored."""
    how: dict[str, Any] = {"ForceDeleteWithoutRecovery": True} if now else {"RecoveryWindowInDays": days}
    gone = _client(data_dir).delete_secret(SecretId=name, **how)
    if as_json:
        print_json({"name": gone["Name"], "arn": gone["ARN"], "gone": gone["DeletionDate"]})
        return
    typer.echo(f"{gone['Name']} is gone on {gone['DeletionDate']:%Y-%m-%d}.")
    if not now:
        say(f"Until then: innkeeper secrets restore {name}")


@secrets.command()
def restore(name: Name, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Take a deletion back."""
    kept = _client(data_dir).restore_secret(SecretId=name)
    if as_json:
        print_json({"name": kept["Name"], "arn": kept["ARN"]})
    else:
        typer.echo(f"{kept['Name']} is kept.")


def _client(data_dir: Path | None) -> Any:
    return Api.connect(data_dir).client("secretsmanager")


def _value(data: bytes) -> dict[str, Any]:
    """Text where it is text."""
    try:
        return {"SecretString": data.decode()}
    except UnicodeDecodeError:
        return {"SecretBinary": data}
