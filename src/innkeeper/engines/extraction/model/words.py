"""The words of a text that carry what it says: content words, names and numbers; English and Chinese."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

_HAN = "\u3040-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff"
_TOKEN = re.compile(rf"\d+|[^\W\d_{_HAN}]+(?:['\u2019][^\W\d_{_HAN}]+)?")
_HAN_RUN = re.compile(f"[{_HAN}]+")
_THOUSANDS = re.compile(r"(?<=\d),(?=\d{3}(?!\d))")
_BEGINNING = re.compile(r"(?:^|[.!?:;\n\-•\"“(。！？：；])\s*$")  # noqa: RUF001

# How something is told, and of whom, and small words: not what is told.
_FRAME = frozenset(Path(__file__).with_name("frame_words.txt").read_text("utf-8").split())
_HAN_FRAME = re.compile(
    "用户|客户|对方|本人|助手|表示|提到|说过|认为|希望|想要|喜欢|偏好|偏爱|倾向|习惯|目前|现在|正在|计划"
    "|打算|需要|使用|一个|名叫|名字|叫做|居住|住在|会话|总结|[的了是在有和与也就都很会要用说他她它这那吗呢啊吧着过把被给对于中上]"
)
_NUMBER_WORDS = {
    "two": "2",
    "three": "3",
    "four": "4",
    "five": "5",
    "six": "6",
    "seven": "7",
    "eight": "8",
    "nine": "9",
    "ten": "10",
    "eleven": "11",
    "twelve": "12",
    "thirteen": "13",
    "fourteen": "14",
    "fifteen": "15",
    "sixteen": "16",
    "seventeen": "17",
    "eighteen": "18",
    "nineteen": "19",
    "twenty": "20",
}
_HAN_DIGITS = {"\u3007": 0, "零": 0, "一": 1, "二": 2, "两": 2, "三": 3, "四": 4, "五": 5, "六": 6, "七": 7}
_HAN_DIGITS |= {"八": 8, "九": 9}
_HAN_NUMBER = re.compile("[\u3007零一二两三四五六七八九十百]+")
_COUNTED = re.compile("(?=[个只岁年月天次点块元位名人本周号条台辆])")
_AKIN = 5
_ENDINGS = ("ing", "ies", "ied", "ed", "es", "ly", "er", "s", "e", "y")


@dataclass(frozen=True, slots=True)
class Words:
    """`content` are stems, `han` characters of Chinese, Japanese and Korean; `numbers` without zeros before
    them; `names` are Latin words that begin with a capital inside a sentence, as stems."""

    content: frozenset[str]
    han: frozenset[str]
    numbers: frozenset[str]
    names: frozenset[str]

    def holds(self, stem: str) -> bool:
        """Whether the word is there, in another form perhaps: `allergic` for `allergy`."""
        return stem in self.content or any(True for _ in self.akin(stem))

    def akin(self, stem: str) -> Iterator[str]:
        """The forms in which the word is there."""
        if stem in self.content:
            yield stem
        if len(stem) >= _AKIN:
            yield from (other for other in self.content if other != stem and _akin(stem, other))


def words_of(text: str) -> Words:
    text = _THOUSANDS.sub("", text)
    latin = list(_latin(text))
    names = {
        stem(word) for word, inside in latin if inside and word[0].isupper() and word.lower() not in _FRAME
    }
    plain = [word.lower() for word, _ in latin]
    content = {stem(word) for word in plain if word not in _FRAME}
    han = "".join(_HAN_RUN.findall(_HAN_FRAME.sub("", text)))
    return Words(frozenset(content), frozenset(han), frozenset(_numbers(text, plain)), frozenset(names))


def all_words_of(text: str) -> Words:
    """The same of a text that others are held against: words that only frame count too, and each Chinese
    numeral is a number."""
    text = _THOUSANDS.sub("", text)
    plain = [word.lower() for word, _ in _latin(text)]
    han = frozenset("".join(_HAN_RUN.findall(text)))
    numbers = {str(_han_number(one)) for one in _HAN_NUMBER.findall(text)}
    return Words(
        frozenset(map(stem, plain)), han, frozenset(numbers.union(_numbers(text, plain))), frozenset()
    )


def joined(parts: Iterable[Words]) -> Words:
    content: set[str] = set()
    han: set[str] = set()
    numbers: set[str] = set()
    names: set[str] = set()
    for one in parts:
        content |= one.content
        han |= one.han
        numbers |= one.numbers
        names |= one.names
    return Words(frozenset(content), frozenset(han), frozenset(numbers), frozenset(names))


def stem(word: str) -> str:
    """Cut so far that the forms of a regular word agree."""
    word = word.lower().replace("\u2019", "'").removesuffix("'s")
    for ending in _ENDINGS:
        if len(word) - len(ending) >= 3 and word.endswith(ending):
            word = word.removesuffix(ending)
            break
    return word[:-1] if len(word) > 3 and word[-1] == word[-2] else word


def _akin(one: str, other: str) -> bool:
    """Whether they begin alike and hardly differ behind, or one goes on where the other ends."""
    if len(one) > len(other):
        one, other = other, one
    begin = max(len(one) if len(other) - len(one) > 3 else len(other) - 3, _AKIN)
    return one[:begin] == other[:begin]


def _latin(text: str) -> Iterator[tuple[str, bool]]:
    """Words, and whether they stand inside a sentence; no numbers."""
    for match in _TOKEN.finditer(text):
        if not match[0][0].isdigit():
            yield match[0], not _BEGINNING.search(text[max(0, match.start() - 4) : match.start()])


def _numbers(text: str, plain: list[str]) -> Iterator[str]:
    yield from (match.lstrip("0") or "0" for match in re.findall(r"\d+", text))
    yield from (_NUMBER_WORDS[word] for word in plain if word in _NUMBER_WORDS)
    for match in _HAN_NUMBER.finditer(text):
        if match[0] != "一" and _COUNTED.match(text, match.end()):
            yield str(_han_number(match[0]))


def _han_number(numeral: str) -> int:
    """Up to 999: 二十三 is 23."""
    total = digit = 0
    for character in numeral:
        if character in _HAN_DIGITS:
            digit = _HAN_DIGITS[character]
        else:
            total += (digit or 1) * (10 if character == "十" else 100)
            digit = 0
    return total + digit
