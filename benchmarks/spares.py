"""Waiting until bare sentries are ready, which are made in the background."""

import asyncio
import json
from pathlib import Path

_READY_SECONDS = 60.0
_LOOK_SECONDS = 0.05
_FROZEN = {"freezer.state": "FROZEN", "cgroup.freeze": "1"}


async def ready(state_dir: Path, count: int) -> None:
    """So many, of the gVisor driver whose folder this is, and at rest."""
    async with asyncio.timeout(_READY_SECONDS):
        records = state_dir / "sandboxes"
        while await asyncio.to_thread(_count, records) < count:  # noqa: ASYNC110 (nobody tells)
            await asyncio.sleep(_LOOK_SECONDS)


def _count(records: Path) -> int:
    return sum(map(_at_rest, records.glob("spare-*.json")))


def _at_rest(record: Path) -> bool:
    groups = map(Path, json.loads(record.read_text())["cgroups"])
    return any(_read(group / file) == state for group in groups for file, state in _FROZEN.items())


def _read(path: Path) -> str:
    return path.read_text().strip() if path.exists() else ""
