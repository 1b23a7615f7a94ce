"""Chinese in rows of English words."""

import re
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.engines.embedders import gloss
from innkeeper.engines.embedders.gloss import glossed, pieces
from innkeeper.kernel.chinese import simplified


@pytest.mark.parametrize(
    ("text", "english"),
    [
        ("我对花生过敏", "I allergic to peanuts"),
        ("我對花生過敏", "I allergic to peanuts"),
        ("鸡蛋和牛奶", "egg and milk"),  # not egg, wagyu beef, breast
        ("用U盘", "use USB drive"),
        ("80后", "born in 1980s"),
        ("你喜欢 Python 吗?", "you like Python ?"),
        ("龘龘", "龘 龘"),
        ("How's the weather?\n Fine.", "How's the weather?\n Fine."),
        ("\ud800", "\ud800"),
        ("", ""),
    ],
)
def test_words_are_replaced_and_all_else_stays(text: str, english: str) -> None:
    assert glossed(text) == english


@given(st.text(st.characters(codec="utf-8")) | st.text("我们对花生过敏和牛奶喜欢喝的 abc1."))
def test_nothing_of_a_text_is_left_out(text: str) -> None:
    words = "".join(piece.word for piece in pieces(text))
    assert words == re.sub(r"\s", "", simplified(text))


def test_each_word_is_listed_once_with_a_few_words_of_english() -> None:
    listed: Counter[str] = Counter()
    for path in Path(gloss.__file__).with_name("glosses").iterdir():
        for line in path.read_text("utf-8").splitlines():
            assert re.fullmatch(r"[\u3400-\u9fffA-Za-z0-9]+\t[!-~]+( [!-~]+){0,5}", line), (path.name, line)
            listed[line.partition("\t")[0].lower()] += 1
    assert listed and set(listed.values()) == {1}
