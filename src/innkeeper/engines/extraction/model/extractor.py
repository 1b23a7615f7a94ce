"""The Extractor that asks a language model.

Two kinds of question: what a piece of the conversation leaves to be remembered, and what a finding means
for the records that are near to it. The turns are given as data; the answers are not believed (`vetting`).
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

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
from innkeeper.engines.extraction.model import prompt
from innkeeper.engines.extraction.model.answer import (
    BadAnswer,
    Document,
    Drafts,
    Judgement,
    drafts_schema,
    judgement_schema,
    read,
)
from innkeeper.engines.extraction.model.asker import Ask, Asker
from innkeeper.engines.extraction.model.limits import ModelLimits
from innkeeper.engines.extraction.model.pieces import last, pieces
from innkeeper.engines.extraction.model.question import Question
from innkeeper.engines.extraction.model.vetting import Vetting, plain, told
from innkeeper.engines.extraction.model.words import all_words_of, words_of

_log = logging.getLogger(__name__)

_KNOWN = 50  # records that a question holds


class ModelExtractor:
    """`model` is asked unless the guidance of a step names another."""

    def __init__(self, ask: Ask, model: str, limits: ModelLimits) -> None:
        self._asker = Asker(ask, limits)
        self._model = model
        self._limits = limits

    async def extract(self, reading: Reading) -> Sequence[Finding]:
        rules = prompt.reading_rules(reading.kind, reading.guidance, reading.wanted)
        vetting = await asyncio.to_thread(Vetting, reading, self._limits, rules)
        found: list[Finding] = []
        present, before = list(reading.present), list(reading.before)
        for piece in pieces(reading.turns, self._limits.piece_characters):
            step = _Step(reading, vetting, rules, present, last(before, self._limits.piece_characters // 4))
            new = await self._read(step, piece)
            if reading.kind is Kind.SUMMARY:
                present, found = [one.text for one in new], _joined(found, new)
            else:
                found += new
            before += piece
        if reading.dropped:
            _log.info("of a model's findings (%s), not kept: %s", reading.kind, told(reading.dropped))
        return found

    async def consolidate(
        self, kind: Kind, finding: Finding, known: Sequence[Known], guidance: Guidance
    ) -> Verdict:
        if kind is Kind.SUMMARY:
            # There is one, and it was made from the one before it.
            return Verdict(Action.UPDATE, [one.id for one in known]) if known else Verdict(Action.ADD)
        if same := [one.id for one in known if plain(one.text) == plain(finding.text)]:
            return Verdict(Action.SKIP, same)
        if not known:
            return Verdict(Action.ADD)
        known = known[:_KNOWN]
        question = Question(
            prompt.consolidation_rules(guidance), prompt.finding_data(finding, known), judgement_schema(known)
        )
        return await self._asker.answer(
            guidance.account,
            guidance.model or self._model,
            question,
            lambda answer: _verdict(read(answer, Judgement), finding, known),
        )

    async def _read(self, step: "_Step", piece: Sequence[Said]) -> list[Finding]:
        reading = step.reading
        data = prompt.reading_data(step.present, step.before, piece)
        context = [*step.present, *(one.text for one in step.before)]

        def kept(answer: Document) -> list[Finding]:
            found, dropped = step.vetting.kept(read(answer, Drafts).findings, piece, context)
            reading.dropped.update(dropped)
            return found

        question = Question(step.rules, data, drafts_schema(reading.wanted))
        guidance = reading.guidance
        return await self._asker.answer(guidance.account, guidance.model or self._model, question, kept)


@dataclass(frozen=True, slots=True)
class _Step:
    """What is the same for the pieces of a reading, and what led to the piece at hand."""

    reading: Reading
    vetting: Vetting
    rules: str
    present: Sequence[str]
    before: Sequence[Said]


def _joined(found: Sequence[Finding], new: Sequence[Finding]) -> list[Finding]:
    """The summary of the last piece stands for all that were read."""
    sources = [id_ for one in [*found, *new] for id_ in one.sources]
    return [replace(one, sources=list(dict.fromkeys(sources))) for one in new]


def _verdict(judgement: Judgement, finding: Finding, known: Sequence[Known]) -> Verdict:
    names = {f"r{number}": one for number, one in enumerate(known, 1)}
    if judgement.action not in set(Action):
        raise BadAnswer(f"its action is none of {', '.join(Action)}")
    action = Action(judgement.action)
    if not set(judgement.replaces) <= set(names):
        raise BadAnswer("it names records that were not given to it")
    if action is Action.ADD:
        return Verdict(Action.ADD)
    if not judgement.replaces:
        raise BadAnswer(f"{action} must name the records in `replaces`")
    meant = [names[name] for name in dict.fromkeys(judgement.replaces)]
    if action is Action.SKIP and not _said_already(finding, meant):
        # Dropping it would lose a name or a number.
        return Verdict(Action.ADD)
    return Verdict(action, [one.id for one in meant])


def _said_already(finding: Finding, records: Sequence[Known]) -> bool:
    new = words_of(finding.text)
    old = all_words_of("\n".join(one.text for one in records))
    return new.numbers <= old.numbers and all(old.holds(name) for name in new.names)
