"""`innkeeper rm`: delete an agent."""

import sys
import time
from typing import Annotated, Any

import typer

from innkeeper.cli import runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json, RuntimeName
from innkeeper.cli.terminal import print_json, progress

Yes = Annotated[bool, typer.Option("--yes", "-y", help="Do not ask.")]

TIMEOUT_SECONDS = 120.0
POLL_SECONDS = 0.25


def rm(name: RuntimeName, yes: Yes = False, data_dir: DataDir = None, as_json: Json = False) -> None:
    """Delete an agent with its versions, endpoints, sessions and their storage."""
    api = Api.connect(data_dir)
    runtime = runtimes.find(api, name)
    if not yes:
        if not sys.stdin.isatty():
            raise CommandFailed(f"deleting {name} needs a yes; give --yes")
        typer.confirm(f"Delete {name} with all its versions and sessions?", abort=True, err=True)
    control = api.client("bedrock-agentcore-control")
    control.delete_agent_runtime(agentRuntimeId=runtime["agentRuntimeId"])
    _wait_until_gone(control, name, runtime["agentRuntimeId"])
    if as_json:
        print_json({"deleted": runtime["agentRuntimeArn"]})
    else:
        typer.echo(f"Deleted {name}.")


def _wait_until_gone(control: Any, name: str, runtime_id: str) -> None:
    deadline = time.monotonic() + TIMEOUT_SECONDS
    with progress(f"{name}: deleting"):
        while time.monotonic() < deadline:
            try:
                found = control.get_agent_runtime(agentRuntimeId=runtime_id)
            except control.exceptions.ResourceNotFoundException:
                return
            if found["status"] == "DELETE_FAILED":
                raise CommandFailed(
                    f"{name} is DELETE_FAILED: {found.get('failureReason', 'no reason given')}"
                )
            time.sleep(POLL_SECONDS)
    raise CommandFailed(f"{name} is still not deleted after {TIMEOUT_SECONDS:.0f} s; see innkeeper status")
