"""From a REST request to the parameters of its operation."""

import json
import re
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from botocore.model import OperationModel, Shape

from innkeeper.aws.readers import NOT_NULL, Reader, Readers, from_text
from innkeeper.aws.request import SignedRequest
from innkeeper.aws.validation import Violations, constraint
from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import InvalidRequest

_SURROGATE = re.compile(rb"\\u[dD][89a-fA-F]")


@dataclass(frozen=True, slots=True)
class _Located:
    """A member that travels outside the body, as text."""

    name: str
    location: str
    key: str
    shape: Shape
    reader: Reader

    def texts(
        self, labels: Mapping[str, str], query: Mapping[str, list[str]], headers: Mapping[str, str]
    ) -> list[str]:
        if self.location == "querystring":
            return query.get(self.key, [])
        text = labels.get(self.key) if self.location == "uri" else headers.get(self.key.lower())
        return [] if text is None else [text]

    def value(self, texts: list[str]) -> Any:
        if self.shape.type_name == "list":
            return [from_text(self.shape.member, text) for text in texts]
        return from_text(self.shape, texts[0])


class RequestDecoder:
    """Reads the requests of one REST operation.

    Idempotency tokens that the caller left out are filled in, as the SDKs do.
    """

    def __init__(self, operation: OperationModel, readers: Readers) -> None:
        shape = operation.input_shape
        members: Mapping[str, Shape] = shape.members if shape else {}
        in_body = [name for name, member in members.items() if "location" not in member.serialization]
        self._required = frozenset(shape.required_members) if shape else frozenset()
        self._tokens = frozenset(operation.idempotent_members)
        self._body_tokens = self._tokens.intersection(in_body)
        self._located = [
            _located(name, member, readers) for name, member in members.items() if name not in in_body
        ]
        self._payload: str = shape.serialization.get("payload", "") if shape else ""
        self._is_raw = bool(self._payload) and members[self._payload].type_name in ("blob", "string")
        self._check_raw = constraint(members[self._payload]) if self._is_raw else None
        self._body = readers.structure(shape, in_body) if in_body and not self._is_raw else None

    def __call__(self, labels: Mapping[str, str], request: SignedRequest, body: bytes) -> Document:
        """Raises InvalidRequest that names every member that breaks its model."""
        violations = Violations()
        parameters = self._read_body(body, violations)
        query = _query(request.query_string)
        for member in self._located:
            name = member.name
            if texts := member.texts(labels, query, request.headers):
                parameters[name] = member.reader(member.value(texts), name, violations)
            elif name in self._tokens:
                parameters[name] = str(uuid.uuid4())
            elif name in self._required:
                violations.add(name, NOT_NULL)
        violations.raise_if_any()
        return parameters

    def _read_body(self, body: bytes, violations: Violations) -> Document:
        if self._is_raw:
            if self._check_raw:
                self._check_raw(body, self._payload, violations)
            return {self._payload: body}
        if self._body is None:
            return {}
        content = parse_json(body) if body else {}
        if self._payload:
            content = {self._payload: content} if body else {}
        if type(content) is not dict:
            raise InvalidRequest("The request body must be a JSON object", reason="CannotParse")
        for name in self._body_tokens:
            content.setdefault(name, str(uuid.uuid4()))
        parameters: Document = self._body(content, "", violations)
        return parameters


def parse_json(body: bytes) -> Any:
    """Raises InvalidRequest where the body is no JSON that can be kept and given back."""
    try:
        value = json.loads(body.decode(), parse_constant=_refuse)
        if _SURROGATE.search(body):
            json.dumps(value, ensure_ascii=False).encode()
    except (ValueError, RecursionError) as error:
        raise InvalidRequest("The request body is not valid JSON in UTF-8", reason="CannotParse") from error
    return value


def _located(name: str, member: Shape, readers: Readers) -> _Located:
    key = member.serialization.get("name", name)
    return _Located(name, member.serialization["location"], key, member, readers.of(member))


def _refuse(word: str) -> None:
    raise ValueError(f"{word} is no JSON")


def _query(query_string: bytes) -> dict[str, list[str]]:
    return parse_qs(query_string.decode("latin-1"), keep_blank_values=True) if query_string else {}
