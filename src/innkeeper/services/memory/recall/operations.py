"""The AWS operation that finds records again: bedrock-agentcore."""

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.page import Cursor, PageRequest
from innkeeper.services.memory.namespaces import Scope
from innkeeper.services.memory.recall.service import Recall
from innkeeper.services.memory.records.operations import summary
from innkeeper.services.memory.service import place

_FOUND = Cursor("memory records that were found", int)


class RecallOperations:
    def __init__(self, recall: Recall) -> None:
        self._recall = recall

    async def retrieve_memory_records(self, call: Call, params: Document) -> Document:
        request = PageRequest.of(params.get("maxResults"), params.get("nextToken"))
        scope, query = Scope.of(params), params["searchCriteria"]["searchQuery"]
        cursor = _FOUND.of(*place(call.caller, params["memoryId"]), scope.path, str(scope.subtree), query)
        (start,) = cursor.after(request) or (0,)
        hits = await self._recall.retrieve(call.caller, params)
        ranks = list(range(start, len(hits)))[: request.size + 1]
        page = cursor.page(request, ranks, key=lambda rank: (rank + 1,))
        shown = [{**summary(hits[rank].item), "score": hits[rank].relevance} for rank in page.items]
        return {"memoryRecordSummaries": shown, "nextToken": page.next_token}
