"""The parts of services/memory, put together."""

import uuid
from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import timedelta

from starlette.routing import Route

from innkeeper.engines.extraction.extractor import Extractor
from innkeeper.engines.jobs.jobs import Jobs
from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.services.memory import jobs as memory_jobs
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.blocks.model import BlockLimits
from innkeeper.services.memory.blocks.routes import block_routes
from innkeeper.services.memory.blocks.service import Blocks
from innkeeper.services.memory.contents import Contents
from innkeeper.services.memory.context.conversation import Conversation
from innkeeper.services.memory.context.gathering import Gathering
from innkeeper.services.memory.context.routes import context_routes
from innkeeper.services.memory.context.service import Contexts
from innkeeper.services.memory.context.tokens import estimate
from innkeeper.services.memory.digests.model import Pace as DigestPace
from innkeeper.services.memory.digests.service import Digests
from innkeeper.services.memory.documents.model import DocumentLimits
from innkeeper.services.memory.documents.routes import document_routes, document_upload
from innkeeper.services.memory.documents.service import Documents
from innkeeper.services.memory.erasure import Erasure
from innkeeper.services.memory.events.operations import EventOperations
from innkeeper.services.memory.events.service import Events
from innkeeper.services.memory.learning.delivery import Delivery
from innkeeper.services.memory.learning.model import NEVER, Plan, Triggers
from innkeeper.services.memory.learning.operations import LearningOperations
from innkeeper.services.memory.learning.routes import learning_routes
from innkeeper.services.memory.learning.service import Learning
from innkeeper.services.memory.learning.teacher import Teacher
from innkeeper.services.memory.learning.worker import Pace, Worker
from innkeeper.services.memory.model import Limits
from innkeeper.services.memory.operations import MemoryOperations
from innkeeper.services.memory.recall.index import Index
from innkeeper.services.memory.recall.operations import RecallOperations
from innkeeper.services.memory.recall.routes import recall_routes
from innkeeper.services.memory.recall.service import Recall
from innkeeper.services.memory.recall.vectors import Vectors
from innkeeper.services.memory.records.operations import RecordOperations
from innkeeper.services.memory.records.service import Records
from innkeeper.services.memory.routes import routes
from innkeeper.services.memory.safety.held import HeldKind
from innkeeper.services.memory.safety.ledger import Ledger
from innkeeper.services.memory.safety.review import Review
from innkeeper.services.memory.safety.routes import safety_routes
from innkeeper.services.memory.safety.service import Safety
from innkeeper.services.memory.safety.vetter import Vetter
from innkeeper.services.memory.sealing.conversion import Conversion
from innkeeper.services.memory.service import Memories
from innkeeper.services.memory.stream.routes import stream_routes
from innkeeper.services.memory.stream.service import Stream
from innkeeper.services.memory.tool.mcp import MemoryServer
from innkeeper.services.memory.tool.routes import ToolDoor, tool_routes
from innkeeper.services.memory.tool.service import MemoryTool
from innkeeper.services.memory.tool.tokens import ToolTokens
from innkeeper.services.model_gateway.service import ModelGateway
from innkeeper.settings import Settings
from innkeeper.wiring.engines import extractor
from innkeeper.wiring.office import Office


class Memory:
    def __init__(self, office: Office, settings: Settings, models: ModelGateway) -> None:
        engines = office.engines
        database, clock = engines.memory_database, engines.clock
        self.clock = clock
        self._conversion = Conversion(database)
        limits = Limits(
            memories=settings.memory_max_count,
            strategies=settings.memory_max_strategies,
            event_bytes=settings.memory_event_max_bytes,
            page_bytes=settings.memory_page_max_bytes,
            queued_events=settings.memory_queue_max_events,
            write_seconds=settings.memory_write_timeout_seconds,
            learn_after_seconds=settings.memory_learning_debounce_seconds,
        )
        self._vectors = Vectors(database, engines.search, engines.embedder)
        bell = Bell()
        self.index = Index(database, engines.search, self._vectors, bell)
        versions = settings.memory_summary_max_versions
        self.ledger = Ledger(database, bell, clock, versions)
        self._erasure = Erasure(database, self.ledger, self.index)
        self._contents = Contents(database, limits.page_bytes)
        self.memories = Memories(
            database, office.accounts, office.tags, office.policies, self._erasure, limits, clock
        )
        self.events = Events(database, self.memories, limits, bell, clock)
        self.vetter = Vetter(database, engines.vetting, clock)
        self.safety = Safety(database, self.ledger, self.vetter, clock)
        self.records = Records(database, self.ledger, self.vetter, self.memories, clock)
        self.recall = Recall(
            database, engines.search, engines.embedder, self.vetter, self.memories, self.records, clock
        )
        self.blocks = Blocks(
            database,
            self.vetter,
            BlockLimits(
                per_actor=settings.memory_max_blocks,
                characters=settings.memory_block_max_characters,
                versions=settings.memory_block_max_versions,
            ),
            clock,
        )
        self.stream = Stream(database, clock)
        self._document_max_bytes = settings.memory_document_max_bytes
        self.documents = Documents(
            database, self.vetter, self.recall, _document_limits(settings), bell, clock
        )
        learner = extractor(settings, _asking(models), models.answers)
        self.digests = _digests(self, database, learner, settings)
        self.contexts = _contexts(self, settings)
        self._review = _review(self, database, bell)
        self._context_max_tokens = settings.memory_context_max_tokens
        kept = timedelta(seconds=settings.memory_learning_kept_seconds)
        self.learning = Learning(database, self.memories, self.records, kept, clock)
        self._tool = MemoryTool(database, self.ledger, self.vetter, self.recall, clock)
        keys = engines.vault.derive("memory-tool")
        self._tokens = ToolTokens(database, keys, settings.memory_max_tool_tokens, clock)
        self._mcp = MemoryServer(self._tool)
        self.door = ToolDoor(self._mcp, self._tokens)
        plan = _plan(settings, models.answers)
        delivery = Delivery(office.buckets, settings.memory_topics, clock)
        self._worker = _worker(self, database, learner, delivery, plan, settings)

    def operations(self) -> tuple[object, ...]:
        return (
            MemoryOperations(self.memories),
            EventOperations(self.events),
            RecordOperations(self.records),
            RecallOperations(self.recall),
            LearningOperations(self.learning),
        )

    def routes(self) -> list[Route]:
        return [
            *routes(self.memories, self._contents, self._erasure, self.recall, self._vectors),
            *block_routes(self.memories, self.blocks),
            *safety_routes(self.memories, self.safety, self._review),
            *stream_routes(self.memories, self.stream),
            *recall_routes(self.memories, self.recall),
            *learning_routes(self.memories, self.learning),
            *document_routes(self.memories, self.documents),
            *context_routes(self.memories, self.contexts, self._context_max_tokens),
            *tool_routes(self.memories, self._tool, self._tokens),
        ]

    def upload_routes(self) -> tuple[int, list[Route]]:
        """Those with large bodies, and how large: as JSON a text may take twice its bytes, and some more."""
        most = self._document_max_bytes
        return 2 * most + 2**16, [document_upload(self.memories, self.documents, most)]

    async def open(self) -> None:
        await self._conversion.run()
        await self.ledger.adopt()
        await self.index.open()
        self._worker.open()

    async def close(self) -> None:
        await self._mcp.close()
        await self.events.close()
        await self._worker.close()
        await self.index.close()

    def register(self, jobs: Jobs) -> None:
        """Before the engine of jobs is opened."""
        memory_jobs.register(jobs, self.memories, self.events, self.records, self.learning, self._tokens)


def _asking(models: ModelGateway) -> Callable[[str, str, Document], Awaitable[Document]]:
    """Calls of models on behalf of an account's memories: the account's ledger has them."""

    async def ask(account: str, model: str, request: Document) -> Document:
        principal = f"arn:aws:sts::{account}:assumed-role/innkeeper/memory"
        caller = Caller(account, principal, "us-west-2", CallerKind.ROLE)
        return await models.converse(Call(caller, uuid.uuid4().hex, {}), model, request)

    return ask


def _document_limits(settings: Settings) -> DocumentLimits:
    return DocumentLimits(
        bytes_=settings.memory_document_max_bytes,
        per_actor=settings.memory_max_documents,
        pulled=settings.memory_max_pulled_chunks,
    )


def _digests(memory: Memory, database: Database, learner: Extractor, settings: Settings) -> Digests:
    pace = DigestPace(
        events=settings.memory_compaction_events,
        wait_seconds=settings.memory_compaction_wait_seconds,
        pause_seconds=settings.memory_compaction_pause_seconds,
    )
    return Digests(database, memory.vetter, memory.events, learner, pace, memory.clock)


def _review(memory: Memory, database: Database, bell: Bell) -> Review:
    put_back = {
        HeldKind.BLOCK: memory.blocks.put_back,
        HeldKind.CHUNK: memory.documents.put_back,
        HeldKind.TITLE: memory.documents.put_back,
        HeldKind.DIGEST: memory.digests.put_back,
    }
    return Review(database, memory.ledger, bell, put_back)


def _contexts(memory: Memory, settings: Settings) -> Contexts:
    conversation = Conversation(memory.events, memory.digests, estimate, settings.memory_compaction_share)
    gathering = Gathering(conversation, memory.events, memory.blocks, memory.documents, memory.recall)
    return Contexts(gathering, conversation, estimate)


def _plan(settings: Settings, answers: Callable[[str], bool]) -> Plan:
    turns, idle = settings.memory_learning_turns, timedelta(seconds=settings.memory_learning_idle_seconds)
    return Plan(
        asking=Triggers(settings.memory_learning_messages, settings.memory_learning_tokens, idle),
        episode=replace(NEVER, messages=turns, idle=idle),
        job_turns=turns,
        model=settings.memory_model,
        answers=answers,
    )


def _worker(
    memory: Memory, database: Database, learner: Extractor, delivery: Delivery, plan: Plan, settings: Settings
) -> Worker:
    pace = Pace(
        plan=plan,
        running=settings.memory_learning_running,
        attempts=settings.memory_learning_attempts,
        retry_seconds=settings.memory_learning_retry_seconds,
        job_seconds=settings.memory_learning_timeout_seconds,
        lease_seconds=settings.memory_learning_lease_seconds,
    )
    teacher = Teacher(
        database,
        memory.ledger,
        memory.records,
        memory.recall,
        memory.vetter,
        learner,
        delivery,
        plan,
        memory.clock,
    )
    return Worker(database, teacher, pace, memory.clock)
