"""`innkeeper memory token|records|correct|forget`: an actor's own part of a memory."""

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote, urlencode

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.memory import Name, memory_path
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, print_table, say

Actor = Annotated[str, typer.Option(help="Whose part of the memory is meant.")]
Record = Annotated[str, typer.Argument(help="The record's id.", metavar="RECORD")]


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


def records(name: Name, actor: Actor, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List what is remembered of an actor."""
    api = Api.connect(data_dir)
    after: str | None = ""
    found = []
    while after is not None:
        query = {"actor": actor} | ({"nextToken": after} if after else {})
        page = api.call("GET", f"{memory_path(name)}/records?{urlencode(query, quote_via=quote)}")
        found += page["records"]
        after = page["nextToken"]
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
