"""`innkeeper doctor`: what this machine offers, and what to install."""

from dataclasses import asdict

import typer

from innkeeper.cli.machine import State, checks
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.server import load_settings
from innkeeper.cli.terminal import print_json, print_table, progress, say


def doctor(data_dir: DataDir = None, as_json: Json = False) -> None:
    """Look at this machine; exit code 1 when it cannot host agents."""
    with progress("Looking at this machine"):
        found = list(checks(load_settings(data_dir)))
    if as_json:
        print_json({"checks": [asdict(check) for check in found]})
    else:
        print_table(("CHECK", "STATE", "FOUND"), [(check.name, check.state, check.detail) for check in found])
        for check in found:
            if check.fix and check.state is not State.OK:
                say(f"{check.name}: {check.fix}")
    if any(check.state is State.MISSING for check in found):
        raise typer.Exit(1)
