"""The `query` protocol of STS and IAM: form fields in, XML out.

A field's name is the path of a value, such as `Tags.member.1.Key`. The fields are put together to the JSON
that they would be, and then read and checked like JSON.
"""

import re
from functools import partial
from typing import Any
from urllib.parse import parse_qsl

from botocore.model import OperationModel, ServiceModel, Shape

from innkeeper.aws import timestamps
from innkeeper.aws.answer import Answer
from innkeeper.aws.errors import query_error, xml_text
from innkeeper.aws.protocol import Match
from innkeeper.aws.readers import Readers, from_text
from innkeeper.aws.request import SignedRequest
from innkeeper.aws.validation import Violations
from innkeeper.aws.writers import base64_text
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest

_MAX_FIELDS = 10_000
_NUMBER = re.compile("[0-9]{1,9}")
_TEXT = ""  # the key of a node's own text, beside those of its children

Node = dict[str, Any]


class QueryProtocol:
    """One service model; the operation is named by the `Action` field."""

    error = staticmethod(query_error)

    def __init__(self, model: ServiceModel) -> None:
        self._model = model
        self._names = frozenset(model.operation_names)
        self._readers = Readers()

    def match(self, request: SignedRequest, body: bytes) -> Match | None:
        form = _form(request.query_string + b"&" + body)
        action = form.get("Action", {}).get(_TEXT)
        if action not in self._names:
            return None
        operation = self._model.operation_model(action)
        return Match(operation, partial(self._decode, operation, form))

    def answer(self, operation: OperationModel, output: Document, request_id: str) -> Answer:
        name, namespace = operation.name, self._model.metadata["xmlNamespace"]
        shape, result = operation.output_shape, ""
        if shape is not None:
            result = _element(shape.serialization["resultWrapper"], _xml(shape, output))
        metadata = _element("ResponseMetadata", _element("RequestId", request_id))
        body = f'<{name}Response xmlns="{namespace}">{result}{metadata}</{name}Response>'
        return Answer(200, {"content-type": "text/xml"}, body.encode())

    def _decode(self, operation: OperationModel, form: Node, body: bytes) -> Document:
        if operation.input_shape is None:
            return {}
        violations = Violations()
        value = _json(operation.input_shape, form)
        parameters: Document = self._readers.of(operation.input_shape)(value, "", violations)
        violations.raise_if_any()
        return parameters


def _form(content: bytes) -> Node:
    """The fields as a tree: `A.b=1` is `{"A": {"b": {"": "1"}}}`."""
    try:
        fields = parse_qsl(content.decode("ascii"), keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise InvalidRequest("The request must be form fields in percent-encoding") from error
    root: Node = {}
    for name, text in fields:
        node = root
        for part in name.split("."):
            node = node.setdefault(part or "-", {})  # the empty name is taken by the text
        node[_TEXT] = text
    return root


def _json(shape: Shape, node: Node) -> Any:
    match shape.type_name:
        case "structure":
            return {name: _json(member, node[name]) for name, member in shape.members.items() if name in node}
        case "list":
            return [_json(shape.member, item) for item in _numbered(node.get("member", {}))]
        case "map":
            entries = _numbered(node.get("entry", {}))
            return {
                _text(entry.get("key", {})): _json(shape.value, entry.get("value", {})) for entry in entries
            }
        case _:
            return from_text(shape, _text(node))


def _numbered(node: Node) -> list[Node]:
    numbers = [key for key in node if _NUMBER.fullmatch(key)]
    return [node[number] for number in sorted(numbers, key=int)]


def _text(node: Node) -> str:
    return str(node.get(_TEXT, ""))


def _xml(shape: Shape, value: Any) -> str:
    match shape.type_name:
        case "structure":
            return "".join(
                _element(name, _xml(member, value[name]))
                for name, member in shape.members.items()
                if value.get(name) is not None
            )
        case "list":
            return "".join(_element("member", _xml(shape.member, item)) for item in value)
        case "map":
            return "".join(
                _element("entry", _element("key", xml_text(key)) + _element("value", _xml(shape.value, item)))
                for key, item in value.items()
            )
        case "timestamp":
            return timestamps.iso8601(value)
        case "blob":
            return base64_text(value)
        case "boolean":
            return "true" if value else "false"
        case _:
            return xml_text(str(value))


def _element(name: str, content: str) -> str:
    return f"<{name}>{content}</{name}>"
