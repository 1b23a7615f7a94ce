"""The settings of memory, which are part of `Settings` and read as all others are."""

from typing import Annotated, Literal

from pydantic import Field
from pydantic_settings import BaseSettings


class MemorySettings(BaseSettings):
    memory_max_count: Annotated[int, Field(description="Memories that an account may have.")] = 150
    memory_max_strategies: Annotated[int, Field(description="Strategies that a memory may have.")] = 6
    # Clients fill an event with 10 MB before they quote it.
    memory_event_max_bytes: Annotated[int, Field(description="Largest payload of one event, as JSON.")] = (
        10_485_760
    )
    memory_page_max_bytes: Annotated[
        int, Field(ge=1, description="Payloads in one page of events; a larger one has a page to itself.")
    ] = 10_485_760
    memory_queue_max_events: Annotated[int, Field(description="Events that may wait to be written.")] = 10_000
    memory_vetting: Annotated[str, Field(description="Judges what is to be remembered: a driver.")] = "rules"
    memory_guardrail: Annotated[
        str,
        Field(
            description="Classifier that judges beside it, at /moderations: PROVIDER/MODEL, where models has "
            "the PROVIDER with the kind openai; empty for none."
        ),
    ] = ""
    memory_guardrail_categories: Annotated[
        list[str], Field(description="Its categories that count; empty for all that it flags.")
    ] = []
    memory_guardrail_timeout_seconds: Annotated[
        float, Field(gt=0, description="Longest wait for one answer of the guardrail.")
    ] = 5.0
    memory_guardrail_attempts: Annotated[
        int, Field(ge=1, le=10, description="Times that the guardrail is asked for an answer.")
    ] = 3
    memory_guardrail_rest_seconds: Annotated[
        float, Field(ge=0, description="Rest for a guardrail that did not answer.")
    ] = 10.0
    memory_guardrail_fails: Annotated[
        Literal["closed", "open"],
        Field(description="Without its answer, closed: every text is suspicious; open: the rules decide."),
    ] = "closed"
    memory_topics: Annotated[
        dict[str, str],
        Field(description="URL by topic ARN: who is told when a self-managed strategy is to learn."),
    ] = {}
    memory_write_timeout_seconds: Annotated[float, Field(description="Longest wait to write an event.")] = (
        70.0
    )
    memory_context_max_tokens: Annotated[int, Field(description="Largest budget of a context.")] = 400_000
    memory_compaction_share: Annotated[
        float,
        Field(gt=0, le=1, description="Part of a context's budget above which older turns are digested."),
    ] = 0.75
    memory_compaction_events: Annotated[int, Field(ge=1, description="Events digested in one step.")] = 100
    memory_compaction_wait_seconds: Annotated[
        float, Field(description="Longest time that a context waits for a digest; it goes on without.")
    ] = 20.0
    memory_compaction_pause_seconds: Annotated[
        float, Field(description="Rest for a session whose digest failed or came too late.")
    ] = 60.0
    memory_summary_max_versions: Annotated[
        int, Field(ge=1, description="States that the history keeps of a session's summary.")
    ] = 20
    memory_max_blocks: Annotated[int, Field(description="Blocks of one actor in a memory.")] = 200
    memory_block_max_characters: Annotated[int, Field(description="Longest text of a block.")] = 50_000
    memory_block_max_versions: Annotated[int, Field(ge=1, description="Versions kept of a block.")] = 100
    memory_document_max_bytes: Annotated[int, Field(description="Longest document, as UTF-8.")] = 5_000_000
    memory_max_documents: Annotated[int, Field(description="Documents of one actor in a memory.")] = 200
    memory_max_tool_tokens: Annotated[
        int, Field(description="Tokens that open a memory as a tool at the same time.")
    ] = 1000
    memory_max_pulled_chunks: Annotated[int, Field(description="Chunks in view of a session.")] = 1000

    memory_learning_messages: Annotated[
        int, Field(ge=1, description="Unread messages in a session after which a model is asked.")
    ] = 6
    memory_learning_tokens: Annotated[
        int, Field(ge=1, description="Unread tokens, about, in a session after which a model is asked.")
    ] = 1000
    memory_learning_debounce_seconds: Annotated[
        float,
        Field(gt=0, description="How long after an event the memory's strategies look at its session."),
    ] = 0.3
    memory_learning_idle_seconds: Annotated[
        float,
        Field(gt=0, description="Quiet in a session after which a model is asked or an episode has ended."),
    ] = 20.0
    memory_learning_turns: Annotated[
        int, Field(ge=1, description="Turns that one job learns from; more make more jobs.")
    ] = 50
    memory_learning_running: Annotated[
        int, Field(ge=1, description="Jobs that learn at the same time in this server.")
    ] = 4
    memory_learning_attempts: Annotated[
        int, Field(ge=1, description="Times that a job is begun before it counts as failed.")
    ] = 5
    memory_learning_retry_seconds: Annotated[
        float, Field(gt=0, description="Wait before a job's second attempt; it doubles from then on.")
    ] = 2.0
    memory_learning_timeout_seconds: Annotated[
        float, Field(gt=0, description="Longest time that one attempt of a job takes.")
    ] = 600.0
    memory_learning_lease_seconds: Annotated[
        float,
        Field(gt=0, description="Silence after which a server counts as dead and its jobs go to another."),
    ] = 15.0
    memory_learning_kept_seconds: Annotated[
        float, Field(ge=0, description="How long jobs that are done stay listed.")
    ] = 3600.0

    memory_model: Annotated[
        str,
        Field(
            description="Model that learns from what was said: PROVIDER/MODEL, or an id that model_ids "
            "answers; empty for the extractive path, which needs none."
        ),
    ] = ""
    memory_model_timeout_seconds: Annotated[
        float, Field(gt=0, description="Longest wait for one answer of that model.")
    ] = 90.0
    memory_model_attempts: Annotated[
        int, Field(ge=1, description="Times that it is asked a question until an answer can be used.")
    ] = 3
    memory_model_patience_seconds: Annotated[
        float, Field(ge=0, description="How long a question waits for a provider that is busy.")
    ] = 60.0
    memory_model_question_max_characters: Annotated[
        int, Field(ge=1000, description="Turns in one question; a longer conversation is read in pieces.")
    ] = 24_000
    memory_model_answer_max_tokens: Annotated[
        int, Field(ge=100, description="Longest answer of that model.")
    ] = 4096
    memory_model_max_findings: Annotated[
        int, Field(ge=1, description="Findings that are kept of one answer.")
    ] = 40

    embedder: Annotated[
        str,
        Field(
            description="What embeds memories: minilm, or PROVIDER/MODEL, where models has the PROVIDER with "
            "the kind openai."
        ),
    ] = "minilm"
