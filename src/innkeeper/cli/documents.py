"""`innkeeper memory documents`: long texts of an actor, to be searched and pulled into view."""

import sys
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.memory import Name, memory_path
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, print_table, say

documents = typer.Typer(help="Add, list, show and delete the documents of an actor.", no_args_is_help=True)

Actor = Annotated[str, typer.Option(help="Whose document it is.")]
Session = Annotated[str | None, typer.Option(help="The session that it is for; without one, all.")]
Id = Annotated[str, typer.Argument(help="The document's id.", metavar="ID")]


@documents.command()
def add(
    name: Name,
    file: Annotated[Path, typer.Argument(help="A text or Markdown file, as UTF-8; - for stdin.")],
    actor: Actor,
    title: Annotated[str | None, typer.Option(help="What it is called; else the file's name.")] = None,
    session: Session = None,
    own: Annotated[
        bool, typer.Option("--own", help="Its words are trusted like a program's own, not like a tool's.")
    ] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Add a document and print its id."""
    text = _read(file)
    wanted = {"actor": actor, "title": title or file.name, "text": text, "session": session}
    wanted["by"] = "program" if own else None
    members = {member: value for member, value in wanted.items() if value is not None}
    made = Api.connect(data_dir).call("POST", f"{memory_path(name)}/documents", members)
    if as_json:
        print_json(made)
        return
    say(f"{made['title']} has {made['chunks']} chunks, about {made['tokens']} tokens.")
    if made["held"]:
        say(f"{made['held']} of its texts wait for review: innkeeper memory quarantine {name}")
    typer.echo(made["id"])


@documents.command("ls")
def list_all(
    name: Name, actor: Actor, session: Session = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """List the documents of an actor; with a session, those of the session too."""
    where = {"actor": actor} | ({"session": session} if session else {})
    found = Api.connect(data_dir).call("GET", _path(name, "", **where))
    if as_json:
        print_json(found)
        return
    rows = [
        [one["id"], one["title"], one["session"] or "", str(one["chunks"]), one["createdAt"][:10]]
        for one in found["documents"]
    ]
    print_table(["ID", "TITLE", "SESSION", "CHUNKS", "ADDED"], rows)


@documents.command()
def show(
    name: Name,
    document: Id,
    actor: Actor,
    text: Annotated[bool, typer.Option("--text", help="Print its text instead.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show a document and its sections, or its text."""
    api = Api.connect(data_dir)
    found = api.call("GET", _path(name, document, actor=actor))
    if text:
        found["text"] = _text(api, name, found, actor)
    if as_json:
        print_json(found)
    elif text:
        typer.echo(found["text"], nl=False)
    else:
        typer.echo(f"{found['title']}: {found['chunks']} chunks, about {found['tokens']} tokens")
        rows = [[f"{one['first']}-{one['last']}", one["title"], one["summary"]] for one in found["sections"]]
        print_table(["CHUNKS", "SECTION", "BEGINS"], rows)


@documents.command()
def rm(name: Name, document: Id, actor: Actor, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Delete a document, wherever it is in view."""
    Api.connect(data_dir).call("DELETE", _path(name, document, actor=actor))
    if as_json:
        print_json({"deleted": document})
    else:
        say(f"{document} is deleted.")


def _read(file: Path) -> str:
    try:
        content = sys.stdin.buffer.read() if str(file) == "-" else file.read_bytes()
        return content.decode()
    except OSError as error:
        raise CommandFailed(f"{file} can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise CommandFailed(f"{file} is no text in UTF-8") from error


def _text(api: Api, name: str, document: dict[str, Any], actor: str) -> str:
    """As it was added, in as many answers as it takes."""
    parts: list[str] = []
    while len(parts) < document["chunks"]:
        where = {"actor": actor, "first": str(len(parts))}
        page = api.call("GET", _path(name, f"{document['id']}/chunks", **where))
        parts += [one["text"] for one in page["chunks"]]
    return "".join(parts)


def _path(name: str, below: str, **query: str) -> str:
    place = f"/{quote(below)}" if below else ""
    return f"{memory_path(name)}/documents{place}?{urlencode(query, quote_via=quote)}"
