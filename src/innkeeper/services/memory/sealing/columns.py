"""Columns whose values lie sealed in the database, each bound to the place where it stands.

A table names in its `info`, beside account and memory, the columns that a row is known by: a value that was
moved to another column, row, memory or account does not open there.
"""

import json
from abc import abstractmethod
from collections.abc import Mapping
from typing import Any

from sqlalchemy import LargeBinary, Table
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator

from innkeeper.services.memory.sealing.key import LIKENESS_BYTES, is_sealed

_BOUND = "sealed_by"


class Sealed(TypeDecorator[bytes]):
    """Takes and gives sealed bytes alone; what is in the clear is refused, never written by mistake."""

    impl = LargeBinary
    cache_ok = True

    def process_bind_param(self, value: bytes | None, dialect: Dialect) -> bytes | None:
        if value is not None and not (isinstance(value, bytes) and is_sealed(value)):
            raise TypeError("what goes into this column is sealed first")
        return value

    @abstractmethod
    def encoded(self, value: Any) -> bytes: ...

    @abstractmethod
    def decoded(self, plain: bytes) -> Any: ...


class SealedText(Sealed):
    cache_ok = True

    def encoded(self, value: str) -> bytes:
        return value.encode()

    def decoded(self, plain: bytes) -> str:
        return plain.decode()


class SealedJson(Sealed):
    cache_ok = True

    def encoded(self, value: Any) -> bytes:
        return json.dumps(value).encode()

    def decoded(self, plain: bytes) -> Any:
        return json.loads(plain)


class Likeness(TypeDecorator[bytes]):
    """A keyed digest of the text in the column `of`: what is alike is found by it."""

    impl = LargeBinary(LIKENESS_BYTES)
    cache_ok = True

    def __init__(self, of: str) -> None:
        super().__init__()
        self.of = of


def bound_by(*columns: str) -> dict[str, Any]:
    """The `info` of a table whose rows are known by these columns."""
    return {_BOUND: columns}


def place_of(table: Table, column: str, row: Mapping[str, Any]) -> bytes:
    """What a value is bound to. The row has the columns that its table is bound by."""
    own = [row[name] for name in table.info[_BOUND]]
    return json.dumps([table.name, column, row["account"], row["memory"], *own]).encode()
