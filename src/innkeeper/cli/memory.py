"""`innkeeper memory`: what agents remember."""

import json
import sys
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.server import load_settings
from innkeeper.cli.terminal import print_json, print_table, say

memory = typer.Typer(help="Make memories; see, export and erase what agents remember.", no_args_is_help=True)

Name = Annotated[str, typer.Argument(help="The memory's name or id.", metavar="NAME")]
Actor = Annotated[str | None, typer.Option(help="Only what is this actor's.")]
Session = Annotated[str | None, typer.Option(help="Only this session of the actor.")]
NamespacePath = Annotated[
    str | None, typer.Option(help="Records at and below this path as well, whoever they are of.")
]

_LEARNED = {
    "semanticMemoryStrategy": ("facts", "/facts/{actorId}/"),
    "userPreferenceMemoryStrategy": ("preferences", "/preferences/{actorId}/"),
    "summaryMemoryStrategy": ("summaries", "/summaries/{actorId}/{sessionId}/"),
}


@memory.command()
def create(
    name: Annotated[str, typer.Argument(help="Letters, digits and _.", metavar="NAME")],
    days: Annotated[int, typer.Option(help="How long what was said is kept.", min=3, max=365)] = 90,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a memory that learns facts, preferences and summaries, and print its id."""
    from botocore.exceptions import ClientError

    strategies = [
        {kind: {"name": learned, "namespaceTemplates": [template]}}
        for kind, (learned, template) in _LEARNED.items()
    ]
    control = Api.connect(data_dir).client("bedrock-agentcore-control")
    try:
        made = control.create_memory(name=name, eventExpiryDuration=days, memoryStrategies=strategies)
    except ClientError as error:
        raise CommandFailed(str(error)) from error
    namespaces = dict(_LEARNED.values())
    if as_json:
        print_json({"id": made["memory"]["id"], "namespaces": namespaces})
        return
    for learned, template in namespaces.items():
        say(f"{learned} go to {template}")
    typer.echo(made["memory"]["id"])


@memory.command("ls")
def list_all(data_dir: DataDir = None, as_json: Json = False) -> None:
    """List the memories of this account."""
    api = Api.connect(data_dir)
    token: str | None = ""
    found = []
    while token is not None:
        page = api.call("GET", "/-/v1/memories" + (f"?nextToken={token}" if token else ""))
        found += page["memories"]
        token = page["nextToken"]
    if as_json:
        print_json({"memories": found})
        return
    rows = [
        [one["name"], one["id"], one["status"], ", ".join(each["name"] for each in one["strategies"])]
        for one in found
    ]
    print_table(["NAME", "ID", "STATUS", "STRATEGIES"], rows)


@memory.command()
def show(name: Name, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show a memory and how much it holds."""
    found = Api.connect(data_dir).call("GET", memory_path(name))
    if as_json:
        print_json(found)
        return
    for member in ("id", "name", "status", "eventExpiryDays", "createdAt"):
        typer.echo(f"{member}: {found[member]}")
    for one in found["strategies"]:
        typer.echo(f"strategy: {one['name']} ({one['type']})")
    for kind, count in found["holds"].items():
        typer.echo(f"{kind}: {count}")
    if found["withoutVectors"]:
        typer.echo(f"not embedded yet: {found['withoutVectors']}")


@memory.command()
def search(
    name: Name,
    query: Annotated[str, typer.Argument(help="What is asked for, as a question or in words.")],
    actor: Actor = None,
    session: Session = None,
    records: Annotated[bool, typer.Option("--records", help="Search what was learned instead.")] = False,
    namespace_path: Annotated[str | None, typer.Option(help="Only records at and below this path.")] = None,
    as_of: Annotated[
        str | None, typer.Option(help="Only records that were true at this time, such as 2026-01-31.")
    ] = None,
    limit: Annotated[int, typer.Option(help="How many to show.", min=1, max=100)] = 5,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Find what was said, word for word, or what was learned, and show why it was found."""
    _check_search(records, actor or session, namespace_path or as_of)
    wanted = {"query": query, "limit": limit, **_extent(actor, session, namespace_path)}
    if as_of is not None:
        wanted["asOf"] = as_of
    path = f"{memory_path(name)}/records/search" if records else f"{memory_path(name)}/search"
    found = Api.connect(data_dir).call("POST", path, wanted)
    if as_json:
        print_json(found)
        return
    for hit in found["records" if records else "turns"]:
        why = ", ".join(f"{part} {score:.2f}" for part, score in hit["why"].items() if score)
        place = hit["namespace"] if records else f"{hit['actor']}, {hit['session']}"
        typer.echo(f"{hit['score']:.2f}  {hit['at'][:10]}  {place}: {why}")
        typer.echo(f"      {hit['text']}" if records else f"      {hit['role']}: {hit['text']}")


@memory.command()
def jobs(
    name: Name,
    status: Annotated[
        str | None, typer.Option(help="Only those: PENDING, RUNNING, DONE or FAILED.", metavar="STATUS")
    ] = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List the newest jobs that learn from what was said, and what became of them."""
    query = "" if status is None else "?" + urlencode({"status": status.upper()})
    found = Api.connect(data_dir).call("GET", f"{memory_path(name)}/jobs{query}")
    if as_json:
        print_json(found)
        return
    rows = [
        [one["jobId"], one["kind"], one["status"], one["actorId"], one["sessionId"], _outcome(one)]
        for one in found["jobs"]
    ]
    print_table(["JOB", "KIND", "STATUS", "ACTOR", "SESSION", "OUTCOME"], rows)


@memory.command()
def history(
    name: Name,
    record: Annotated[str, typer.Argument(help="The record's id.")],
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Show a record with what it replaced and what replaced it: who said it, and when it was true."""
    path = f"{memory_path(name)}/records/{quote(record, safe='')}/history"
    found = Api.connect(data_dir).call("GET", path)
    if as_json:
        print_json(found)
        return
    for one in found["records"]:
        until = one["validTo"][:10] if one["validTo"] else "now"
        typer.echo(f"{one['validFrom'][:10]} to {until}  {one['memoryRecordId']}  {one['trust']}")
        typer.echo(f"      {one['text']}")
        for source in one["sources"]:
            who = source["actorId"] if source["role"] == "USER" else source["role"].lower()
            typer.echo(f"      {source['at'][:10]} {who}, {source['sessionId']}: {source['text']}")


@memory.command()
def install(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Install the model that finds things by their meaning; without it they are found by words alone."""
    from innkeeper.engines.embedders.minilm_install import InstallError, own_folder
    from innkeeper.engines.embedders.minilm_install import install as install_minilm

    folder = own_folder(load_settings(data_dir).data_dir)
    try:
        install_minilm(folder, say)
    except InstallError as error:
        raise CommandFailed(str(error)) from error
    if as_json:
        print_json({"folder": folder})
    else:
        say(f"The model is in {folder}; what is remembered from now on is found by its meaning too.")


@memory.command()
def export(
    name: Name,
    actor: Actor = None,
    session: Session = None,
    namespace_path: NamespacePath = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Print events and records: a line of JSON for each, or one JSON document of all."""
    query = urlencode(_extent(actor, session, namespace_path), quote_via=quote)
    path = f"{memory_path(name)}/export" + (f"?{query}" if query else "")
    chunks = Api.connect(data_dir).send("GET", path, b"", {}).chunks()
    if as_json:
        print_json({"contents": [json.loads(line) for line in b"".join(chunks).splitlines()]})
        return
    for chunk in chunks:
        sys.stdout.buffer.write(chunk)
    sys.stdout.buffer.flush()


@memory.command()
def erase(
    name: Name,
    actor: Annotated[str, typer.Option(help="Whose events, sessions and records go.")],
    session: Session = None,
    namespace_path: NamespacePath = None,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")] = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Erase an actor, or one of its sessions, for good."""
    if not yes:
        what = f"session {session} of {actor}" if session else f"all of {actor}"
        typer.confirm(f"Erase {what} from {name}?", abort=True, err=True)
    extent = _extent(actor, session, namespace_path)
    gone = Api.connect(data_dir).call("POST", f"{memory_path(name)}/erase", extent)
    if as_json:
        print_json(gone)
    else:
        say(f"Erased from {name}: " + ", ".join(f"{count} {kind}" for kind, count in gone.items()) + ".")


def _check_search(records: bool, of_turns: str | None, of_records: str | None) -> None:
    if records and of_turns:
        raise CommandFailed("Records have namespaces: use --namespace-path instead of --actor and --session")
    if of_records and not records:
        raise CommandFailed("--namespace-path and --as-of need --records")


def _outcome(job: dict[str, Any]) -> str:
    if job["failureReason"]:
        return str(job["failureReason"])
    dropped = sum(job["dropped"].values())
    return f"{job['applied']} kept" + (f", {dropped} dropped" if dropped else "")


def _extent(actor: str | None, session: str | None, path: str | None) -> dict[str, Any]:
    members = {"actor": actor, "session": session, "namespacePath": path}
    return {name: value for name, value in members.items() if value is not None}


def memory_path(name: str) -> str:
    return f"/-/v1/memories/{quote(name, safe='')}"
