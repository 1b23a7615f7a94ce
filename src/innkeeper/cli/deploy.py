"""`innkeeper deploy`: a folder or a file becomes a running agent."""

import hashlib
import re
import sys
import tempfile
from pathlib import Path
from typing import Annotated, Any

import typer

from innkeeper.cli import archive, runtimes
from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.options import DataDir, Json
from innkeeper.cli.pairs import pairs
from innkeeper.cli.ready import endpoint_ready, runtime_ready
from innkeeper.cli.terminal import print_json, say

Document = dict[str, Any]

AGENT_ROLE = "InnkeeperAgentRole"
PYTHONS = ("3.10", "3.11", "3.12", "3.13", "3.14")
PROTOCOLS = ("HTTP", "MCP", "A2A", "AGUI")
OWN_PYTHON = f"{sys.version_info.major}.{sys.version_info.minor}"

Source = Annotated[Path, typer.Argument(exists=True, help="A folder, or one Python file.", metavar="PATH")]
Name = Annotated[str, typer.Option(help="The agent's name.", show_default="the folder's or file's")]
EntryPoint = Annotated[str, typer.Option("--entrypoint", help="The file to run.", show_default="main.py")]
ProtocolName = Annotated[str, typer.Option(help=f"What the agent speaks: {', '.join(PROTOCOLS)}.")]
Python = Annotated[
    str, typer.Option(help=f"Python for the agent: {', '.join(PYTHONS)}.", show_default="the server's")
]
Env = Annotated[list[str] | None, typer.Option(help="A variable for the agent; repeatable.", metavar="K=V")]
Role = Annotated[str, typer.Option(help="ARN of the role it runs as.", show_default=AGENT_ROLE)]
EndpointName = Annotated[str, typer.Option(help="Also point this endpoint at the new version.")]
JwtUrl = Annotated[str, typer.Option("--jwt-discovery-url", help="Let bearers of this issuer's JWTs in.")]
Audiences = Annotated[list[str] | None, typer.Option("--jwt-audience", help="Allowed audience; repeatable.")]
Clients = Annotated[list[str] | None, typer.Option("--jwt-client", help="Allowed client; repeatable.")]
Headers = Annotated[
    list[str] | None, typer.Option("--allow-header", help="Request header to pass on; repeatable.")
]


def deploy(
    path: Source,
    name: Name = "",
    entry_point: EntryPoint = "",
    protocol: ProtocolName = "HTTP",
    python: Python = OWN_PYTHON,
    env: Env = None,
    role: Role = "",
    endpoint: EndpointName = "",
    jwt_discovery_url: JwtUrl = "",
    jwt_audience: Audiences = None,
    jwt_client: Clients = None,
    allow_header: Headers = None,
    data_dir: DataDir = None,
    as_json: Json = False,
) -> None:
    """Deploy an agent, or a new version of it."""
    source = path.resolve()
    name = name or default_name(source)
    settings: Document = {
        "protocolConfiguration": {"serverProtocol": _one_of(protocol.upper(), PROTOCOLS, "--protocol")},
        "environmentVariables": pairs(env, "--env"),
        "networkConfiguration": {"networkMode": "PUBLIC"},
    }
    if jwt_discovery_url:
        settings["authorizerConfiguration"] = _authorizer(jwt_discovery_url, jwt_audience, jwt_client)
    elif jwt_audience or jwt_client:
        raise typer.BadParameter("needs --jwt-discovery-url too", param_hint="--jwt-audience, --jwt-client")
    if allow_header:
        settings["requestHeaderConfiguration"] = {"requestHeaderAllowlist": allow_header}
    code: Document = {
        "runtime": f"PYTHON_{_one_of(python, PYTHONS, '--python').replace('.', '_')}",
        "entryPoint": [entry_file(source, entry_point)],
    }

    api = Api.connect(data_dir)
    account = api.account()
    code["code"] = {"s3": _upload(api, name, source)}
    settings["agentRuntimeArtifact"] = {"codeConfiguration": code}
    settings["roleArn"] = role or f"arn:aws:iam::{account}:role/{AGENT_ROLE}"
    deployed = _create_or_update(api, name, settings)
    version = deployed["agentRuntimeVersion"]
    if endpoint:
        _point(api, deployed["agentRuntimeId"], endpoint, version)
    endpoint_ready(api, deployed["agentRuntimeId"], endpoint or "DEFAULT", version)
    _report(name, deployed, endpoint, data_dir, as_json)


def default_name(source: Path) -> str:
    """The folder's or file's name, in the letters that an agent's name may have."""
    name = re.sub(r"\W", "_", source.stem if source.is_file() else source.name, flags=re.ASCII)
    return (name if name[:1].isalpha() else f"agent_{name}")[:48]


def entry_file(source: Path, given: str) -> str:
    """The file to run, relative to the archive. Raises CommandFailed when it is not there."""
    if source.is_file():
        if given not in ("", source.name):
            raise CommandFailed(f"{source.name} is the only file of this agent; leave --entrypoint out")
        return source.name
    entry = given or "main.py"
    if not (source / entry).is_file():
        raise CommandFailed(f"{source} holds no {entry}; name the file to run: --entrypoint FILE")
    return entry


def _one_of(value: str, allowed: tuple[str, ...], option: str) -> str:
    if value not in allowed:
        raise typer.BadParameter(f"{value} is not one of {', '.join(allowed)}", param_hint=option)
    return value


def _authorizer(url: str, audiences: list[str] | None, clients: list[str] | None) -> Document:
    authorizer: Document = {"discoveryUrl": url}
    if audiences:
        authorizer["allowedAudience"] = audiences
    if clients:
        authorizer["allowedClients"] = clients
    return {"customJWTAuthorizer": authorizer}


def _upload(api: Api, name: str, source: Path) -> Document:
    """Put the code into this account's bucket, under a key that its contents name."""
    bucket = api.own_bucket("code")
    with tempfile.TemporaryFile() as archived:
        names = archive.pack(source, archived)
        size = archived.tell()
        archived.seek(0)
        digest = hashlib.file_digest(archived, "sha256").hexdigest()
        archived.seek(0)
        key = f"{name}/{digest[:32]}.zip"
        say(f"Uploading {len(names)} files ({size / 1024:.0f} KiB) to s3://{bucket}/{key}")
        api.client("s3").upload_fileobj(archived, bucket, key)
    return {"bucket": bucket, "prefix": key}


def _create_or_update(api: Api, name: str, settings: Document) -> Document:
    """The runtime as GetAgentRuntime gives it, once it is ready."""
    control = api.client("bedrock-agentcore-control")
    existing = runtimes.search(api, name)
    if existing:
        answer = control.update_agent_runtime(agentRuntimeId=existing["agentRuntimeId"], **settings)
    else:
        answer = control.create_agent_runtime(agentRuntimeName=name, **settings)
    return runtime_ready(api, name, answer["agentRuntimeId"])


def _point(api: Api, runtime_id: str, endpoint: str, version: str) -> None:
    control = api.client("bedrock-agentcore-control")
    known = {found["name"] for found in runtimes.endpoints(api, runtime_id)}
    target = {"agentRuntimeId": runtime_id, "agentRuntimeVersion": version}
    if endpoint in known:
        control.update_agent_runtime_endpoint(endpointName=endpoint, **target)
    else:
        control.create_agent_runtime_endpoint(name=endpoint, **target)


def _report(name: str, deployed: Document, endpoint: str, data_dir: Path | None, as_json: bool) -> None:
    if as_json:
        members = ("agentRuntimeArn", "agentRuntimeId", "agentRuntimeName", "agentRuntimeVersion", "status")
        print_json({member: deployed[member] for member in members})
        return
    options = "".join(
        f" {option} {value}"
        for option, value in (("--endpoint", endpoint), ("--data-dir", data_dir))
        if value
    )
    typer.echo(
        f"{name} is ready, version {deployed['agentRuntimeVersion']}\n"
        f"  arn       {deployed['agentRuntimeArn']}\n"
        f'  next      innkeeper invoke {name}{options} \'{{"prompt": "hello"}}\''
    )
