"""A document is cut where it has its seams, and nothing of it is lost."""

from hypothesis import given
from hypothesis import strategies as st

from innkeeper.services.memory.context.tokens import estimate
from innkeeper.services.memory.documents.chunking import CHUNK_TOKENS, cut, summary_of

PARTS = st.sampled_from(
    ["# One\n", "## Two ##\n", "```\n", "word ", "End. ", "\n\n", "\n", "章节。", "我喜欢茶", "x" * 400]
)
TEXTS = st.one_of(st.lists(PARTS, max_size=80).map("".join), st.text(max_size=200))

GUIDE = """A guide for new guests.

# Arriving

Ring at the door. Somebody comes at once.

## Late

After ten the key is in the box.

```sh
# no heading
open box
```

# Leaving

Pay at the desk! Leave the key.
"""


@given(TEXTS)
def test_the_chunks_are_the_document(text: str) -> None:
    found = cut(text)
    assert "".join(found.texts) == text
    assert len(found.headings) == len(found.texts)
    covered = {number for one in found.sections for number in range(one.first, one.last + 1)}
    assert covered == set(range(len(found.texts)))
    most = max(CHUNK_TOKENS, 3 * 200 + 1)
    assert all(len(one) > 0 and estimate(one) <= most for one in found.texts)


def test_sections_have_headings_and_summaries() -> None:
    found = cut(GUIDE)
    assert list(found.headings) == ["", "Arriving", "Arriving / Late", "Leaving"]
    assert [one.title for one in found.sections] == ["", "Arriving", "Late", "Leaving"]
    assert found.sections[1].summary == "Ring at the door. Somebody comes at once."
    assert summary_of(found.sections) == "A guide for new guests.\nArriving; Late; Leaving"


def test_no_heading_stands_alone() -> None:
    long = "The key is in the box behind the door. " * 25  # as much as a chunk holds
    found = cut(f"\n\n# Guide\n\n## Keys\n\n{long}\n\n## Rooms\n\n### Blue\n\nIt has a bath.\n\n## Later\n")
    assert [one.strip()[:20] for one in found.texts] == [
        "# Guide\n\n## Keys\n\nTh",
        "## Rooms\n\n### Blue\n\n",
        "## Later",
    ]
    assert list(found.headings) == ["Guide / Keys", "Guide / Rooms / Blue", "Guide / Later"]
    shown = [(one.title, one.first, one.last) for one in found.sections]
    assert shown == [("Guide", 0, 0), ("Keys", 0, 0), ("Rooms", 1, 1), ("Blue", 1, 1), ("Later", 2, 2)]


def test_long_paragraphs_are_cut_after_sentences_of_any_script() -> None:
    for sentence in ("The key is in the box behind the door. ", "钥匙在门后面的盒子里。"):
        found = cut(sentence * 200)
        assert len(found.texts) > 5
        assert all(one.endswith(sentence) for one in found.texts)
    assert len(cut("." * 100_000 + "# " * 100_000).texts) > 100
