"""Waiting until bare sentries are ready, which are made in the background."""

import asyncio
import json
from pathlib import Path

_READY_SECONDS = 60.0
_LOOK_SECONDS = 0.05


async def ready(state_dir: Path, count: int) -> None:
    """So many, of the gVisor driver whose folder this is."""
    async with asyncio.timeout(_READY_SECONDS):
        records = state_dir / "sandboxes"
        while await asyncio.to_thread(_count, records) < count:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(_LOOK_SECONDS)


def _count(records: Path) -> int:
    return sum(bool(json.loads(path.read_text())["processes"]) for path in records.glob("spare-*.json"))
