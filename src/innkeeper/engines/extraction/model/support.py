"""Whether what a model found was said: a rule of words, for English and Chinese.

A sentence stands when

- each number and each name in it was said, in the turns that it names or before them (a day may also be
  one that the turns lead to, see `dates`);
- so was at least half of its other content words, in whatever form, and more of its Chinese characters;
- a fifth of those words, and one at least, is in the turns that it names;
- it denies nothing that they affirm, and affirms nothing that they deny.

This keeps out what was made up; it can neither see every twist of what was said, nor through every
paraphrase. What it turns away can still be found in the turns themselves.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from innkeeper.engines.extraction.extractor import Said
from innkeeper.engines.extraction.model.dates import DATE_WORDS, meant_years, without_meant_dates
from innkeeper.engines.extraction.model.legible import plainly_written
from innkeeper.engines.extraction.model.orders import without_takeovers
from innkeeper.engines.extraction.model.sentences import clauses
from innkeeper.engines.extraction.model.words import Words, all_words_of, joined, stem, words_of

_SHARE = 0.5
_NEAR_SHARE = 0.2
_HAN_MORE = 0.05
_DENIAL = re.compile(
    r"\b(not|no|never|none|nor|neither|nothing|nobody|without|cannot|hardly"
    r"|hates?|hated|dislikes?|disliked|avoids?"
    r"|avoided|refuses?|refused|stop(s|ped)?|quit|quits|unable|lacks?|isnt|dont|cant)\b|n['\u2019]t\b"
    r"|[不没无未别非]|讨厌|拒绝|避免|戒",
    re.IGNORECASE,
)
_NO_DENIAL = re.compile(
    r"\b(can['\u2019]?t|cannot) (wait|help)\b|\bwhy (not|don['\u2019]t)\b|\bnot only\b"
    r"|\bno (problem|worries|doubt)\b|(\b(not|never)|n['\u2019]t) giv(e|ing) up\b"
    r"|\b(is|are|was|do|does|did|has|have|should|would|could)n['\u2019]t (it|you|they|he|she|we)\b"
    r"|不[仅但错久少同断管得论]|不过(?!敏)|没问题|差不多|不好意思|(?P<one>.)不(?P=one)|(?P<two>.)没(?P=two)|无[线论]|特别|分别|别人|非常|未来",
    re.IGNORECASE,
)
_DATE_STEMS = frozenset(map(stem, DATE_WORDS))


class Heard:
    """The words of what was told, taken apart once for all the findings of a reading."""

    def __init__(self) -> None:
        self._parts: dict[str, tuple[Words, Sequence[tuple[Words, bool]]]] = {}

    def words(self, texts: Iterable[str]) -> Words:
        return joined(self._heard(text)[0] for text in texts)

    def clauses(self, texts: Iterable[str]) -> list[tuple[Words, bool]]:
        """Each with whether it denies."""
        return [clause for text in texts for clause in self._heard(text)[1]]

    def _heard(self, text: str) -> tuple[Words, Sequence[tuple[Words, bool]]]:
        if text not in self._parts:
            told = without_takeovers(text)
            parts = [(all_words_of(one), _denies(one)) for one in dict.fromkeys(clauses(told))]
            self._parts[text] = all_words_of(told), parts
        return self._parts[text]


@dataclass(frozen=True, slots=True)
class Ground:
    """What sentences are held against: the `sources` that a finding names and, in `told`, what was said
    before as well."""

    sources: Sequence[Said]
    told: Words
    near: Words
    clauses: Sequence[tuple[Words, bool]]

    @classmethod
    def of(
        cls, sources: Sequence[Said], near: Sequence[str], before: Sequence[str], heard: Heard
    ) -> "Ground":
        """`near` are the texts of the sources, and whatever else the finding rests on."""
        told = dict.fromkeys([*near, *before])
        return cls(sources, heard.words(told), heard.words(near), heard.clauses(near))

    def bears(self, sentence: str, share: float = _SHARE) -> bool:
        sentence = plainly_written(sentence)
        rest = without_meant_dates(sentence, self.sources)
        said = words_of(rest)
        return (
            self._numbers(said)
            and self._names(said)
            and self._content(said, share)
            and self._agrees(said, _denies(sentence))
        )

    def _numbers(self, said: Words) -> bool:
        unknown = said.numbers - self.told.numbers
        return not unknown or unknown <= meant_years(self.sources, self.told.numbers)

    def _names(self, said: Words) -> bool:
        return all(self.told.holds(name) for name in said.names - _DATE_STEMS)

    def _content(self, said: Words, share: float) -> bool:
        wanted = said.content - _DATE_STEMS - said.numbers
        found = {word for word in wanted if self.told.holds(word)}
        han = said.han & self.told.han
        if not found and not han:
            # Nothing but numbers: "The user is 34."
            return not wanted and not said.han and bool(said.numbers & self.near.numbers)
        near = sum(self.near.holds(word) for word in found) + len(han & self.near.han)
        if near < max(1, _NEAR_SHARE * (len(wanted) + len(said.han))):
            return False
        return len(found) >= share * len(wanted) and len(han) >= (share + _HAN_MORE) * len(said.han)

    def _agrees(self, said: Words, denies: bool) -> bool:
        """Whether one of the sources' clauses that share most with the sentence denies, or does not, as it
        does."""
        wanted = {other for word in said.content for other in self.near.akin(word)}
        shared = [
            (len(wanted & words.content) + len(said.han & words.han), denied)
            for words, denied in self.clauses
        ]
        most = max((count for count, _ in shared), default=0)
        return most == 0 or any(denied is denies for count, denied in shared if count == most)


def _denies(text: str) -> bool:
    return _DENIAL.search(_NO_DENIAL.sub("", text)) is not None
