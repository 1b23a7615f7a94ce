"""A language model, spoken to in the words of the Bedrock Converse API whatever the provider.

Requests and answers are Converse documents (the `ConverseRequest` members without `modelId`, the
`ConverseResponse`, and `ConverseStreamOutput` events) as botocore's `bedrock-runtime` model defines them, so
that a driver is a translation and nothing else needs one.
"""

from collections.abc import AsyncGenerator, Callable
from typing import Any, Protocol

from innkeeper.kernel.errors import InnkeeperError

Converse = dict[str, Any]

# Sent with each request that may reach another server of the Bedrock wire: one that finds it on a request of
# its own has been configured to call itself.
HOP_HEADER = "x-innkeeper-hop"


class ModelError(InnkeeperError):
    """The provider refused or failed. `code` and `status` are those of the bedrock-runtime exception that
    says the same (`ThrottlingException` 429, `ValidationException` 400, `ModelTimeoutException` 408, ...)."""

    def __init__(self, message: str, code: str = "ModelErrorException", status: int = 424) -> None:
        super().__init__(message)
        self.code = code
        self.status = status


class Model(Protocol):
    """Both calls raise ModelError, whatever goes wrong at the provider."""

    async def converse(self, model: str, request: Converse) -> Converse:
        """One whole answer. `model` is the provider's own name for it."""
        ...

    def converse_stream(self, model: str, request: Converse) -> AsyncGenerator[Converse, None]:
        """`messageStart`, `contentBlockStart`, `contentBlockDelta`, ..., `messageStop`, `metadata` events.

        Blocks come one after the other; only a `toolUse` has a `contentBlockStart`. A stream that ends
        without `messageStop` raises. Closing the generator ends the provider's answer.
        """
        ...

    async def close(self) -> None: ...


class Provider(Protocol):
    """Where models are, as the settings say; `kind` names the driver, empty strings its defaults."""

    @property
    def kind(self) -> str: ...
    @property
    def base_url(self) -> str: ...
    @property
    def api_key(self) -> str: ...
    @property
    def api_key_variable(self) -> str: ...
    @property
    def region(self) -> str: ...
    @property
    def profile(self) -> str: ...
    @property
    def timeout_seconds(self) -> float: ...


OpenModel = Callable[[Provider, str], Model]
"""Gives the driver of a provider, with its key. Blocks for up to a second, while its SDK is loaded."""


def invalid_request(message: str) -> ModelError:
    return ModelError(message, "ValidationException", 400)
