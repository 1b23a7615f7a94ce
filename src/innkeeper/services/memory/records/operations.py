"""The AWS operations of records: bedrock-agentcore."""

from collections.abc import Sequence

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.records.model import Outcome, Record, shown_metadata
from innkeeper.services.memory.records.service import Records

_PAGE = 20


class RecordOperations:
    def __init__(self, records: Records) -> None:
        self._records = records

    async def batch_create_memory_records(self, call: Call, params: Document) -> Document:
        return _outcomes(await self._records.create(call.caller, params))

    async def batch_update_memory_records(self, call: Call, params: Document) -> Document:
        return _outcomes(await self._records.update(call.caller, params))

    async def batch_delete_memory_records(self, call: Call, params: Document) -> Document:
        return _outcomes(await self._records.delete(call.caller, params))

    async def get_memory_record(self, call: Call, params: Document) -> Document:
        record = await self._records.get(call.caller, params)
        return {"memoryRecord": {**summary(record), "expiresAt": record.expires_at}}

    async def delete_memory_record(self, call: Call, params: Document) -> Document:
        await self._records.remove(call.caller, params)
        return {"memoryRecordId": params["memoryRecordId"]}

    async def list_memory_records(self, call: Call, params: Document) -> Document:
        request = PageRequest.of(params.get("maxResults", _PAGE), params.get("nextToken"))
        page = await self._records.list(call.caller, params, request)
        return {"memoryRecordSummaries": list(map(summary, page.items)), "nextToken": page.next_token}


def summary(record: Record) -> Document:
    """A record as lists show it."""
    shown = {
        "memoryRecordId": record.record_id,
        "content": {"text": record.text},
        "memoryStrategyId": record.strategy,
        "namespaces": [record.namespace] if record.namespace else [],
        "createdAt": record.created_at,
        "timestamp": record.happened_at,
    }
    return {**shown, "metadata": shown_metadata(record.metadata)} if record.metadata else shown


def _outcomes(outcomes: Sequence[Outcome]) -> Document:
    return {
        "successfulRecords": [_outcome(one) for one in outcomes if one.error is None],
        "failedRecords": [_outcome(one) for one in outcomes if one.error is not None],
    }


def _outcome(one: Outcome) -> Document:
    return {
        "memoryRecordId": one.record_id,
        "status": "SUCCEEDED" if one.error is None else "FAILED",
        "requestIdentifier": one.request,
        "errorCode": one.error_code,
        "errorMessage": one.error,
    }
