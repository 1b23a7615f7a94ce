"""The Extractor without a language model: it finds what was said, in the words in which it was said."""

import asyncio
from collections.abc import Sequence
from datetime import datetime

from innkeeper.engines.extraction.extractive.claims import claims_of
from innkeeper.engines.extraction.extractive.consolidation import SPEAKER, verdict
from innkeeper.engines.extraction.extractive.digest import digest
from innkeeper.engines.extraction.extractive.episodes import episodes
from innkeeper.engines.extraction.extractive.moments import moment
from innkeeper.engines.extraction.extractive.preferences import is_preference
from innkeeper.engines.extraction.extractive.salience import WORTH_KEEPING, asks, requests, salience
from innkeeper.engines.extraction.extractive.succession import tells
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
        return await asyncio.to_thread(verdict, finding, known)


def _found(reading: Reading) -> Sequence[Finding]:
    reading = sift(reading)
    match reading.kind:
        case Kind.SUMMARY:
            return [digest(reading.turns, reading.present)]
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
    speaker = {SPEAKER: {"stringValue": turn.role}} if turn.role == "ASSISTANT" else {}
    return [Finding(span, [turn.id], _time_of(span, turn), speaker) for span in kept]


def _most_telling(spans: Sequence[str], role: str) -> list[str]:
    """In order; of too many the best."""
    if role == "TOOL":
        return []
    worth = [(_worth(span, role), span) for span in spans]
    telling = [(score, span) for score, span in worth if score >= WORTH_KEEPING]
    best = {span for _, span in sorted(telling, reverse=True)[:_MOST_OF_A_TURN]}
    return [span for _, span in telling if span in best]


def _worth(span: str, role: str) -> float:
    """A person's claim is worth keeping, in however few words."""
    score = salience(span, role)
    if role != "USER" or score >= WORTH_KEEPING or asks(span):
        return score
    if claims_of(span).claims or (tells(span) and not requests(span)):
        return WORTH_KEEPING
    return score


def _time_of(span: str, turn: Said) -> datetime:
    """What happens, happens at its own time; what holds, holds when it is said."""
    at = moment(span, turn.at)
    return turn.at if at != turn.at and any(one.single for one in claims_of(span).claims) else at
