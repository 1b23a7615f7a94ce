"""The AWS operations of events, sessions and actors: bedrock-agentcore."""

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.events.model import Event
from innkeeper.services.memory.events.service import Events

_PAGE = 20


class EventOperations:
    def __init__(self, events: Events) -> None:
        self._events = events

    async def create_event(self, call: Call, params: Document) -> Document:
        return {"event": _event(await self._events.create(call.caller, params))}

    async def ingest_data(self, call: Call, params: Document) -> Document:
        made = await self._events.ingest(call.caller, params)
        return {"sessionId": made.key.session}

    async def get_event(self, call: Call, params: Document) -> Document:
        return {"event": _event(await self._events.get(call.caller, params))}

    async def delete_event(self, call: Call, params: Document) -> Document:
        await self._events.delete(call.caller, params)
        return {"eventId": params["eventId"]}

    async def list_events(self, call: Call, params: Document) -> Document:
        page = await self._events.list(call.caller, params, _page(params))
        return {"events": [_event(one) for one in page.items], "nextToken": page.next_token}

    async def list_sessions(self, call: Call, params: Document) -> Document:
        page = await self._events.sessions(call.caller, params, _page(params))
        shown = [
            {"sessionId": session, "actorId": params["actorId"], "createdAt": created_at}
            for session, created_at in page.items
        ]
        return {"sessionSummaries": shown, "nextToken": page.next_token}

    async def list_actors(self, call: Call, params: Document) -> Document:
        page = await self._events.actors(call.caller, params["memoryId"], _page(params))
        return {"actorSummaries": [{"actorId": one} for one in page.items], "nextToken": page.next_token}


def _page(params: Document) -> PageRequest:
    return PageRequest.of(params.get("maxResults", _PAGE), params.get("nextToken"))


def _event(event: Event) -> Document:
    shown = {
        "memoryId": event.key.memory,
        "actorId": event.key.actor,
        "sessionId": event.key.session,
        "eventId": event.id,
        "eventTimestamp": event.happened_at,
        "payload": event.payload,
    }
    if event.branch is not None:
        shown["branch"] = {"name": event.branch, "rootEventId": event.root_event_id}
    return {**shown, "metadata": event.metadata} if event.metadata else shown
