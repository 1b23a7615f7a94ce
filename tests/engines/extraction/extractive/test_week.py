"""A week of 2,000 turns: echoes are rejected, facts are kept, what changed is answered by the newer fact."""

import pytest
from benchmarks.hygiene import gone_through, not_kept_apart

# Of facts with a record, changes answered by the newer fact, and facts retired that hold. No pattern speaks
# of what "third" tells.
WEEKS = [("seen", 1.0, 1.0, 0.0), ("held", 1.0, 1.0, 0.0), ("third", 0.98, 0.60, 0.01)]


@pytest.mark.parametrize(("half", "facts", "changes", "retired"), WEEKS)
async def test_a_week_is_remembered_without_its_echoes(
    half: str, facts: float, changes: float, retired: float
) -> None:
    out = await gone_through(half, seed=1)
    shares = out.shares()
    assert shares["echoes rejected"] >= 0.95, out.kept_echoes
    assert shares["facts with a record"] >= facts, out.lost
    assert shares["changes answered by the newer fact"] >= changes, out.stale
    assert shares["facts retired that hold"] <= retired, out.retired
    assert out.records < 1.3 * out.facts


async def test_what_is_true_at_once_is_kept_side_by_side() -> None:
    merged = await not_kept_apart("seen")
    assert len(merged) <= 2, merged
