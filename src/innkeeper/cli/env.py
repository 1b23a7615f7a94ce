"""`innkeeper env`: what a client's environment needs, so that it speaks to this server."""

import shlex
from enum import StrEnum
from typing import Annotated

import typer

from innkeeper.cli import server
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.terminal import print_json


class Shell(StrEnum):
    SH = "sh"
    FISH = "fish"


# A session token or profile of another account would be used beside our key, and refused.
_IN_THE_WAY = ("AWS_SESSION_TOKEN", "AWS_PROFILE")

ShellOption = Annotated[Shell, typer.Option(help="Whose words to print; sh is for bash and zsh too.")]


def env(data_dir: DataDir = None, shell: ShellOption = Shell.SH, as_json: Json = False) -> None:
    """Print the exports for AWS clients: eval "$(innkeeper env)"."""
    variables = client_environment(server.find(data_dir))
    if as_json:
        print_json(variables)
    else:
        typer.echo("\n".join(_lines(variables, shell)))


def client_environment(found: server.Server) -> dict[str, str]:
    """Both what botocore reads, and what the `bedrock-agentcore` SDK and toolkit read beside it."""
    return {
        "AWS_ENDPOINT_URL": found.url,
        "AWS_ACCESS_KEY_ID": found.access_key_id,
        "AWS_SECRET_ACCESS_KEY": found.secret_access_key,
        "AWS_REGION": found.region,
        "AWS_DEFAULT_REGION": found.region,
        "BEDROCK_AGENTCORE_DP_ENDPOINT": found.url,
        "BEDROCK_AGENTCORE_CP_ENDPOINT": found.url,
        "AWS_EC2_METADATA_DISABLED": "true",
    }


def _lines(variables: dict[str, str], shell: Shell) -> list[str]:
    if shell is Shell.FISH:
        clear = [f"set -e {name};" for name in _IN_THE_WAY]
        return [*clear, *(f"set -gx {name} {shlex.quote(value)};" for name, value in variables.items())]
    clear = [f"unset {' '.join(_IN_THE_WAY)}"]
    return [*clear, *(f"export {name}={shlex.quote(value)}" for name, value in variables.items())]
