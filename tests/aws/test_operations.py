"""A service's methods are found by the names of the operations that they implement."""

import pytest

from innkeeper.aws.models import AGENTCORE
from innkeeper.aws.operations import operations_of
from innkeeper.kernel.call import Call, Document


class Memories:
    async def create_memory(self, call: Call, parameters: Document) -> Document:
        return {}

    async def list_ab_tests(self, call: Call, parameters: Document) -> Document:
        return {}

    async def _not_public(self) -> None: ...

    def helper(self) -> None: ...


class Misspelled:
    async def create_memori(self, call: Call, parameters: Document) -> Document:
        return {}


def test_methods_are_found_by_operation() -> None:
    memories = Memories()
    found = operations_of(AGENTCORE, memories)
    assert found == {"CreateMemory": memories.create_memory, "ListABTests": memories.list_ab_tests}


def test_a_method_that_implements_nothing_is_a_mistake() -> None:
    with pytest.raises(TypeError, match=r"Misspelled\.create_memori is named after no operation"):
        operations_of(AGENTCORE, Misspelled())


def test_an_operation_belongs_to_one_service() -> None:
    with pytest.raises(TypeError, match="another service implements"):
        operations_of(AGENTCORE, Memories(), Memories())
