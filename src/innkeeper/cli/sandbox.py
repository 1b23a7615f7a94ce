"""`innkeeper sandbox`: rooms of your own, to run commands in, to keep and to copy."""

import base64
import json
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import quote, urlencode

import typer

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.pairs import pairs
from innkeeper.cli.sandbox_files import SandboxFiles
from innkeeper.cli.sse import lines
from innkeeper.cli.terminal import print_json, print_table, progress, say

Document = dict[str, Any]

sandbox = typer.Typer(help="Manage sandboxes of your own.", no_args_is_help=True)

Id = Annotated[str, typer.Argument(help="The sandbox's id.", metavar="ID")]
Template = Annotated[str, typer.Option(help="A template's name, or a snapshot's name or id.")]
Seconds = Annotated[int, typer.Option("--timeout", min=1, help="Time to live in seconds.")]
Env = Annotated[list[str] | None, typer.Option(help="A variable; repeatable.", metavar="K=V")]
Meta = Annotated[list[str] | None, typer.Option(help="A mark to find it by; repeatable.", metavar="K=V")]
Network = Annotated[str, typer.Option(help="none, listed or public.", show_default="the snapshot's, or none")]
Allow = Annotated[
    list[str] | None,
    typer.Option(
        help="A name, *.NAME, address or range that the network listed reaches; repeatable.", metavar="WHERE"
    ),
]
Deny = Annotated[list[str] | None, typer.Option(help="What it reaches no more; repeatable.", metavar="WHERE")]
OnTimeout = Annotated[str, typer.Option(help="kill or pause.")]
Cores = Annotated[float, typer.Option("--cpus", help="Processor cores.", show_default="all it may have")]
Memory = Annotated[int, typer.Option("--memory", help="MiB of memory.", show_default="all it may have")]
Words = Annotated[list[str], typer.Argument(help="The command, after --.", metavar="COMMAND")]
Folder = Annotated[str, typer.Option(help="Where to run it.", show_default="/home/agent")]
Stdin = Annotated[bool, typer.Option("--stdin", help="Give it what comes on stdin.")]
Name = Annotated[str, typer.Option(help="A name for the snapshot.")]
Count = Annotated[int, typer.Option(min=1, help="How many.")]
Every = Annotated[bool, typer.Option("--all", help="Ended ones too.")]
OfSnapshots = Annotated[bool, typer.Option("--snapshots", help="Snapshots instead.")]
OfSnapshot = Annotated[bool, typer.Option("--snapshot", help="ID is a snapshot's name or id.")]

LISTED = "listed"
INSIDE = re.compile("[a-zA-Z0-9]+:")
LEFT_OUT_SHOWN = 10
ADDRESS = re.compile(r"[0-9.]+(/[0-9]+)?(:[0-9-]+)?")  # as the server reads them
COLUMNS = {"ID": "id", "TEMPLATE": "template", "STATE": "state", "STARTED": "startedAt", "ENDS": "endsAt"}
SNAPSHOT_COLUMNS = {
    "ID": "id",
    "NAME": "name",
    "SANDBOX": "sandbox",
    "KIND": "kind",
    "BYTES": "sizeBytes",
    "CREATED": "createdAt",
}


@sandbox.command()
def create(
    template: Template = "base",
    timeout: Seconds = 300,
    env: Env = None,
    meta: Meta = None,
    network: Network = "",
    allow: Allow = None,
    on_timeout: OnTimeout = "kill",
    cpus: Cores = 0,
    memory: Memory = 0,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Make a sandbox; prints its id."""
    if bool(cpus) != bool(memory):
        raise typer.BadParameter("give both or neither", param_hint="--cpus, --memory")
    if allow and network not in ("", LISTED):
        raise typer.BadParameter("is for the network listed", param_hint="--allow")
    wanted = {
        "template": template,
        "timeoutSeconds": timeout,
        "environment": pairs(env, "--env"),
        "metadata": pairs(meta, "--meta"),
        "network": LISTED if allow else network or None,
        "egress": _lines_of(allow) if allow else None,
        "onTimeout": on_timeout,
        "limits": {"cpuCores": cpus, "memoryMib": memory} if cpus else None,
    }
    _show(Api.connect(data_dir).call("POST", "/-/v1/sandboxes", wanted), as_json)


@sandbox.command("exec")
def execute(
    id_: Id,
    command: Words,
    folder: Folder = "",
    env: Env = None,
    with_stdin: Stdin = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Run a command; a sandbox that sleeps is woken. Exits as the command does."""
    stdin = sys.stdin.buffer.read() if with_stdin else b""
    order = {
        "argv": command,
        "environment": pairs(env, "--env"),
        "workingDirectory": folder or None,
        "stdin": base64.b64encode(stdin).decode(),
    }
    answer = Api.connect(data_dir).send("POST", _path(id_, "exec"), json.dumps(order).encode(), {})
    kept: dict[str, bytes] = {"stdout": b"", "stderr": b""}
    end: Document = {"error": "the server broke off"}
    for line in lines(answer.chunks()):
        event = json.loads(line)
        for name in kept.keys() & event.keys():
            data = base64.b64decode(event[name])
            kept[name] += data if as_json else b""
            if not as_json:
                stream = sys.stdout.buffer if name == "stdout" else sys.stderr.buffer
                stream.write(data)
                stream.flush()
        end = event
    if "error" in end:
        raise CommandFailed(str(end["error"]))
    code = int(end["exitCode"])
    if as_json:
        print_json({**{name: data.decode(errors="replace") for name, data in kept.items()}, "exitCode": code})
    raise typer.Exit(code if code >= 0 else 128 - code)


@sandbox.command("network")
def change_network(
    id_: Id, allow: Allow = None, deny: Deny = None, data_dir: DataDir = None, as_json: Json = False
) -> None:
    """Show or change, while it runs, what a sandbox with the network listed reaches."""
    api = Api.connect(data_dir)
    found = api.call("GET", _path(id_))
    if "egress" not in found:
        raise CommandFailed(f"sandbox {id_} has the network {found['network']}; it was not made as listed")
    listed = found["egress"]
    if allow or deny:
        added, gone = _lines_of(allow or []), set(deny or [])
        if unknown := gone - {*listed["domains"], *listed["cidrs"]}:
            raise CommandFailed(f"not on the list: {', '.join(sorted(unknown))}")
        for kind, old in listed.items():
            listed[kind] = [line for line in dict.fromkeys([*old, *added[kind]]) if line not in gone]
        api.call("POST", _path(id_, "egress"), listed)
    if as_json:
        print_json(listed)
        return
    for line in (*listed["domains"], *listed["cidrs"]):
        typer.echo(line)


@sandbox.command()
def cp(
    source: Annotated[str, typer.Argument(help="A file or folder here, or ID:PATH.", metavar="FROM")],
    target: Annotated[str, typer.Argument(help="The same, in the other place.", metavar="TO")],
    most_mib: Annotated[int, typer.Option("--most", min=1, help="MiB to fetch at most.")] = 16_384,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Copy a file or folder into a sandbox or out of it: into a folder that is there, or to a new name."""
    inward = bool(INSIDE.match(target))
    if bool(INSIDE.match(source)) == inward:
        raise typer.BadParameter("one of the two must be ID:PATH", param_hint="FROM, TO")
    id_, _, path = (target if inward else source).partition(":")
    local = Path(source if inward else target)
    total = 0
    with progress("Copying ...") as say_now:

        def tell(size: int) -> None:
            nonlocal total
            total += size
            if sys.stderr.isatty():
                say_now(f"Copying ... {total / 1e6:.1f} MB")

        files = SandboxFiles(Api.connect(data_dir), id_, tell)
        left_out = files.put(local, path) if inward else files.get(path, local, most_mib << 20)
    if as_json:
        print_json({"bytes": total, "leftOut": left_out})
        return
    for name in left_out[:LEFT_OUT_SHOWN]:
        say(f"left out, for it leads elsewhere or is no file: {name!r}")
    if len(left_out) > LEFT_OUT_SHOWN:
        say(f"and {len(left_out) - LEFT_OUT_SHOWN} more")
    typer.echo(f"{total} bytes in {target}")


@sandbox.command()
def pause(id_: Id, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Freeze it: it keeps its memory and uses no processor, until it is used again."""
    _show(_change(data_dir, id_, "pause"), as_json)


@sandbox.command()
def hibernate(id_: Id, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Put it on disk until it is used again: it keeps neither memory nor processor busy."""
    _show(_change(data_dir, id_, "hibernate"), as_json)


@sandbox.command()
def resume(id_: Id, timeout: Seconds = 300, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Wake it, for at least so long from now."""
    _show(_change(data_dir, id_, "resume", timeoutSeconds=timeout), as_json)


@sandbox.command()
def snapshot(id_: Id, name: Name = "", data_dir: DataDir = None, as_json: Json = False) -> None:
    """Keep a durable copy, which new sandboxes can be made from; prints its id."""
    _show(_change(data_dir, id_, "snapshot", name=name or None), as_json)


@sandbox.command()
def fork(id_: Id, count: Count = 1, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Make sandboxes that go on from where this one is; prints their ids."""
    made = _change(data_dir, id_, "fork", count=count)
    if as_json:
        print_json(made)
        return
    for one in made["sandboxes"]:
        typer.echo(one["id"])


@sandbox.command("ls")
def list_all(
    every: Every = False,
    of_snapshots: OfSnapshots = False,
    meta: Meta = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List sandboxes, or snapshots."""
    query = [("metadata", f"{key}={value}") for key, value in pairs(meta, "--meta").items()]
    if every:
        query += [("state", word) for word in ("RUNNING", "PAUSED", "HIBERNATED", "TERMINATED")]
    kind = "snapshots" if of_snapshots else "sandboxes"
    found = _pages(Api.connect(data_dir), kind, query)
    if as_json:
        print_json({kind: found})
        return
    columns = SNAPSHOT_COLUMNS if of_snapshots else COLUMNS
    print_table(list(columns), [[one.get(member) for member in columns.values()] for one in found])


@sandbox.command("rm")
def remove(id_: Id, of_snapshot: OfSnapshot = False, data_dir: DataDir = None, as_json: Json = False) -> None:
    """End a sandbox, or delete a snapshot."""
    kind = "snapshots" if of_snapshot else "sandboxes"
    Api.connect(data_dir).call("DELETE", f"/-/v1/{kind}/{quote(id_, safe='')}")
    if as_json:
        print_json({"id": id_, "removed": True})
    else:
        typer.echo(f"Removed {id_}.")


def _path(id_: str, *words: str) -> str:
    return "/".join(("/-/v1/sandboxes", quote(id_, safe=""), *words))


def _lines_of(where: Sequence[str]) -> dict[str, list[str]]:
    """As the server takes them: names apart from addresses."""
    cidrs = [line for line in where if ADDRESS.fullmatch(line)]
    return {"domains": [line for line in where if line not in cidrs], "cidrs": cidrs}


def _change(data_dir: Path | None, id_: str, word: str, **members: Any) -> Document:
    changed: Document = Api.connect(data_dir).call("POST", _path(id_, word), members)
    return changed


def _show(record: Document, as_json: bool) -> None:
    if as_json:
        print_json(record)
    else:
        typer.echo(record["id"])


def _pages(api: Api, kind: str, query: list[tuple[str, str]]) -> list[Document]:
    found: list[Document] = []
    token: str | None = None
    while True:
        asked = [*query, ("nextToken", token)] if token else query
        page = api.call("GET", f"/-/v1/{kind}?{urlencode(asked, quote_via=quote)}")
        found += page[kind]
        token = page["nextToken"]
        if not token:
            return found
