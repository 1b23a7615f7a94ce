"""The AWS operation that finds records again: bedrock-agentcore."""

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.model import place_after, row_part
from innkeeper.services.memory.recall.service import Recall
from innkeeper.services.memory.records.operations import summary


class RecallOperations:
    def __init__(self, recall: Recall) -> None:
        self._recall = recall

    async def retrieve_memory_records(self, call: Call, params: Document) -> Document:
        request = PageRequest.of(params.get("maxResults"), params.get("nextToken"))
        (start,) = place_after(request, row_part) or (0,)
        hits = await self._recall.retrieve(call.caller, params)
        places = list(range(start, len(hits)))[: request.size + 1]
        page = request.page(places, key=lambda place: (str(place + 1),))
        shown = [{**summary(hits[place].item), "score": hits[place].relevance} for place in page.items]
        return {"memoryRecordSummaries": shown, "nextToken": page.next_token}
