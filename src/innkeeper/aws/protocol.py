"""What the wire needs from a protocol: find the operation, read its parameters, write its answer."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from botocore.model import OperationModel

from innkeeper.aws.answer import Answer
from innkeeper.aws.request import SignedRequest
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InnkeeperError


@dataclass(frozen=True, slots=True)
class Match:
    """The operation that a request names. `decode` takes the body; it raises InvalidRequest."""

    operation: OperationModel
    decode: Callable[[bytes], Document]


class WireProtocol(Protocol):
    def match(self, request: SignedRequest, body: bytes) -> Match | None: ...

    def answer(self, operation: OperationModel, output: Document, request_id: str) -> Answer: ...

    def error(self, error: InnkeeperError, operation: OperationModel | None, request_id: str) -> Answer: ...
