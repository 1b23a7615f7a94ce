"""The Extractor without a language model: it finds what was said, in the words in which it was said."""

import asyncio
from collections.abc import Sequence

from innkeeper.engines.extraction.extractive.digest import digest
from innkeeper.engines.extraction.extractive.episodes import episodes
from innkeeper.engines.extraction.extractive.moments import moment
from innkeeper.engines.extraction.extractive.preferences import is_preference
from innkeeper.engines.extraction.extractive.salience import WORTH_KEEPING, salience
from innkeeper.engines.extraction.extractor import (
    Action,
    Finding,
    Guidance,
    Kind,
    Known,
    Reading,
    Said,
    Verdict,
)
from innkeeper.engines.extraction.hygiene.sieve import sift
from innkeeper.engines.extraction.language.sentences import sentences
from innkeeper.engines.extraction.language.words import normalised

_MOST_OF_A_TURN = 50  # findings; a long document stays searchable as the turn that it is


class Extractive:
    """English and Chinese. It asks nobody, follows no prompt of a custom strategy and reflects on nothing."""

    async def extract(self, reading: Reading) -> Sequence[Finding]:
        if not reading.turns:
            return ()
        return await asyncio.to_thread(_found, reading)

    async def consolidate(
        self, kind: Kind, finding: Finding, known: Sequence[Known], guidance: Guidance
    ) -> Verdict:
        if kind is Kind.SUMMARY:
            older = [one.id for one in known if one.at <= finding.at]
            return Verdict(Action.UPDATE, older) if older else Verdict(Action.ADD)
        said = normalised(finding.text)
        same = [one.id for one in known if normalised(one.text) == said]
        return Verdict(Action.SKIP, same) if same else Verdict(Action.ADD)


def _found(given: Reading) -> Sequence[Finding]:
    reading = sift(given)
    match reading.kind:
        case Kind.SUMMARY:
            return [digest(reading.turns or given.turns, reading.present)]
        case Kind.EPISODIC:
            return list(episodes(reading.turns))
        case Kind.REFLECTION:
            return ()
        case Kind.SEMANTIC | Kind.USER_PREFERENCE:
            return [found for turn in reading.turns for found in _of_turn(reading.kind, turn)]


def _of_turn(kind: Kind, turn: Said) -> list[Finding]:
    spans = dict.fromkeys(sentences(turn.text))
    if kind is Kind.USER_PREFERENCE:
        kept = [span for span in spans if turn.role == "USER" and is_preference(span)][:_MOST_OF_A_TURN]
    else:
        kept = _most_telling(list(spans), turn.role)
    return [Finding(span, [turn.id], moment(span, turn.at)) for span in kept]


def _most_telling(spans: Sequence[str], role: str) -> list[str]:
    """In order; of too many the best."""
    if role == "TOOL":
        return []
    worth = [(salience(span, role), span) for span in spans]
    telling = [(score, span) for score, span in worth if score >= WORTH_KEEPING]
    best = {span for _, span in sorted(telling, reverse=True)[:_MOST_OF_A_TURN]}
    return [span for _, span in telling if span in best]
