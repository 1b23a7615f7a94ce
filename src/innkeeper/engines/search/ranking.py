"""From candidates to an answer: words, meaning, neighbours, thread, speaker and role in one score.

Scores are fused, not ranks: how much better the best hit is than the next is what a rank forgets, and a list
of ranks of two searches of unlike strength is worse than the better one alone. Each part is brought to the
same scale first. The weights are round numbers that hold over several kinds of conversation; none is learnt.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.search.search import Candidates
from innkeeper.engines.search.words import told

# The best hit by words weighs as much as three or four steps of meaning.
_WORDS = 0.6
_STEPS = 6
# What a passage gains from those one and two places away: an answer stands beside its question.
_NEIGHBOUR = (0.2, 0.1)
# And from the best three of its thread: who spoke of it once spoke of it again.
_THREAD, _BEST = 0.5, 3
_SPEAKER = 0.2
# What the person says is asked for more than what they are told at length. Where both say as much, it is a
# talk among equals, and nobody gains; where the others say so many times as much, the person gains it all.
_ROLE, _MUCH_MORE = 0.6, 3
_PERSON = "USER"

_Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Found:
    """`score` is the sum of the other numbers: what each part gave."""

    id: int
    score: float
    words: float
    meaning: float
    neighbours: float
    thread: float
    speaker: float
    role: float


def rank(candidates: Candidates, query: str, limit: int, step: float) -> list[Found]:
    """The `limit` best, the best first; of equal ones, the one that was put first. `step` says how far apart
    the cosines of one query lie."""
    if not len(candidates.ids):
        return []
    words, meaning = _by_words(candidates.words), _by_meaning(candidates.meaning, step)
    neighbours = _of_neighbours(candidates, words + meaning)
    thread = _of_thread(candidates.threads, words + meaning + neighbours)
    speaker = _of_speaker(candidates, query)
    role = _of_role(candidates)
    score = words + meaning + neighbours + thread + speaker + role
    parts = np.stack([score, words, meaning, neighbours, thread, speaker, role], axis=1)
    best = np.lexsort((candidates.ids, -score))[:limit]
    return [Found(int(candidates.ids[row]), *map(float, parts[row])) for row in best]


def _by_words(scores: _Floats) -> _Floats:
    """A share of the best score."""
    return _WORDS * scores / (scores.max() or 1.0)


def _by_meaning(cosines: _Floats, step: float) -> _Floats:
    """Steps above the least near of the candidates."""
    known = ~np.isnan(cosines)
    if not known.any():
        return np.zeros(len(cosines))
    above = (cosines - cosines[known].min()) / (step * _STEPS)
    return np.where(known, above, 0.0)


def _of_neighbours(candidates: Candidates, own: _Floats) -> _Floats:
    gained = np.zeros(len(own))
    order = np.lexsort((candidates.places, candidates.threads))
    threads, places = candidates.threads[order], candidates.places[order]
    for step in (1, 2):
        same = (threads[step:] == threads[:-step]) & (threads[step:] != 0)
        apart = places[step:] - places[:-step]
        for distance, weight in enumerate(_NEIGHBOUR, start=1):
            beside = same & (apart == distance)
            first, second = order[:-step][beside], order[step:][beside]
            np.add.at(gained, first, weight * own[second])
            np.add.at(gained, second, weight * own[first])
    return gained


def _of_thread(threads: NDArray[np.int32], scores: _Floats) -> _Floats:
    order = np.lexsort((-scores, threads))
    numbers, starts, inverse = np.unique(threads[order], return_index=True, return_inverse=True)
    among_best = np.arange(len(order)) - starts[inverse] < _BEST
    sums = np.bincount(inverse, weights=np.where(among_best, scores[order], 0.0))
    sums[numbers == 0] = 0.0
    gained = np.empty(len(order))
    gained[order] = _THREAD * sums[inverse] / _BEST
    return gained


def _of_speaker(candidates: Candidates, query: str) -> _Floats:
    """Who is named in the query is asked for, most likely, by what they said."""
    asked = set(told(query))
    speakers, inverse = np.unique(candidates.speakers, return_inverse=True)
    named = np.array([not asked.isdisjoint(told(candidates.names[one])) for one in speakers])
    return np.where(named[inverse], _SPEAKER, 0.0)


def _of_role(candidates: Candidates) -> _Floats:
    persons = np.array([name == _PERSON for name in candidates.names])[candidates.roles]
    if persons.all() or not persons.any():
        return np.zeros(len(persons))
    more = candidates.lengths[~persons].mean() / max(candidates.lengths[persons].mean(), 1.0)
    share = np.clip(np.log(max(more, 1.0)) / np.log(_MUCH_MORE), 0.0, 1.0)
    return np.where(persons, _ROLE * share, 0.0)
