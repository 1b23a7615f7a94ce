"""A server of OpenAI's moderations on a loopback port, that finds what tests can foresee."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from tests.engines.models.scripted.serving import serving

# What stands in a text, and the category that it is of.
FOUND = {"Ignore all": "prompt_injection", "evasion": "prompt_injection", "knives": "violence"}


class ModerationServer:
    """`script` holds the first answers: one of them that is None never comes."""

    def __init__(self) -> None:
        self.url = ""
        self.keys: list[str] = []
        self.asked: list[list[str]] = []
        self.script: list[Response | None] = []

    async def moderate(self, request: Request) -> Response:
        body = await request.json()
        self.keys.append(request.headers["authorization"])
        self.asked.append(body["input"])
        if self.script:
            answer = self.script.pop(0)
            if answer is None:
                await asyncio.sleep(3600)
            return answer or Response()
        return JSONResponse({"model": body["model"], "results": list(map(_result, body["input"]))})


def _result(text: str) -> dict[str, Any]:
    found = {category for words, category in FOUND.items() if words in text}
    categories = {category: category in found for category in FOUND.values()}
    return {"flagged": bool(found), "categories": categories, "category_scores": {}}


@asynccontextmanager
async def moderation_server() -> AsyncIterator[ModerationServer]:
    server = ModerationServer()
    routes = [Route("/v1/moderations", server.moderate, methods=["POST"])]
    async with serving(Starlette(routes=routes)) as url:
        server.url = f"{url}/v1"
        yield server
