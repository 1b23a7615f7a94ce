"""`innkeeper sessions`: the sessions of an agent."""

from typing import Annotated

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json, print_table, say

All = Annotated[bool, typer.Option("--all", help="Ended sessions too.")]

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


def sessions(name: RuntimeName, every: All = False, data_dir: DataDir = None, as_json: Json = False) -> None:
    """List an agent's sessions."""
    api = Api.connect(data_dir)
    found = runtimes.sessions(api, runtimes.find(api, name)["agentRuntimeId"])
    shown = found if every else runtimes.live(found)
    if as_json:
        print_json({"sessions": shown})
        return
    print_table(list(COLUMNS), [[session.get(member) for member in COLUMNS.values()] for session in shown])
    if len(shown) < len(found):
        say(f"{len(found) - len(shown)} ended; see them with: innkeeper sessions {name} --all")
