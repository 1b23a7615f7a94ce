"""The guide's settings are such as the server takes."""

import re
import tomllib
from pathlib import Path

from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import SystemClock
from innkeeper.services.model_gateway.service import ModelGateway
from innkeeper.settings import Settings
from innkeeper.wiring.engines import open_model

GUIDE = Path(__file__).parents[3] / "docs/guide/models.md"


async def test_the_guides_settings_fit_together(database: Database) -> None:
    blocks = [
        tomllib.loads(block) for block in re.findall(r"```toml\n(.*?)```", GUIDE.read_text(), re.DOTALL)
    ]
    providers = {name: provider for block in blocks for name, provider in block.get("models", {}).items()}
    mappings = [block["model_ids"] for block in blocks if "model_ids" in block]
    assert len(mappings) == 2
    for model_ids in mappings:
        settings = Settings(models=providers, model_ids=model_ids)
        gateway = ModelGateway(database, settings.models, settings.model_ids, open_model, SystemClock())
        assert [route.pattern for route in gateway.routes] == list(model_ids)
        await gateway.close()
