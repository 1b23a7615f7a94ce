"""A week of 2,000 turns: echoes are rejected, facts are kept, what changed is answered by the newer fact."""

import pytest
from benchmarks.hygiene import gone_through


@pytest.mark.parametrize(("half", "facts", "changes"), [("seen", 1.0, 0.97), ("held", 0.98, 0.80)])
async def test_a_week_is_remembered_without_its_echoes(half: str, facts: float, changes: float) -> None:
    out = await gone_through(half, seed=1)
    shares = out.shares()
    assert shares["echoes rejected"] >= 0.95, out.kept_echoes
    assert shares["facts with a record"] >= facts, out.lost
    assert shares["changes answered by the newer fact"] >= changes, out.stale
    assert out.records < 1.2 * out.facts
