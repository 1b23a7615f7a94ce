"""`innkeeper memory safety`, `quarantine`, `rollback`, `audit`: what a memory lets in, and the way back."""

import json
from typing import Annotated, Any
from urllib.parse import quote

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.memory import Name, memory_path
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, print_table, say

_SHOWN = 80
WaitingId = typer.Option(help="One of them.", metavar="ID")


def safety(
    name: Name,
    put: Annotated[
        str | None, typer.Option("--set", help="A policy as JSON; what it does not name is as usual.")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show or set what a memory asks of what is written to it."""
    api, path = Api.connect(data_dir), f"{memory_path(name)}/safety"
    found = api.call("GET", path) if put is None else api.call("PUT", path, _document(put))
    if as_json:
        print_json(found)
        return
    for member, value in found.items():
        typer.echo(f"{member}: {json.dumps(value)}")


def quarantine(
    name: Name,
    release: Annotated[str | None, WaitingId] = None,
    reject: Annotated[str | None, WaitingId] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List what waits for review; --release lets one be found, --reject deletes it."""
    api, path = Api.connect(data_dir), f"{memory_path(name)}/quarantine"
    for word, record in (("release", release), ("reject", reject)):
        if record is not None:
            done = api.call("POST", f"{path}/{quote(record, safe='')}/{word}")
            if as_json:
                print_json(done)
            else:
                say(f"{word.removesuffix('e')}ed {record}.".capitalize())
            return
    waiting: dict[str, list[Any]] = {"records": [], "held": []}
    token: str | None = ""
    while token is not None:
        page = api.call("GET", path + (f"?nextToken={quote(token, safe='')}" if token else ""))
        for kind, found in waiting.items():
            found += page[kind]
        token = page["nextToken"]
    if as_json:
        print_json(waiting)
        return
    rows = [[one["memoryRecordId"], "RECORD", one["namespace"], *_why(one)] for one in waiting["records"]] + [
        [one["id"], one["kind"], _place(one), *_why(one)] for one in waiting["held"]
    ]
    print_table(["ID", "KIND", "WHERE", "CONCERNS", "TEXT"], rows)


def rollback(
    name: Name,
    to: Annotated[str, typer.Option(help="A time like 2026-05-01T12:00:00Z.")],
    namespace_path: Annotated[
        str | None, typer.Option(help="Only records that lie or lay at and below this path.")
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would be.")] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make the records what they were at a time."""
    if not (yes or dry_run):
        typer.confirm(f"Roll the records of {name} back to {to}?", abort=True, err=True)
    wanted = {"to": to, "dryRun": dry_run}
    if namespace_path is not None:
        wanted["namespacePath"] = namespace_path
    done = Api.connect(data_dir).call("POST", f"{memory_path(name)}/rollback", wanted)
    if as_json:
        print_json(done)
        return
    for word in ("restored", "changed", "removed", "unknown"):
        typer.echo(f"{word}: {len(done[word])}")


def audit(name: Name, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Check that the history of a memory's records is whole, and that they are what it says."""
    report = Api.connect(data_dir).call("GET", f"{memory_path(name)}/changes/check")
    if as_json:
        print_json(report)
    else:
        typer.echo(
            f"{report['changes']} changes, {report['erased']} of them erased, "
            f"{report['shortened']} shortened; {report['records']} records"
        )
        if report["beforeHistory"]:
            typer.echo(
                f"{report['beforeHistory']} were there before the history, which took them in at "
                f"{report['adoptedAt']}: it cannot tell what they were before"
            )
        typer.echo(f"head: {report['head']}")
        for fault in report["faults"]:
            change = f", change {fault['sequence']}" if fault["sequence"] else ""
            typer.echo(f"{fault['memoryRecordId']}{change}: {fault['what']}")
    if not report["intact"]:
        raise CommandFailed("The history or the records were changed outside of it")


def _place(held: dict[str, Any]) -> str:
    return "/".join(part for part in (held["actor"], held["session"], held["name"]) if part)


def _why(one: dict[str, Any]) -> list[str]:
    return [", ".join(one["concerns"]), " ".join(one["text"].split())[:_SHOWN]]


def _document(text: str) -> Any:
    try:
        return json.loads(text)
    except ValueError as error:
        raise CommandFailed(f"--set is no JSON: {error}") from error
