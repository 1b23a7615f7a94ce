"""Tag operations of bedrock-agentcore-control."""

from innkeeper.kernel.call import Call, Document
from innkeeper.services.tags.service import Tags


class TagOperations:
    def __init__(self, tags: Tags) -> None:
        self._tags = tags

    async def tag_resource(self, call: Call, params: Document) -> Document:
        await self._tags.put(call.caller, params["resourceArn"], params["tags"])
        return {}

    async def untag_resource(self, call: Call, params: Document) -> Document:
        await self._tags.remove(call.caller, params["resourceArn"], params["tagKeys"])
        return {}

    async def list_tags_for_resource(self, call: Call, params: Document) -> Document:
        return {"tags": await self._tags.list(call.caller, params["resourceArn"])}
