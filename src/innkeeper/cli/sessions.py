"""`innkeeper sessions`: the sessions of an agent, and what all sessions used."""

from typing import Annotated
from urllib.parse import quote

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, print_table, say

Name = Annotated[
    str | None, typer.Argument(help="Name of a deployed agent; for use, all if left out.", metavar="NAME")
]
All = Annotated[bool, typer.Option("--all", help="Ended sessions too.")]
Usage = Annotated[
    bool, typer.Option("--usage", help="What sessions used and what it costs, live ones and ended ones.")
]

COLUMNS = {
    "SESSION": "sessionId",
    "ENDPOINT": "endpoint",
    "VERSION": "version",
    "STATUS": "status",
    "LAST USED": "lastUsedAt",
    "ENDED": "endedAt",
    "REASON": "endReason",
    "CPU S": "cpuSeconds",
    "PEAK MIB": "memoryPeakMib",
}


USAGE_COLUMNS = {
    "KIND": "kind",
    "AGENT": "agent",
    "SESSION": "session",
    "SECONDS": "seconds",
    "CPU S": "cpuSeconds",
    "PEAK MIB": "memoryPeakMib",
    "GB S": "memoryGbSeconds",
    "USD": "costUsd",
}


def sessions(
    name: Name = None,
    every: All = False,
    usage: Usage = False,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """List an agent's sessions, or what sessions used."""
    if name is None and not usage:
        raise CommandFailed("give the NAME of an agent, or --usage for all sessions")
    api = Api.connect(data_dir)
    if usage:
        _show_usage(api, name, as_json)
    elif name is not None:
        _show_sessions(api, name, every, as_json)


def _show_sessions(api: Api, name: str, every: bool, as_json: bool) -> None:
    found = runtimes.sessions(api, runtimes.find(api, name)["agentRuntimeId"])
    shown = found if every else runtimes.live(found)
    if as_json:
        print_json({"sessions": shown})
        return
    print_table(list(COLUMNS), [[session.get(member) for member in COLUMNS.values()] for session in shown])
    if len(shown) < len(found):
        say(f"{len(found) - len(shown)} ended; see them with: innkeeper sessions {name} --all")


def _show_usage(api: Api, name: str | None, as_json: bool) -> None:
    of_agent = f"&agent={quote(runtimes.find(api, name)['agentRuntimeId'], safe='')}" if name else ""
    report = api.call("GET", f"/-/v1/usage?limit=1000{of_agent}")
    if as_json:
        print_json(report)
        return
    lines = [*report["usage"], {"kind": "total", **report["total"]}]
    rows = [[line.get(member) for member in USAGE_COLUMNS.values()] for line in lines]
    print_table(list(USAGE_COLUMNS), [[*row[:-1], f"{row[-1]:.4f}"] for row in rows])
