"""What of a model's answer may be kept. It is not believed: each finding is held against the turns."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime

from innkeeper.engines.extraction.extractor import Finding, Kind, Reading, Said
from innkeeper.engines.extraction.hygiene.sieve import is_echo, sift
from innkeeper.engines.extraction.model import metadata
from innkeeper.engines.extraction.model.answer import BadAnswer, Draft
from innkeeper.engines.extraction.model.dates import day_meant
from innkeeper.engines.extraction.model.echo import Echo
from innkeeper.engines.extraction.model.legible import legible
from innkeeper.engines.extraction.model.limits import ModelLimits
from innkeeper.engines.extraction.model.orders import is_order
from innkeeper.engines.extraction.model.prompt import turn_names
from innkeeper.engines.extraction.model.sentences import sentences
from innkeeper.engines.extraction.model.support import Ground, Heard

# Those rest on all that was read, and name no turns.
_WHOLE = frozenset({Kind.SUMMARY, Kind.REFLECTION})
# Those lose a sentence that does not stand, instead of being lost.
_IN_LINES = frozenset({Kind.SUMMARY, Kind.EPISODIC, Kind.REFLECTION})
_REFLECTION_SHARE = 0.3
_SHARE = 0.5
_REPEATED = "repeated"
_LABEL = re.compile(r"^\W*(situation|steps|outcome|lesson)\s*:\s*", re.IGNORECASE)

# What only the person can say of themselves.
_WILL = re.compile(
    r"\b(user|customer|client|person)\b.{0,60}"
    r"\b(wants?|prefers?|likes?|wish(es)?|asks?|asked|instructs?|instructed"
    r"|authori[sz]e[sd]?|approve[sd]?|allow(s|ed)?|agree[sd]?|consent(s|ed)?)\b"
    r"|(用户|客户).{0,30}(希望|想要|喜欢|偏好|要求|同意|授权|允许|批准)",
    re.IGNORECASE,
)


class Vetting:
    """Of the answers to one reading; `rules` is what the model was told."""

    def __init__(self, reading: Reading, limits: ModelLimits, rules: str) -> None:
        self._reading = reading
        self._limits = limits
        self._echo = Echo(rules)
        self._heard = Heard()
        self._given = {one.id: one.text for one in reading.turns}
        self._news = {one.id: one.text for one in sift(replace(reading, dropped=Counter())).turns}
        self._seen: set[str] = set()

    def kept(
        self, drafts: Sequence[Draft], piece: Sequence[Said], context: Sequence[str]
    ) -> tuple[list[Finding], Counter[str]]:
        """The findings that stand, and how many others did not, by reason. `context` is what was told before
        the piece. Raises BadAnswer when none stands of those that there are."""
        dropped: Counter[str] = Counter()
        found: list[Finding] = []
        seen = set(self._seen)
        most = 1 if self._reading.kind is Kind.SUMMARY else self._limits.findings
        for draft in drafts:
            if len(found) >= most:
                dropped["too many"] += 1
                continue
            finding = self._finding(draft, piece, context, dropped)
            if finding is not None and (bare := plain(finding.text)) in seen:
                dropped[_REPEATED] += 1
            elif finding is not None:
                seen.add(bare)
                found.append(finding)
        if not found and (set(dropped) - {_REPEATED} or self._reading.kind is Kind.SUMMARY):
            raise BadAnswer(f"nothing in it can be kept ({told(dropped) or 'no summary'})")
        if self._reading.kind is not Kind.SUMMARY:
            self._seen = seen
        return found, dropped

    def _finding(
        self, draft: Draft, piece: Sequence[Said], context: Sequence[str], dropped: Counter[str]
    ) -> Finding | None:
        sources = self._sources(draft, piece)
        if not sources:
            dropped["no such turn"] += 1
            return None
        text = legible(draft.text).strip()
        if reason := self._wrong(text, sources):
            dropped[reason] += 1
            return None
        borne = self._borne(text, self._ground(sources, piece, context))
        if borne != text:
            dropped["not said"] += 1
        if not borne:
            return None
        return Finding(
            text=borne,
            sources=list(dict.fromkeys(one.id for one in sources)),
            at=_at(draft.at, sources),
            metadata=metadata.checked(draft.metadata, self._reading.wanted, dropped),
        )

    def _ground(self, sources: Sequence[Said], piece: Sequence[Said], context: Sequence[str]) -> Ground:
        if self._reading.kind in _WHOLE:
            return Ground.of(sources, [*(one.text for one in sources), *context], (), self._heard)
        near = list(map(self._news_in, sources))
        before = [*context, *(one.text for one in piece[: piece.index(sources[-1])])]
        return Ground.of(sources, near, before, self._heard)

    def _news_in(self, source: Said) -> str:
        """What its turn tells beside echoes."""
        left = self._news.get(source.id, "")
        return source.text if left == self._given[source.id] else left

    def _sources(self, draft: Draft, piece: Sequence[Said]) -> list[Said]:
        """The turns that it names, in order; none if one of them does not exist."""
        if self._reading.kind in _WHOLE:
            return list(piece)
        names = turn_names(piece)
        if not set(draft.sources) <= set(names.values()):
            return []
        return [one for one in piece if names[one.id] in draft.sources]

    def _wrong(self, text: str, sources: Sequence[Said]) -> str:
        """Why it may not be kept whatever was said; empty when there is no reason."""
        kind, limits = self._reading.kind, self._limits
        most = limits.summary_characters if kind in _IN_LINES else limits.finding_characters
        own = any(one.role == "USER" for one in sources)
        if not text:
            return "empty"
        if len(text) > most:
            return "too long"
        if kind not in _IN_LINES and is_order(text):
            return "an order"
        if kind not in _IN_LINES and any(map(is_echo, sentences(text))):
            return "an echo"
        if self._echo.of(text) or (kind not in _WHOLE and not any(map(self._news_in, sources))):
            return "an echo"
        if not own and (kind is Kind.USER_PREFERENCE or _WILL.search(text)):
            return "not the person's word"
        return ""

    def _borne(self, text: str, ground: Ground) -> str:
        """As much of it as the turns bear."""
        kind = self._reading.kind
        share = _REFLECTION_SHARE if kind is Kind.REFLECTION else _SHARE
        if kind not in _IN_LINES:
            return text if all(ground.bears(one, share) for one in sentences(text)) else ""
        lines = []
        for line in text.splitlines():
            parts = sentences(line)
            bare = [(one, _LABEL.sub("", one)) for one in parts if not is_order(one)]
            stand = [one for one, words in bare if not is_echo(words) and ground.bears(words, share)]
            if len(stand) == len(parts):
                lines.append(line)
            elif stand:
                lines.append(" ".join(stand))
        return "\n".join(lines).strip()


def told(dropped: Counter[str]) -> str:
    return ", ".join(f"{reason}: {count}" for reason, count in dropped.items())


def plain(text: str) -> str:
    """Without case, spaces and punctuation."""
    return re.sub(r"\W+", "", text).casefold()


def _at(given: str | None, sources: Sequence[Said]) -> datetime:
    """The day that it speaks of, if the turns can have meant it; otherwise the time of the last of them."""
    last = max(sources, key=lambda one: one.at).at
    try:
        day = date.fromisoformat(given[:10]) if given else last.date()
    except ValueError:
        return last
    if day == last.date() or not day_meant(day, sources):
        return last
    return datetime(day.year, day.month, day.day, tzinfo=last.tzinfo or UTC)
