"""Measures one model call."""

import uuid
from collections.abc import Iterator
from contextlib import contextmanager

from innkeeper.engines.models.model import Converse
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import InnkeeperError
from innkeeper.services.model_gateway.ledger import Ledger
from innkeeper.services.model_gateway.model import ModelCall, ModelRoute


class Meter:
    """`agent` is the agent and the session that call, if any."""

    def __init__(
        self, clock: Clock, caller: Caller, agent: tuple[str, str] | None, model_id: str, route: ModelRoute
    ) -> None:
        self._clock = clock
        self._caller = caller
        self._agent, self._session = agent or ("", "")
        self._model_id = model_id
        self._route = route
        self._at = clock.now()
        self._started = clock.monotonic()
        self._first_token_ms: int | None = None
        self._usage: Converse = {}
        self._stop_reason = ""

    def answer(self, answer: Converse) -> None:
        """See a whole answer."""
        self._stop_reason = answer.get("stopReason", "")
        self._usage = answer.get("usage", {})

    def event(self, event: Converse) -> None:
        """See an event of a stream."""
        if self._first_token_ms is None and ("contentBlockStart" in event or "contentBlockDelta" in event):
            self._first_token_ms = self._elapsed_ms()
        elif stop := event.get("messageStop"):
            self._stop_reason = stop.get("stopReason", "")
        elif metadata := event.get("metadata"):
            self._usage = metadata.get("usage", {})

    @contextmanager
    def recorded(self, ledger: Ledger) -> Iterator[None]:
        """However the call ends, its record goes to the ledger."""
        error_code = "Cancelled"
        try:
            yield
            error_code = ""
        except Exception as error:
            error_code = error.code if isinstance(error, InnkeeperError) else InnkeeperError.code
            raise
        finally:
            ledger.record(self._call(error_code))

    def _elapsed_ms(self) -> int:
        return round((self._clock.monotonic() - self._started) * 1000)

    def _call(self, error_code: str) -> ModelCall:
        return ModelCall(
            account=self._caller.account,
            id=uuid.uuid4().hex,
            at=self._at,
            model_id=self._model_id,
            provider=self._route.provider,
            provider_model=self._route.model_for(self._model_id),
            principal=self._caller.principal,
            agent=self._agent,
            session=self._session,
            input_tokens=self._usage.get("inputTokens", 0),
            output_tokens=self._usage.get("outputTokens", 0),
            cache_read_tokens=self._usage.get("cacheReadInputTokens", 0),
            cache_write_tokens=self._usage.get("cacheWriteInputTokens", 0),
            first_token_ms=self._first_token_ms,
            latency_ms=self._elapsed_ms(),
            stop_reason=self._stop_reason,
            error_code=error_code,
        )
