"""`innkeeper memory token|tokens|records|correct|forget`: an actor's own part of a memory."""

from enum import StrEnum
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.memory import Name, memory_path
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, print_table, say

Actor = Annotated[str, typer.Option(help="Whose part of the memory is meant.")]
Record = Annotated[str, typer.Argument(help="The record's id.", metavar="RECORD")]


tokens = typer.Typer(help="List and revoke the tokens that open a memory as a tool.", no_args_is_help=True)


class Hand(StrEnum):
    AGENT = "agent"
    PERSON = "person"


def token(
    name: Name,
    actor: Actor,
    hand: Annotated[Hand, typer.Option("--for", help="Whose word is what is written with it.")] = Hand.AGENT,
    hours: Annotated[int, typer.Option(help="How long it is valid.", min=1, max=2160)] = 24,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Let an MCP client remember and recall for one actor."""
    wanted = {"actor": actor, "for": hand, "seconds": hours * 3600}
    made = Api.connect(data_dir).call("POST", f"{memory_path(name)}/tokens", wanted)
    if as_json:
        print_json(made)
        return
    say(f"An MCP server for {actor}, until {made['expiresAt']}:")
    typer.echo(f"url: {made['url']}")
    typer.echo(f"header: Authorization: Bearer {made['token']}")
    typer.echo(f"id: {made['id']}")


@tokens.command("ls")
def list_tokens(
    name: Name,
    actor: Annotated[str | None, typer.Option(help="Only those for this actor.")] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List the tokens that open a memory now."""
    found = _all(Api.connect(data_dir), f"{memory_path(name)}/tokens", "tokens", actor)
    if as_json:
        print_json({"tokens": found})
        return
    rows = [[one["id"], one["actor"], one["for"], one["createdAt"], one["expiresAt"]] for one in found]
    print_table(["ID", "ACTOR", "FOR", "CREATED", "EXPIRES"], rows)


@tokens.command("revoke")
def revoke_token(
    name: Name,
    token_id: Annotated[str, typer.Argument(help="The token's id.", metavar="ID")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Take a token back: it opens nothing from now on."""
    Api.connect(data_dir).call("DELETE", f"{memory_path(name)}/tokens/{quote(token_id, safe='')}")
    if as_json:
        print_json({"revoked": token_id})
    else:
        say(f"{token_id} is revoked.")


def records(name: Name, actor: Actor, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List what is remembered of an actor."""
    found = _all(Api.connect(data_dir), f"{memory_path(name)}/records", "records", actor)
    if as_json:
        print_json({"records": found})
        return
    rows = [[one["id"], one["at"][:10], one["trust"], one["namespace"], one["text"]] for one in found]
    print_table(["ID", "AT", "WORD OF", "NAMESPACE", "TEXT"], rows)


def correct(
    name: Name,
    record: Record,
    text: Annotated[str, typer.Argument(help="What is right.")],
    actor: Actor,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Put right what a record of an actor says."""
    path = f"{memory_path(name)}/records/{quote(record, safe='')}"
    after = Api.connect(data_dir).call("PATCH", path, {"actor": actor, "text": text})
    if as_json:
        print_json(after)
    else:
        say(f"{record} says now: {after['text']}")


def forget(name: Name, record: Record, actor: Actor, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Delete one record of an actor; `erase` deletes all of an actor, from the files as well."""
    query = urlencode({"actor": actor}, quote_via=quote)
    path = f"{memory_path(name)}/records/{quote(record, safe='')}?{query}"
    Api.connect(data_dir).call("DELETE", path)
    if as_json:
        print_json({"forgotten": record})
    else:
        say(f"{record} is forgotten.")


def _all(api: Api, path: str, kind: str, actor: str | None) -> list[dict[str, Any]]:
    """What all pages list of an actor, or of everybody."""
    found: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        query = {name: value for name, value in (("actor", actor), ("nextToken", after)) if value}
        page = api.call("GET", f"{path}?{urlencode(query, quote_via=quote)}")
        found += page[kind]
        after = page["nextToken"]
    return found
