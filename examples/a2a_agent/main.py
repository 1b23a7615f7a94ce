"""A plain A2A server on port 9000: answers each message with its words turned round."""

import os

import uvicorn
from a2a.helpers.proto_helpers import new_text_message
from a2a.server.agent_execution import AgentExecutor, RequestContext
from a2a.server.events import EventQueue
from a2a.server.request_handlers import DefaultRequestHandler
from a2a.server.routes import create_agent_card_routes, create_jsonrpc_routes
from a2a.server.tasks import InMemoryTaskStore
from a2a.types import AgentCapabilities, AgentCard, AgentInterface, AgentSkill
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

URL = os.environ.get("AGENTCORE_RUNTIME_URL", "http://127.0.0.1:9000/")


class Reverser(AgentExecutor):
    async def execute(self, context: RequestContext, event_queue: EventQueue) -> None:
        words = context.get_user_input().split()
        await event_queue.enqueue_event(new_text_message(" ".join(reversed(words))))

    async def cancel(self, context: RequestContext, event_queue: EventQueue) -> None:
        raise NotImplementedError("an answer is there before it could be cancelled")


card = AgentCard(
    name="Reverser",
    description="Turns the words of a message round.",
    version="1.0.0",
    supported_interfaces=[
        AgentInterface(url=URL, protocol_binding="JSONRPC", protocol_version=version)
        for version in ("1.0", "0.3")
    ],
    capabilities=AgentCapabilities(streaming=True),
    default_input_modes=["text/plain"],
    default_output_modes=["text/plain"],
    skills=[AgentSkill(id="reverse", name="Reverse", description="Last word first.", tags=["text"])],
)


async def ping(_request: Request) -> JSONResponse:
    return JSONResponse({"status": "Healthy"})


handler = DefaultRequestHandler(Reverser(), InMemoryTaskStore(), card)
app = Starlette(
    routes=[
        Route("/ping", ping),
        *create_agent_card_routes(card),
        *create_jsonrpc_routes(handler, "/", enable_v0_3_compat=True),
    ]
)

if __name__ == "__main__":
    uvicorn.run(app, host="0.0.0.0", port=9000)  # noqa: S104 - its own room
