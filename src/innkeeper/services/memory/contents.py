"""The contents of a memory: how much there is, and all of it to take along."""

import json
from collections.abc import AsyncIterator, Callable, Mapping

from sqlalchemy import ColumnElement, Table, func, literal, select

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Document
from innkeeper.kernel.page import fitting
from innkeeper.services.memory.blocks.store import blocks, to_block, versions
from innkeeper.services.memory.digests.store import digests, to_digest
from innkeeper.services.memory.documents.store import chunks, documents, to_document
from innkeeper.services.memory.events.store import events, sessions, to_event, turns
from innkeeper.services.memory.extent import Extent
from innkeeper.services.memory.learning.model import shown
from innkeeper.services.memory.learning.store import jobs, to_job
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.records.store import records, to_record
from innkeeper.services.memory.safety.held_store import held
from innkeeper.services.memory.safety.history_store import history
from innkeeper.services.memory.sealing.rows import Row, read

_PIECE = 200
_COUNTED = {"sessions": sessions, "events": events, "turns": turns, "blocks": blocks, "documents": documents}

# What the rows of a table are in the order of, unless it is their id.
_ORDER: Mapping[Table, str] = {history: "sequence", jobs: "number"}

_LARGE: Mapping[Table, str] = {events: "payload", jobs: "found", documents: "sections"}

Show = Callable[[Row], Document]


class Contents:
    def __init__(self, database: Database, piece_bytes: int) -> None:
        self._database = database
        self._piece_bytes = piece_bytes

    async def counts(self, memory: Memory) -> dict[str, int]:
        """Rows of each kind, those that have expired but are not pruned yet among them."""
        extent = Extent(memory)
        async with self._database.begin() as connection:
            rows = {name: extent.of(table) for name, table in _COUNTED.items()}
            rows["records"] = await extent.of_records(connection)
            counts = {}
            for name, which in rows.items():
                table = _COUNTED.get(name, records)
                query = select(func.count()).select_from(table).where(which)
                counts[name] = (await connection.execute(query)).scalar_one()
        return counts

    async def export(self, extent: Extent) -> AsyncIterator[Document]:
        """Events in the order in which they came, then records, those that are not valid any more too, then
        the history of the records, digests, blocks and what they said before, the jobs that learn, documents
        and their chunks, and the texts that wait for review."""
        async with self._database.begin() as connection:
            of_records = await extent.of_records(connection)
            of_changes = await extent.of_changes(connection)
        async for one in self._rows(events, extent.of(events), _event):
            yield {"event": one}
        async for one in self._rows(records, of_records, _record):
            yield {"record": one}
        async for one in self._rows(history, of_changes, _change):
            yield {"change": one}
        async for one in self._rows(digests, extent.of(digests), _digest):
            yield {"digest": one}
        async for one in self._rows(blocks, extent.of(blocks), _block):
            yield {"block": one}
        async for one in self._rows(versions, extent.of(versions), _version):
            yield {"blockVersion": one}
        async for one in self._rows(jobs, extent.of(jobs), _job):
            yield {"job": one}
        async for one in self._rows(documents, extent.of(documents), _document):
            yield {"document": one}
        async for one in self._rows(chunks, extent.of(chunks), _chunk):
            yield {"chunk": one}
        async for one in self._rows(held, extent.of(held), _held):
            yield {"held": one}

    async def _rows(self, table: Table, which: ColumnElement[bool], show: Show) -> AsyncIterator[Document]:
        last, more = 0, True
        number = table.c[_ORDER.get(table, "id")]
        while more:
            size = _size(table).label("size")
            sized = select(number, size).where(which, number > last).order_by(number).limit(_PIECE)
            async with self._database.begin() as connection:
                found = (await connection.execute(sized)).all()
                count = fitting((row.size for row in found), self._piece_bytes)
                until = found[count - 1][0] if found else last
                query = select(table).where(which, number > last, number <= until).order_by(number)
                rows = await read(connection, table, query)
            for row in rows:
                yield show(row)
            last, more = until, count < len(found) or len(found) == _PIECE


def _size(table: Table) -> ColumnElement[int]:
    """About how many bytes a row has, where it may have very many."""
    column = table.c.get(_LARGE.get(table, ""))
    return literal(0) if column is None else func.coalesce(func.length(column), 0)


def _event(row: Row) -> Document:
    event = to_event(row)
    return {
        "actorId": event.key.actor,
        "sessionId": event.key.session,
        "eventId": event.id,
        "eventTimestamp": event.happened_at.isoformat(),
        "branch": event.branch,
        "rootEventId": event.root_event_id,
        "metadata": event.metadata,
        "payload": event.payload,
        "ingested": not event.listed,
    }


def _record(row: Row) -> Document:
    record = to_record(row)
    return {
        "memoryRecordId": record.record_id,
        "namespace": record.namespace,
        "memoryStrategyId": record.strategy,
        "text": record.text,
        "metadata": record.metadata,
        "timestamp": record.happened_at.isoformat(),
        "validFrom": record.valid_from.isoformat(),
        "validTo": record.valid_to and record.valid_to.isoformat(),
        "supersededBy": record.superseded_by,
        "sourceEventIds": record.source_event_ids,
        "trust": record.trust,
        "status": record.status,
    }


def _change(row: Row) -> Document:
    before = row["before"] and json.loads(row["before"])
    return {
        "sequence": row["sequence"],
        "memoryRecordId": row["record_id"],
        "at": row["at"].isoformat(),
        "by": row["by"],
        "action": row["action"],
        "text": before and before["text"],
        "namespace": row["namespace"],
        "mac": row["mac"],
    }


def _digest(row: Row) -> Document:
    digest = to_digest(row)
    return {
        "actorId": digest.key.actor,
        "sessionId": digest.key.session,
        "branch": digest.key.branch or None,
        "text": digest.text,
        "untilEventId": digest.event_id,
        "turns": digest.turns,
        "updatedAt": digest.updated_at.isoformat(),
    }


def _block(row: Row) -> Document:
    block = to_block(row)
    return {
        "actorId": block.key.actor,
        "sessionId": block.key.session or None,
        "name": block.key.name,
        "description": block.description,
        "text": block.text,
        "limit": block.most,
        "version": block.version,
        "createdAt": block.created_at.isoformat(),
        "updatedAt": block.updated_at.isoformat(),
    }


def _version(row: Row) -> Document:
    return {
        "actorId": row["actor"],
        "sessionId": row["session"] or None,
        "name": row["name"],
        "version": row["version"],
        "text": row["text"],
        "writtenAt": row["written_at"].isoformat(),
    }


def _job(row: Row) -> Document:
    """With what was found already, and is not among the records yet."""
    job = to_job(row)
    return {**shown(job), "found": [one.text for one in (job.found or ())[job.applied :]]}


def _document(row: Row) -> Document:
    document = to_document(row)
    return {
        "actorId": document.actor,
        "sessionId": document.session or None,
        "documentId": document.id,
        "title": document.title,
        "summary": document.summary,
        "createdAt": document.created_at.isoformat(),
    }


def _chunk(row: Row) -> Document:
    return {"documentId": row["document"], "number": row["number"], "text": row["text"]}


def _held(row: Row) -> Document:
    return {
        "actorId": row["actor"],
        "sessionId": row["session"] or None,
        "id": row["held"],
        "kind": row["kind"],
        "name": row["name"],
        "number": row["number"],
        "text": row["text"],
        "concerns": row["concerns"],
    }
