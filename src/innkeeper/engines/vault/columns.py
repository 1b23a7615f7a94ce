"""Columns that hold what a vault has sealed. By them a rotation of the master key finds all of it: no other
column may hold any."""

from collections.abc import Mapping
from string import Formatter
from typing import Any

from sqlalchemy import LargeBinary
from sqlalchemy.types import TypeDecorator


class VaultSealed(TypeDecorator[bytes]):
    """`template` says for which context: with names of the row's columns in braces."""

    impl = LargeBinary
    cache_ok = True

    def __init__(self, template: str) -> None:
        super().__init__()
        self.template = template

    @property
    def names(self) -> list[str]:
        """The columns that the context is made of."""
        return [name for _, name, _, _ in Formatter().parse(self.template) if name]

    def context(self, row: Mapping[str, Any]) -> str:
        return self.template.format_map(row)
