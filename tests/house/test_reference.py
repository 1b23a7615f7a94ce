"""The generated reference pages are those that the code of today gives."""

import pytest
from scripts.reference import PAGES, ROOT

from innkeeper.model_provider import ModelProvider
from innkeeper.settings import Settings


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_fresh(name: str) -> None:
    written = (ROOT / name).read_text()
    assert written == PAGES[name](), f"{name} is stale; run: make docs"


@pytest.mark.parametrize("settings", [Settings, ModelProvider])
def test_every_setting_says_what_it_is_for(settings: type[Settings | ModelProvider]) -> None:
    fields = settings.model_fields
    assert [name for name, field in fields.items() if not field.description] == []
