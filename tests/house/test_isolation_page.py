"""The page that says what is tried names tests that there are."""

import re
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/concepts/isolation.md"


def test_each_test_that_the_page_names_is_there() -> None:
    named = set(re.findall(r"`(test_\w+)`", PAGE.read_text()))
    contract = (ROOT / "src/innkeeper/engines/sandbox").glob("contract_*.py")
    tests = (path for part in ("services", "engines") for path in (ROOT / "tests" / part).rglob("test_*.py"))
    texts = [path.read_text() for path in (*contract, *tests)]
    there = {name for text in texts for name in re.findall(r"def (test_\w+)\(", text)}
    assert len(named) > 30
    assert named - there == set()
