"""Of records that say nearly the same and are nearly as good an answer, the newer one first.

`My desk is in the annex` and `My desk is on the third floor` may both stand: no rule told that one of them is
over. Who asks for the desk gets the later word first, and the earlier one behind it.
"""

from collections.abc import Sequence
from dataclasses import replace

from innkeeper.engines.search.words import told
from innkeeper.services.memory.recall.hit import Hit
from innkeeper.services.memory.records.model import Record

_LOOKED_AT = 20  # of the best
_DIGITS = 9  # of a score; a sum may differ behind them
_NEARLY_AS_GOOD = 0.3  # half of what the best hit by words has
_NEARLY_THE_SAME = 0.4  # of all words of both


def newer_first(hits: Sequence[Hit[Record]]) -> list[Hit[Record]]:
    """`hits` are the best first. A newer one is raised to the best older one that it is like, and goes before
    it."""
    best = [(hit, frozenset(told(hit.item.text))) for hit in hits[:_LOOKED_AT]]
    raised = []
    for place, (hit, words) in enumerate(best):
        above = (one.score - hit.score for one, theirs in best[:place] if _follows(hit, words, one, theirs))
        raised.append(replace(hit, newness=max(above, default=0.0)))
    raised.sort(key=lambda hit: (round(hit.score, _DIGITS), hit.item.happened_at), reverse=True)
    return [*raised, *hits[_LOOKED_AT:]]


def once_each(hits: Sequence[Hit[Record]]) -> list[Hit[Record]]:
    """Of what several strategies learned from the same events in the same words, the best."""
    best: dict[tuple[object, ...], Hit[Record]] = {}
    for hit in hits:
        record = hit.item
        best.setdefault((record.text, *(record.source_event_ids or [record.record_id])), hit)
    return list(best.values())


def _follows(hit: Hit[Record], words: frozenset[str], older: Hit[Record], theirs: frozenset[str]) -> bool:
    if older.score - hit.score > _NEARLY_AS_GOOD or older.item.happened_at >= hit.item.happened_at:
        return False
    alike = len(words & theirs) >= _NEARLY_THE_SAME * len(words | theirs)
    return alike and older.item.namespace == hit.item.namespace
