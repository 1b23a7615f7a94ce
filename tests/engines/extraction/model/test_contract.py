"""What every driver does, with a model that does as it is asked."""

from collections.abc import AsyncIterator

import pytest

from innkeeper.engines.extraction.contract import ExtractorContract
from innkeeper.engines.extraction.extractor import Extractor
from tests.engines.extraction.model.conftest import Asking
from tests.engines.extraction.model.scribe import diligent


class TestModel(ExtractorContract):
    @pytest.fixture
    async def extractor(self, asking: Asking) -> AsyncIterator[Extractor]:
        async with asking(diligent) as (extractor, _):
            yield extractor
