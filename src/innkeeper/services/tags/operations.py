"""Tag operations of bedrock-agentcore-control."""

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.policies import Authorize
from innkeeper.services.tags.service import Tags


class TagOperations:
    def __init__(self, tags: Tags, authorize: Authorize) -> None:
        self._tags = tags
        self._authorize = authorize

    async def tag_resource(self, call: Call, params: Document) -> Document:
        await self._authorize(call.caller, "bedrock-agentcore:TagResource", params["resourceArn"])
        await self._tags.put(call.caller, params["resourceArn"], params["tags"])
        return {}

    async def untag_resource(self, call: Call, params: Document) -> Document:
        await self._authorize(call.caller, "bedrock-agentcore:UntagResource", params["resourceArn"])
        await self._tags.remove(call.caller, params["resourceArn"], params["tagKeys"])
        return {}

    async def list_tags_for_resource(self, call: Call, params: Document) -> Document:
        await self._authorize(call.caller, "bedrock-agentcore:ListTagsForResource", params["resourceArn"])
        return {"tags": await self._tags.list(call.caller, params["resourceArn"])}
