"""An operator's classifier finds what the rules do not know, on a running server; and is down one day."""

import asyncio
import json
from functools import partial
from pathlib import Path
from typing import Any

from starlette.responses import Response

from tests.engines.vetting.moderation_server import moderation_server
from tests.running import RunningServer
from tests.services.memory.remembering import Remembering


async def test_a_guardrail_judges_beside_the_rules(tmp_path: Path) -> None:
    async with moderation_server() as guardrail:
        provider = {"kind": "openai", "base_url": guardrail.url, "api_key": "sk-secret"}
        server = RunningServer(
            tmp_path,
            {
                "models": json.dumps({"guard": provider}),
                "memory_guardrail": "guard/guard-1",
                "memory_guardrail_categories": '["prompt_injection"]',
                "memory_guardrail_attempts": "1",
            },
        )
        try:
            await asyncio.to_thread(server.start)
            memory = await asyncio.to_thread(lambda: Remembering(server).create())

            async def write(text: str) -> Any:
                wanted = {"actor": "ann", "text": text}
                ask = partial(server.native, "PUT", f"/-/v1/memories/{memory}/blocks/plan", wanted)
                return await asyncio.to_thread(ask)

            assert (await write("Two knives for the kitchen."))["version"] == 1
            assert (await write("A quiet evasion."))["concerns"] == ["guardrail: prompt_injection"]
            guardrail.script = [Response(status_code=500)]
            assert (await write("Tea."))["concerns"] == ["guardrail did not answer"]
            assert "sk-secret" not in server.log.read_text()
        finally:
            await asyncio.to_thread(server.stop)
