"""Tokens are estimated without a tokenizer, rather too high; and texts are cut to them."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tokenizers import Tokenizer

from innkeeper.engines.embedders.minilm_install import default_folder
from innkeeper.services.memory.context.tokens import clip, estimate
from tests.stories.terminal import ROOT

LINES = st.lists(st.text(alphabet=st.characters(exclude_categories=["Cs"])), max_size=6)
CHINESE = "我每天早上喝咖啡不加糖。下周三下午三点我们在上海办公室开会。请带上合同的第二版。"


@pytest.mark.parametrize("path", ["docs/guide/memory.md", "src/innkeeper/services/memory/service.py"])
def test_prose_and_code_are_not_underestimated(path: str) -> None:
    tokenizer = Tokenizer.from_file(str(default_folder() / "tokenizer.json"))
    tokenizer.no_truncation()
    text = Path(ROOT / path).read_text() + CHINESE * 10
    counted = len(tokenizer.encode(text, add_special_tokens=False).ids)
    assert counted <= estimate(text) <= 1.5 * counted


@given(LINES)
def test_lines_take_no_more_together_than_apart(lines: list[str]) -> None:
    ended = [f"{line}\n" for line in lines]
    assert estimate("".join(ended)) <= sum(map(estimate, ended))


@given(st.text(), st.integers(0, 60))
def test_a_cut_text_fits(text: str, most: int) -> None:
    cut = clip(text, most, estimate)
    assert estimate(cut) <= most
    assert cut == text or "characters left out" in cut or cut == ""
    assert clip(text, estimate(text), estimate) == text
