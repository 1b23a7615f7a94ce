"""The AWS operation that finds records again: bedrock-agentcore."""

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.page import Cursor, PageRequest
from innkeeper.services.memory.recall.service import Recall
from innkeeper.services.memory.records.operations import summary

_FOUND = Cursor("memory records that were found", int)


class RecallOperations:
    def __init__(self, recall: Recall) -> None:
        self._recall = recall

    async def retrieve_memory_records(self, call: Call, params: Document) -> Document:
        request = PageRequest.of(params.get("maxResults"), params.get("nextToken"))
        (start,) = _FOUND.after(request) or (0,)
        hits = await self._recall.retrieve(call.caller, params)
        places = list(range(start, len(hits)))[: request.size + 1]
        page = _FOUND.page(request, places, key=lambda place: (place + 1,))
        shown = [{**summary(hits[place].item), "score": hits[place].relevance} for place in page.items]
        return {"memoryRecordSummaries": shown, "nextToken": page.next_token}
