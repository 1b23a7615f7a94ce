"""A language model, spoken to in the words of the Bedrock Converse API whatever the provider.

Requests and answers are Converse documents (the `ConverseRequest` members without `modelId`, the
`ConverseResponse`, and `ConverseStreamOutput` events) as botocore's `bedrock-runtime` model defines them, so
that a driver is a translation and nothing else needs one.
"""

from collections.abc import AsyncIterator
from typing import Any, Protocol

Converse = dict[str, Any]


class ModelError(Exception):
    """The provider refused or failed. `code` and `status` are those of the bedrock-runtime exception that
    says the same (`ThrottlingException` 429, `ValidationException` 400, `ModelTimeoutException` 408, ...)."""

    def __init__(self, message: str, code: str = "ModelErrorException", status: int = 424) -> None:
        super().__init__(message)
        self.message = message
        self.code = code
        self.status = status


class Model(Protocol):
    async def converse(self, model: str, request: Converse) -> Converse:
        """One whole answer. `model` is the provider's own name for it."""
        ...

    def converse_stream(self, model: str, request: Converse) -> AsyncIterator[Converse]:
        """`messageStart`, `contentBlockStart`, `contentBlockDelta`, ..., `messageStop`, `metadata` events."""
        ...

    async def close(self) -> None: ...
