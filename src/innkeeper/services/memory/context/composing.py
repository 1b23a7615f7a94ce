"""Choosing: fair shares of the budget for the parts, and what each part takes of its pieces."""

from collections import Counter as Counts
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cache

from innkeeper.services.memory.context.fence import CLOSING, PREAMBLE, item, opening
from innkeeper.services.memory.context.model import Chosen, Part, Piece, Section
from innkeeper.services.memory.context.tokens import Counter, clip

# Of these a piece that has no room is cut to what there is, when that is worth it.
_CUT, _CUT_LEAST = frozenset({Part.BLOCKS, Part.DIGEST, Part.RECENT}), 40

Candidates = Mapping[Part, Sequence[Piece]]


def compose(
    candidates: Candidates, shares: Mapping[Part, float], budget: int, count: Counter
) -> list[Section]:
    """Sections in the order in which they are shown, of at most `budget` tokens with all that is around them.

    Each part gets its share, and what one does not need the others. What is still left is the conversation's.
    """
    count = cache(count)
    budget -= count(PREAMBLE)
    if budget <= 0:
        return []
    costs = {part: [count(item(piece)) for piece in pieces] for part, pieces in candidates.items()}
    frames = {part: count(opening(part)) + count(CLOSING) for part in candidates}
    needs = {part: sum(own) + frames[part] for part, own in costs.items() if own}
    rooms = fair(needs, shares, budget)
    if Part.RECENT in rooms:
        # However many parts there are, what is answered to is there.
        newest = min(frames[Part.RECENT] + costs[Part.RECENT][0], budget // 2)
        if newest > rooms[Part.RECENT]:
            others = {**needs, Part.RECENT: 0}
            rooms = {**fair(others, shares, budget - newest), Part.RECENT: newest}
    sections = _filled(candidates, rooms, budget, count)
    left = budget - sum(one.tokens for one in sections)
    if Part.RECENT in rooms and left > 0:
        more = {**rooms, Part.RECENT: rooms[Part.RECENT] + left}
        sections = max(sections, _filled(candidates, more, budget, count), key=_size)
    return sorted(sections, key=lambda one: list(Part).index(one.part))


def fair(needs: Mapping[Part, int], shares: Mapping[Part, float], budget: int) -> dict[Part, int]:
    """Of the budget, to each part what it needs or its share of what the sated ones leave."""
    rooms: dict[Part, int] = {}
    hungry = {part for part, need in needs.items() if need and shares.get(part)}
    while hungry:
        left = budget - sum(rooms.values())
        whole = sum(shares[part] for part in hungry)
        portions = {part: int(left * shares[part] / whole) for part in hungry}
        sated = {part: needs[part] for part in hungry if needs[part] <= portions[part]}
        if not sated:
            return rooms | portions
        rooms |= sated
        hungry -= set(sated)
    return rooms


def _size(sections: Sequence[Section]) -> int:
    return sum(one.tokens for one in sections)


def _filled(candidates: Candidates, rooms: Mapping[Part, int], budget: int, count: Counter) -> list[Section]:
    """The conversation first: what stands there is not taken for another part again. What a part leaves of
    its room goes to the next."""
    said, sections, spare, left = _Said(), [], 0, budget
    for part in sorted(rooms, key=list(Part).index, reverse=True):
        room = min(left, rooms[part] + spare)
        section = _section(part, candidates[part], room, said, count)
        spare, left = room - section.tokens, left - section.tokens
        if section.chosen:
            sections.append(section)
    return sections


def _section(part: Part, pieces: Sequence[Piece], room: int, said: "_Said", count: Counter) -> Section:
    chosen: list[Chosen] = []
    used, twice = count(opening(part)) + count(CLOSING), 0
    for piece in pieces:
        if said.holds(part, piece):
            twice += 1
            continue
        fitting = _fitting(part, piece, room - used, count)
        if fitting is None and part is Part.RECENT:
            break  # no gaps in the conversation
        if fitting is not None:
            said.add(part, piece)
            chosen.append(fitting)
            used += fitting.tokens
    left_out = len(pieces) - len(chosen) - twice
    if part in (Part.RECENT, Part.TURNS):
        chosen.sort(key=lambda one: one.piece.happened)
    return Section(part, chosen, used if chosen else 0, left_out)


def _fitting(part: Part, piece: Piece, room: int, count: Counter) -> Chosen | None:
    tokens = count(item(piece))
    if tokens > room and part in _CUT and room >= _CUT_LEAST:
        text = clip(piece.text, room, lambda shorter: count(item(replace(piece, text=shorter))))
        if not text:
            return None
        piece = replace(piece, text=text)
        tokens = count(item(piece))
    return Chosen(piece, tokens) if tokens <= room else None


class _Said:
    """What is in the context already, so that nothing is there twice."""

    def __init__(self) -> None:
        self._texts: set[str] = set()
        self._turns: Counts[str] = Counts()
        self._whole: set[str] = set()

    def holds(self, part: Part, piece: Piece) -> bool:
        """A turn or record of the same words; a record all of whose sources are there."""
        if part not in (Part.TURNS, Part.RECORDS):
            return False
        rests = bool(piece.sources) and self._whole.issuperset(piece.sources)
        return rests or _plain(piece.text) in self._texts

    def add(self, part: Part, piece: Piece) -> None:
        if part in (Part.RECENT, Part.TURNS, Part.RECORDS):
            self._texts.add(_plain(piece.text))
        if piece.event:
            self._turns[piece.event] += 1
            if self._turns[piece.event] == piece.turns:
                self._whole.add(piece.event)


def _plain(text: str) -> str:
    return " ".join(text.casefold().split())
