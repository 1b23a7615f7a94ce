"""Whether what a model found was said: a rule of words, for English and Chinese.

A sentence stands when

- each number and each name in it was said, in the turns that it names or before them (a day may also be
  one that the turns lead to, see `dates`);
- so was at least half of its other content words, in whatever form, and three fifths of its Chinese
  characters;
- one of those words at least is in the turns that it names;
- it denies nothing that they affirm, and affirms nothing that they deny.

This keeps out what was made up; it can neither see every twist of what was said, nor through every
paraphrase. What it turns away can still be found in the turns themselves.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from innkeeper.engines.extraction.extractor import Said
from innkeeper.engines.extraction.model.dates import DATE_WORDS, meant_years, without_meant_dates
from innkeeper.engines.extraction.model.orders import without_takeovers
from innkeeper.engines.extraction.model.sentences import clauses
from innkeeper.engines.extraction.model.words import Words, all_words_of, stem, words_of

_SHARE = 0.5
_HAN_MORE = 0.1
_DENIAL = re.compile(
    r"\b(not|no|never|none|nor|neither|nothing|nobody|without|cannot|hardly|hates?|hated|dislikes?|disliked|avoids?"
    r"|avoided|refuses?|refused|stop(s|ped)?|quit|quits|unable|lacks?|isnt|dont|cant)\b|n['\u2019]t\b"
    r"|[不没无未别非]|讨厌|拒绝|避免|戒",
    re.IGNORECASE,
)
_NO_DENIAL = re.compile(
    r"\b(can['\u2019]?t|cannot) (wait|help)\b|\bwhy (not|don['\u2019]t)\b|\bnot only\b|\bno (problem|worries|doubt)\b"
    r"|\b(is|are|was|do|does|did|has|have)n['\u2019]t (it|you|they|he|she|we)\b"
    r"|不[仅但错久少同过断管得论]|没问题|差不多|不好意思|(.)不\3|(.)没\4|无[线论]|特别|分别|别人|非常|未来",
    re.IGNORECASE,
)
_DATE_STEMS = frozenset(map(stem, DATE_WORDS))


@dataclass(frozen=True, slots=True)
class Ground:
    """What sentences are held against: `sources` that a finding names, the `context` that was said before."""

    sources: Sequence[Said]
    told: Words
    near: Words
    clauses: Sequence[tuple[Words, bool]]

    @classmethod
    def of(cls, sources: Sequence[Said], context: Sequence[str]) -> "Ground":
        near = "\n".join(without_takeovers(one.text) for one in sources)
        told = "\n".join([near, *map(without_takeovers, context)])
        parts = [(all_words_of(one), _denies(one)) for one in clauses(told)]
        return cls(sources, all_words_of(told), all_words_of(near), parts)

    def bears(self, sentence: str, share: float = _SHARE) -> bool:
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
        if not (any(self.near.holds(word) for word in found) or han & self.near.han):
            return False
        return len(found) >= share * len(wanted) and len(han) >= (share + _HAN_MORE) * len(said.han)

    def _agrees(self, said: Words, denies: bool) -> bool:
        """Whether one of the clauses that share most with the sentence denies, or does not, as it does."""
        shared = [(_shared(said, words), denied) for words, denied in self.clauses]
        most = max((count for count, _ in shared), default=0)
        return most == 0 or any(denied is denies for count, denied in shared if count == most)


def _shared(said: Words, clause: Words) -> int:
    return sum(clause.holds(word) for word in said.content) + len(said.han & clause.han)


def _denies(text: str) -> bool:
    return _DENIAL.search(_NO_DENIAL.sub("", text)) is not None
