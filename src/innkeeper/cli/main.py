"""The `innkeeper` command: every command is a file of this folder."""

import sys
from typing import Annotated

import typer

from innkeeper.cli.code import code
from innkeeper.cli.context import blocks, context
from innkeeper.cli.deploy import deploy
from innkeeper.cli.doctor import doctor
from innkeeper.cli.documents import documents
from innkeeper.cli.down import down
from innkeeper.cli.env import env
from innkeeper.cli.failure import explain
from innkeeper.cli.fork import fork
from innkeeper.cli.hibernate import hibernate
from innkeeper.cli.invoke import invoke
from innkeeper.cli.keys import keys
from innkeeper.cli.logs import logs
from innkeeper.cli.master_key import master_key
from innkeeper.cli.memory import memory
from innkeeper.cli.notes import correct, forget, records, token, tokens
from innkeeper.cli.pause import pause
from innkeeper.cli.restore import restore
from innkeeper.cli.resume import resume
from innkeeper.cli.rm import rm
from innkeeper.cli.safety import audit, quarantine, rollback, safety
from innkeeper.cli.sandbox import sandbox
from innkeeper.cli.secrets import secrets
from innkeeper.cli.sessions import sessions
from innkeeper.cli.snapshot import snapshot
from innkeeper.cli.snapshots import snapshots
from innkeeper.cli.status import status
from innkeeper.cli.stop import stop
from innkeeper.cli.templates import templates
from innkeeper.cli.up import up
from innkeeper.cli.url import url

app = typer.Typer(
    name="innkeeper",
    help="A self-hosted home for AI agents that speaks the Amazon Bedrock AgentCore wire protocol.",
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
_COMMANDS = (
    *(up, down, env, deploy, invoke, code, sessions, logs, pause, hibernate, resume, fork),
    *(snapshot, restore, url, stop, status, rm, doctor),
)
for command in _COMMANDS:
    app.command()(command)
memory.command()(context)
memory.command()(blocks)
memory.command()(safety)
memory.command()(quarantine)
memory.command()(rollback)
memory.command()(audit)
for of_actor in (token, records, correct, forget):
    memory.command()(of_actor)
memory.add_typer(tokens, name="tokens")
memory.add_typer(documents, name="documents")
app.add_typer(keys, name="keys")
app.add_typer(master_key, name="master-key")
app.add_typer(memory, name="memory")
app.add_typer(sandbox, name="sandbox")
app.add_typer(secrets, name="secrets")
app.add_typer(snapshots, name="snapshots")
app.add_typer(templates, name="templates")


def _print_version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        typer.echo(version("innkeeper"))
        raise typer.Exit


@app.callback()
def innkeeper(
    version: Annotated[
        bool, typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version.")
    ] = False,
) -> None:
    """A self-hosted home for AI agents that speaks the Amazon Bedrock AgentCore wire protocol."""


def main() -> None:
    try:
        app()
    except Exception as error:
        typer.echo(f"error: {explain(error)}", err=True)
        sys.exit(1)
