"""The `json` protocol of Secrets Manager (AWS JSON 1.1): JSON in, JSON out, all at one path.

The operation is named by a header, `X-Amz-Target: secretsmanager.GetSecretValue`.
https://smithy.io/2.0/aws/protocols/aws-json-1_1-protocol.html
"""

import uuid
from functools import partial

from botocore.model import OperationModel, ServiceModel

from innkeeper.aws.answer import Answer
from innkeeper.aws.decode import parse_json
from innkeeper.aws.errors import AWS_JSON, aws_json_error
from innkeeper.aws.protocol import Match
from innkeeper.aws.readers import Readers
from innkeeper.aws.request import SignedRequest
from innkeeper.aws.validation import Violations
from innkeeper.aws.writers import Writers, json_bytes
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest


class AwsJson:
    """One service model. Idempotency tokens that the caller left out are filled in, as the SDKs do."""

    error = staticmethod(aws_json_error)

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._prefix: str = model.metadata["targetPrefix"]
        self._names = frozenset(model.operation_names)
        self._readers = Readers()
        self._writers = Writers()

    def match(self, request: SignedRequest, body: bytes) -> Match | None:
        prefix, _, name = request.headers.get("x-amz-target", "").rpartition(".")
        if prefix != self._prefix or name not in self._names:
            return None
        operation = self._model.operation_model(name)
        return Match(operation, partial(self._decode, operation))

    def answer(self, operation: OperationModel, output: Document, request_id: str) -> Answer:
        shape = operation.output_shape
        write = self._writers.of(shape) if shape else None
        body = json_bytes(write(output)) if write else b"{}"
        return Answer(200, {"content-type": AWS_JSON}, body)

    def _decode(self, operation: OperationModel, body: bytes) -> Document:
        content = parse_json(body) if body else {}
        if type(content) is not dict:
            raise InvalidRequest("The request body must be a JSON object")
        if operation.input_shape is None:
            return {}
        for name in operation.idempotent_members:
            if content.get(name) is None:
                content[name] = str(uuid.uuid4())
        violations = Violations()
        parameters: Document = self._readers.of(operation.input_shape)(content, "", violations)
        violations.raise_if_any()
        return parameters
