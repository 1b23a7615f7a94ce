"""The deployed agents, by name."""

from typing import Any
from urllib.parse import quote

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed

Document = dict[str, Any]


def all_runtimes(api: Api) -> list[Document]:
    """Summaries as ListAgentRuntimes gives them."""
    pages = api.client("bedrock-agentcore-control").get_paginator("list_agent_runtimes").paginate()
    return [runtime for page in pages for runtime in page["agentRuntimes"]]


def search(api: Api, name: str) -> Document | None:
    return next((found for found in all_runtimes(api) if found["agentRuntimeName"] == name), None)


def find(api: Api, name: str) -> Document:
    """Raises CommandFailed that names the agents there are."""
    found = search(api, name)
    if found is None:
        names = ", ".join(sorted(runtime["agentRuntimeName"] for runtime in all_runtimes(api)))
        known = f"there are: {names}" if names else "none is deployed yet: innkeeper deploy PATH"
        raise CommandFailed(f"no agent is named {name}; {known}")
    return found


def endpoints(api: Api, runtime_id: str) -> list[Document]:
    client = api.client("bedrock-agentcore-control")
    pages = client.get_paginator("list_agent_runtime_endpoints").paginate(agentRuntimeId=runtime_id)
    return [endpoint for page in pages for endpoint in page["runtimeEndpoints"]]


def sessions(api: Api, runtime_id: str) -> list[Document]:
    """All sessions that the server remembers, the last used first."""
    found = pages(api, f"/-/v1/runtimes/{quote(runtime_id, safe='')}/sessions", "sessions")
    return sorted(found, key=lambda session: str(session["lastUsedAt"]), reverse=True)


def path(api: Api, name: str, kind: str) -> str:
    """Of what an agent has of a kind, such as its snapshots, below `/-/v1`."""
    return f"/-/v1/runtimes/{quote(find(api, name)['agentRuntimeId'], safe='')}/{kind}"


def pages(api: Api, path: str, kind: str) -> list[Document]:
    """All of a native list."""
    found: list[Document] = []
    query = ""
    while True:
        page = api.call("GET", path + query)
        found += page[kind]
        if not page.get("nextToken"):
            return found
        query = f"?nextToken={quote(page['nextToken'], safe='')}"


def find_live(api: Api, name: str, session: str) -> tuple[Document, Document]:
    """The agent and its live session of this id. Raises CommandFailed."""
    runtime = find(api, name)
    for found in live(sessions(api, runtime["agentRuntimeId"])):
        if found["sessionId"] == session:
            return runtime, found
    raise CommandFailed(f"{name} has no live session {session}; see: innkeeper sessions {name}")


def change(api: Api, name: str, session: str, action: str, body: Document | None = None) -> Document:
    """Do a native operation on a session that has not ended, as `pause` or `fork`; the state after it."""
    runtime, found = find_live(api, name, session)
    parts = (quote(text, safe="") for text in (runtime["agentRuntimeId"], found["sessionId"], action))
    path = "/-/v1/runtimes/{}/sessions/{}/{}".format(*parts)
    changed: Document = api.call("POST", f"{path}?endpoint={quote(found['endpoint'], safe='')}", body)
    return changed


def live(found: list[Document]) -> list[Document]:
    return [session for session in found if not session.get("endedAt")]
