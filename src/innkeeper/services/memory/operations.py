"""The AWS operations of memories themselves: bedrock-agentcore-control."""

from datetime import datetime

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.model import Memory, MemoryStatus
from innkeeper.services.memory.service import Memories

_TIMES = ("createdAt", "updatedAt")


class MemoryOperations:
    def __init__(self, memories: Memories) -> None:
        self._memories = memories

    async def create_memory(self, call: Call, params: Document) -> Document:
        made = await self._memories.create(call.caller, params)
        return {"memory": {**_memory(made), "status": "CREATING"}}

    async def get_memory(self, call: Call, params: Document) -> Document:
        return {"memory": _memory(await self._memories.get(call.caller, params["memoryId"]))}

    async def list_memories(self, call: Call, params: Document) -> Document:
        request = PageRequest.of(params.get("maxResults"), params.get("nextToken"))
        page = await self._memories.list(call.caller, request)
        return {"memories": list(map(_summary, page.items)), "nextToken": page.next_token}

    async def update_memory(self, call: Call, params: Document) -> Document:
        return {"memory": _memory(await self._memories.update(call.caller, params))}

    async def delete_memory(self, call: Call, params: Document) -> Document:
        gone = await self._memories.delete(call.caller, params["memoryId"])
        return {"memoryId": gone.id, "status": MemoryStatus.DELETING}


def _summary(memory: Memory) -> Document:
    return {
        "id": memory.id,
        "arn": memory.arn,
        "status": memory.status,
        "createdAt": memory.created_at,
        "updatedAt": memory.updated_at,
    }


def _memory(memory: Memory) -> Document:
    return {
        **_summary(memory),
        **memory.configuration,
        "name": memory.name,
        "eventExpiryDuration": memory.event_expiry_days,
        "strategies": list(map(_strategy, memory.strategies)),
    }


def _strategy(strategy: Document) -> Document:
    return {**strategy, **{name: datetime.fromisoformat(strategy[name]) for name in _TIMES}}
