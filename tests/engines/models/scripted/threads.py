"""A scripted model server for those who have no event loop of their own."""

import json
from collections.abc import Iterator
from contextlib import contextmanager

from anyio.from_thread import start_blocking_portal

from tests.engines.models.scripted.server import ScriptedServer


@contextmanager
def in_thread(model: ScriptedServer) -> Iterator[ScriptedServer]:
    with start_blocking_portal() as portal, portal.wrap_async_context_manager(model) as running:
        yield running


def settings_for(model: ScriptedServer) -> dict[str, str]:
    """Of a server: let this OpenAI-compatible model answer for all of Bedrock's."""
    provider = {"kind": "openai", "base_url": model.url, "api_key": "a-key"}
    return {"models": json.dumps({"scripted": provider}), "model_ids": json.dumps({"*": "scripted/model"})}
