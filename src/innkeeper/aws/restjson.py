"""The `rest-json` protocol, of one service model or of several merged ones."""

from collections.abc import Iterable
from functools import partial

from botocore.model import OperationModel, ServiceModel

from innkeeper.aws.answer import Answer
from innkeeper.aws.decode import RequestDecoder
from innkeeper.aws.encode import AnswerEncoder
from innkeeper.aws.errors import json_error
from innkeeper.aws.protocol import Match
from innkeeper.aws.readers import Readers
from innkeeper.aws.request import SignedRequest
from innkeeper.aws.router import Router
from innkeeper.aws.writers import Writers
from innkeeper.kernel.call import Document


class RestJson:
    """Operations are compiled when first called, and then kept."""

    error = staticmethod(json_error)

    def __init__(self, models: Iterable[ServiceModel]) -> None:
        models = tuple(models)
        self._router = Router(models)
        self._readers = {model.service_name: Readers() for model in models}
        self._writers = {model.service_name: Writers() for model in models}
        self._decoders: dict[str, RequestDecoder] = {}
        self._encoders: dict[str, AnswerEncoder] = {}

    def match(self, request: SignedRequest, body: bytes = b"") -> Match | None:
        found = self._router.match(request.method, request.raw_path, request.query_string)
        if found is None:
            return None
        operation, labels = found
        return Match(operation, partial(self._decoder(operation), labels, request))

    def answer(self, operation: OperationModel, output: Document, request_id: str) -> Answer:
        if operation.name not in self._encoders:
            writers = self._writers[operation.service_model.service_name]
            self._encoders[operation.name] = AnswerEncoder(operation, writers)
        return self._encoders[operation.name](output, request_id)

    def _decoder(self, operation: OperationModel) -> RequestDecoder:
        if operation.name not in self._decoders:
            readers = self._readers[operation.service_model.service_name]
            self._decoders[operation.name] = RequestDecoder(operation, readers)
        return self._decoders[operation.name]
