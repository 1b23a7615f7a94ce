"""`innkeeper status`: the server and what is deployed on it."""

from typing import Annotated, Any

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json, print_table, say

Document = dict[str, Any]
OneName = Annotated[str, typer.Argument(help="One agent only.", metavar="NAME", show_default="all")]


def status(name: OneName = "", data_dir: DataDir = None, as_json: Json = False) -> None:
    """Show the server, the agents, their endpoints and live sessions."""
    api = Api.connect(data_dir)
    found = [runtimes.find(api, name)] if name else runtimes.all_runtimes(api)
    agents = [_agent(api, runtime) for runtime in found]
    if as_json:
        print_json({"server": _server(api), "agents": agents})
        return
    server = api.server
    typer.echo(f"Innkeeper {server.version} at {server.url}, pid {server.pid}, data in {server.data_dir}")
    if not agents:
        say("No agent is deployed yet: innkeeper deploy PATH")
        return
    typer.echo("")
    columns = ("AGENT", "STATUS", "ENDPOINT", "VERSION", "ENDPOINT STATUS", "LIVE SESSIONS")
    print_table(columns, [row for agent in agents for row in _rows(agent)])


def _server(api: Api) -> Document:
    server = api.server
    known = {"url": server.url, "pid": server.pid, "version": server.version}
    return known | {"dataDir": str(server.data_dir)}


def _agent(api: Api, runtime: Document) -> Document:
    runtime_id = runtime["agentRuntimeId"]
    live = runtimes.live(runtimes.sessions(api, runtime_id))
    return runtime | {"endpoints": runtimes.endpoints(api, runtime_id), "liveSessions": live}


def _rows(agent: Document) -> list[list[object]]:
    return [
        [
            agent["agentRuntimeName"],
            agent["status"],
            endpoint["name"],
            endpoint.get("liveVersion"),
            endpoint["status"],
            sum(session["endpoint"] == endpoint["name"] for session in agent["liveSessions"]),
        ]
        for endpoint in agent["endpoints"]
    ]
