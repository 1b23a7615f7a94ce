"""Whether one sentence tells that what another says is over, in words that no pattern knows."""

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from innkeeper.engines.extraction.extractive.frames import Run, frame_of
from innkeeper.engines.extraction.extractive.layout import MARKS, Layout, among, is_of, laid_out, opens, owns
from innkeeper.engines.extraction.extractive.wording import restates
from innkeeper.engines.extraction.language.words import content

_SELF = re.compile(r"\b(?:i|me|my|we|us|our)\b|[我咱]", re.IGNORECASE)
_MOVED = re.compile(
    r"\b(?:moved|relocated|shifted|transferred|gone|went|moving)\b.* (?:to|into) (?:the )?$|[搬挪][到去]$"
)
_PLACED = re.compile(r"\b(?:in|at|on) (?:the )?$|在$")
_DOES = re.compile(
    r"'s|[\u4e00-\u9fff]"
    r"| (?:is|are|was|were|has|have|had|will|now|no|went|took|left|got|fell|rose|\w+(?:s|ed))\b"
)
_NEW = re.compile(r"\bnew\b|新", re.IGNORECASE)
_DOER = re.compile(r"(?<=\w{3})(?:er|or|r)$")
_NEGATED = re.compile(r"\bnot\b|n't\b")


def follows(text: str, other: str, before: Sequence[str] = ()) -> bool:
    """Whether `text` takes the place of `other`, by what it says is over or by what both name. `before` are
    those whose place the other took: what it does not name, they may. False when unsure."""
    new, old = laid_out(text), _inherited(laid_out(other), before)
    if new.frame.people != old.frame.people:
        return False
    return _ends(new, old) or _renews(new, old) or _restates(new, old)


def _inherited(layout: Layout, before: Sequence[str]) -> Layout:
    for text in before:
        if layout.frame.named or layout.heads:
            break
        older = laid_out(text)
        frame = replace(layout.frame, named=older.frame.named)
        layout = replace(layout, frame=frame, heads=older.heads)
    return layout


def _ends(new: Layout, old: Layout) -> bool:
    """Whether it says that the other's value is over."""
    gone = [run for run in old.live if among(run, new.over)]
    if not gone:
        return False
    kept = [run for run in old.live if run not in gone]
    fresh = [run for run in new.live if not among(run, old.live)]
    if not kept and any(run in new.topics for run in fresh):
        return False
    if not fresh and not _marked("now", new) and _NEGATED.search(new.frame.text):
        return False
    if (
        not fresh
        and old.frame.named
        and not new.frame.named
        and not any(_is_name(new, run) for run in new.over)
    ):
        return False
    words = content(new.frame.text)
    around = [run.words - one.words for run in gone for one in new.over if one.words < run.words]
    same = all(2 * len(one & words) > len(one) for one in (*around, *(run.words for run in kept)))
    same = same and not any(_are_kindred(run, one) for run in kept if run in old.topics for one in new.topics)
    return same and len(fresh) <= (2 if kept else 1)


def _are_kindred(run: Run, other: Run) -> bool:
    """Alike and not the same, as two clubs are."""
    return bool(run.words & other.words and run.words - other.words and other.words - run.words)


def _of_doers(words: frozenset[str]) -> frozenset[str]:
    """A cleaner cleans."""
    return frozenset(_DOER.sub("", word) for word in words)


def _restates(new: Layout, old: Layout) -> bool:
    if new.over or new.frame.many or old.frame.many or _is_past(old):
        return False
    return not (_marked("besides", new) or _is_one_more(new)) and restates(new.frame, old.frame)


def _is_name(layout: Layout, run: Run) -> bool:
    return bool(run.kind) or not layout.frame.text[run.start].islower()


def _renews(new: Layout, old: Layout) -> bool:
    """Whether it says of the same what is something else by now."""
    if new.over or new.frame.many or old.frame.many or _is_past(new) or _is_past(old):
        return False
    if _marked("besides", new) or _is_one_more(new) or not _marked("turn", new):
        return False
    shared = [run for run in new.live if among(run, old.live)]
    fresh = [run for run in new.live if not among(run, old.live)]
    left = [run for run in old.live if not among(run, new.live)]
    if len(fresh) != 1 or len(left) != 1 or fresh[0].kind != left[0].kind or fresh[0] in new.topics:
        return False
    if _of_doers(new.heads) & _of_doers(old.frame.verbs) and shared:
        return True
    if new.heads and old.heads and not new.heads & old.heads:
        return False
    if left[0] in old.topics or (shared and not new.topics):
        return False
    framed = any(run not in new.topics and not run.kind for run in shared)
    if new.topics and framed and not is_of(new.frame, fresh[0]):
        return True
    return _name_the_same(new, old, fresh[0], left[0])


def _name_the_same(new: Layout, old: Layout, fresh: Run, left: Run) -> bool:
    named, before = new.frame.named, old.frame.named
    if named and before and named != before and not (new.topics and named & before):
        return False  # what is of nobody must name the same throughout: many words name several things
    if named & before or new.heads & old.heads:
        return True
    if fresh.kind:
        return bool(new.topics) or (fresh.kind.startswith("amount") and not named)
    moved = _MOVED.search(new.frame.text[: fresh.start]) and _PLACED.search(old.frame.text[: left.start])
    return bool(new.topics and moved)


def recalls(text: str, other: str) -> bool:
    """Whether it tells nothing beside what the other tells."""
    new, old = laid_out(text), laid_out(other)
    apart = new.frame.named and old.frame.named and not new.frame.named & old.frame.named
    return bool(new.frame.runs) and not apart and all(among(run, old.live) for run in new.frame.runs)


def tells(text: str) -> bool:
    """Whether it says anything: something of its speaker, or of something else."""
    frame = frame_of(text)
    return len(frame.runs) > 1 or bool(frame.runs and (frame.named or _SELF.search(text)))


def of_one(text: str, other: str) -> bool:
    """Whether they can be about the same person."""
    new, old = laid_out(text), laid_out(other)
    if _is_one_more(new) and _is_one_more(old):
        return False
    if _is_past(new) or _is_past(old):
        return False
    if _is_of_another(new, old) or _is_of_another(old, new):
        return False
    return new.frame.people == old.frame.people or any(among(run, old.live) for run in new.live)


def _is_of_another(layout: Layout, other: Layout) -> bool:
    """Whether it names whom or what it is about, and the other is about someone else."""
    elsewhere = bool(other.topics) or _SELF.search(other.frame.text) is not None
    firm = [run for run in layout.topics if _is_firm(layout, run)]
    return bool(firm) and elsewhere and not any(among(run, other.frame.runs) for run in firm)


def _is_firm(layout: Layout, run: Run) -> bool:
    if owns(layout.frame, run):
        return True
    return opens(layout.frame, run) and _DOES.match(layout.frame.text, run.end) is not None


def _is_one_more(layout: Layout) -> bool:
    """A new tutor comes instead of the old one, a new cat perhaps besides."""
    new = _NEW.search(layout.frame.text) and not layout.frame.people
    return not new and _marked("one_more", layout)


def _is_past(layout: Layout) -> bool:
    return _marked("past", layout) and not _marked("now", layout)


def _marked(mark: str, layout: Layout) -> bool:
    return _has(mark, layout.frame.text)


@lru_cache(maxsize=20_000)
def _has(mark: str, text: str) -> bool:
    return MARKS[mark].search(text) is not None
