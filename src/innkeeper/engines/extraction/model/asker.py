"""Asks until there is an answer that can be used, so often and so long as the limits allow."""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

from innkeeper.engines.extraction.extractor import ExtractionError
from innkeeper.engines.extraction.model.answer import BadAnswer
from innkeeper.engines.extraction.model.limits import ModelLimits
from innkeeper.engines.extraction.model.question import Question
from innkeeper.kernel.errors import InnkeeperError

Document = dict[str, Any]

Ask = Callable[[str, str, Document], Awaitable[Document]]
"""The account, the model's id and a Converse request in, Converse's answer out; raises InnkeeperError."""

_BUSY = frozenset({"ThrottlingException", "ServiceUnavailableException", "ModelNotReadyException"})
_LATE = "ModelTimeoutException"
_NONSENSE = "ModelErrorException"
_INVALID = "ValidationException"
_SAID = {
    "AccessDeniedException": "its provider refused the server's credentials",
    "ResourceNotFoundException": "no provider has it: set model_ids, see docs/guide/models.md",
    _INVALID: "its provider refused the question",
}
_LONGEST_WAIT_SECONDS = 30.0
_PLAIN_MODELS = 1000

_log = logging.getLogger(__name__)

A = TypeVar("A")


class Asker:
    def __init__(self, ask: Ask, limits: ModelLimits) -> None:
        self._ask = ask
        self._limits = limits
        # Models that take no tools; found out by asking, and again after a restart.
        self._plain: set[str] = set()

    async def answer(self, account: str, model: str, question: Question, read: Callable[[Document], A]) -> A:
        """What `read` makes of an answer; it raises BadAnswer for one that cannot be used, and the model is
        told why when it is asked again. Raises ExtractionError."""
        told = problem = ""
        plain = model in self._plain
        refused = False
        for attempt in range(self._limits.attempts):
            request = question.request(self._limits.answer_tokens, plain, told)
            try:
                answer = await self._patiently(account, model, request)
                found = await asyncio.to_thread(read, answer)
            except BadAnswer as bad:
                told = problem = bad.problem
            except InnkeeperError as error:
                problem = self._failed(error, model, plain)
                refused = refused or error.code == _INVALID
                plain = plain or error.code in (_INVALID, _NONSENSE)
                if error.code == _NONSENSE and attempt + 1 < self._limits.attempts:
                    await asyncio.sleep(
                        min(self._limits.first_wait_seconds * 2**attempt, _LONGEST_WAIT_SECONDS)
                    )
            else:
                self._learn(model, refused)
                return found
            _log.info("attempt %d of a question to %s failed: %s", attempt + 1, model, problem)
        raise ExtractionError(
            f"The model {model} gave no usable answer in {self._limits.attempts} attempts; of the last: "
            f"{problem}"
        )

    def _learn(self, model: str, refused: bool) -> None:
        """That a model which refused the question with a tool has answered without."""
        if refused and len(self._plain) < _PLAIN_MODELS:
            self._plain.add(model)

    def _failed(self, error: InnkeeperError, model: str, plain: bool) -> str:
        """What to say of a failure after which asking again may help; raises ExtractionError for others. What
        the provider itself said is not told: it may quote the turns."""
        if error.code == _LATE:
            return f"it did not come within {self._limits.timeout_seconds:g} s"
        if error.code == _NONSENSE:
            return "its provider failed"
        said = _SAID.get(error.code, f"its provider failed with {error.code}")
        if error.code == _INVALID and not plain:
            return said
        raise ExtractionError(f"The model {model} cannot be asked: {said}") from None

    async def _patiently(self, account: str, model: str, request: Document) -> Document:
        wait, waited = self._limits.first_wait_seconds, 0.0
        while True:
            try:
                return await self._once(account, model, request)
            except InnkeeperError as error:
                if error.code not in _BUSY:
                    raise
            if waited >= self._limits.patience_seconds:
                raise ExtractionError(
                    f"The model {model} cannot be asked: its provider was busy or out of reach for "
                    f"{waited:g} s"
                )
            wait = min(wait, self._limits.patience_seconds - waited)
            await asyncio.sleep(wait)
            waited += wait
            wait = min(wait * 2, _LONGEST_WAIT_SECONDS)

    async def _once(self, account: str, model: str, request: Document) -> Document:
        try:
            async with asyncio.timeout(self._limits.timeout_seconds):
                return await self._ask(account, model, request)
        except TimeoutError:
            raise _Late from None


class _Late(InnkeeperError):
    code = _LATE

    def __init__(self) -> None:
        super().__init__("The model did not answer in time")
