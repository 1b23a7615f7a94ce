"""What a finding is to the records near it: the same, their successor, or something else.

How alike two texts look does not decide it: `I work at Initech` and `I work at Globex` look more alike than
two ways of saying the same. What they claim decides it, and what is not clear is added: nothing is lost.
"""

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from innkeeper.engines.extraction.extractive.claims import ENDED, ME, YOU, Claim, Claims, claims_of
from innkeeper.engines.extraction.extractive.frames import frame_of, is_best
from innkeeper.engines.extraction.extractive.measures import happened
from innkeeper.engines.extraction.extractive.succession import follows, of_one, recalls
from innkeeper.engines.extraction.extractor import Action, Finding, Known, Verdict
from innkeeper.engines.extraction.language.patterns import CHINESE, plain
from innkeeper.engines.extraction.language.words import content, normalised, stem

SPEAKER = "speaker"  # metadata of a finding that an assistant said

_LASTING = frozenset(("visit",))  # what happened does not end
_RECALLED_WORDS = 2  # that an assistant may put in besides when it recalls what it knows
_DENIAL = re.compile(r"\b(?:not?|never|cannot|without|neither)\b|n't\b|[不没别非]", re.IGNORECASE)
_NAMES = re.compile(r"\b[A-Z][\w-]+")
_FIRST = re.compile(r"\b(?:I|[Mm]y|[Ww]e|[Oo]ur)\b|我")
_NUMBER = re.compile(r"\d+")
_ADDRESSES = frozenset(("email", "phone"))
_MEASURES = _ADDRESSES | {"money", "date", "time"}


def verdict(finding: Finding, known: Sequence[Known]) -> Verdict:
    """ADD when unsure."""
    if repeated := [one.id for one in known if _same_words(finding.text, one.text)]:
        return Verdict(Action.SKIP, repeated)
    recalled = SPEAKER in finding.metadata
    claims = claims_of(finding.text)
    told = _aligned(_to_the_user(claims) if recalled else claims, known)
    room = _RECALLED_WORDS if recalled else 0
    if repeated := [one.id for one in known if _says_already(told, one.text, room)]:
        return Verdict(Action.SKIP, repeated)
    opposed = [one for one in known if _contradicts(told, finding.text, one.text)]
    opposed = [
        one
        for one in opposed
        if _of_the_same_name(told, claims_of(one.text), finding.text, one.text)
        or of_one(finding.text, one.text)
    ]
    if recalled and any(_is_told_by(told, finding.text, one) for one in known):
        return Verdict(Action.SKIP)
    if not opposed or not recalled:
        opposed += [
            one
            for one in known
            if one not in opposed and one.at <= finding.at and _takes_the_place(finding.text, one)
        ]
    if opposed and recalled and not told.changed:
        return Verdict(
            Action.SKIP
        )  # what people say of themselves stands against an assistant's recollection
    contained = [one for one in known if told.claims and _says_already(claims_of(one.text), finding.text)]
    named = [one.id for one in (*opposed, *contained) if one in opposed or one.at <= finding.at]
    return Verdict(Action.UPDATE, list(dict.fromkeys(named))) if named else Verdict(Action.ADD)


def _is_told_by(told: Claims, text: str, other: Known) -> bool:
    """Whether who recalls it knows it from there, or from what that took the place of."""
    if recalls(text, other.text):
        return True
    return any(_same_words(text, one) or _says_already(told, one, _RECALLED_WORDS) for one in other.before)


def _of_the_same_name(told: Claims, theirs: Claims, text: str, other: str) -> bool:
    named = {*_names(text)} & {*_names(other)}
    return bool(named & {one.subject for one in told.claims} & {one.subject for one in theirs.claims})


def _takes_the_place(text: str, other: Known) -> bool:
    """Of what no pattern knows; what is one of many takes nobody's place."""
    told, theirs = claims_of(text).claims, claims_of(other.text).claims
    many = _is_of_many(told, text) or _is_of_many(theirs, other.text)
    return not many and not _are_apart(told, theirs) and follows(text, other.text, other.before)


def _are_apart(told: Sequence[Claim], theirs: Sequence[Claim]) -> bool:
    """Whether both are known to claim something, and nothing of the same."""
    mine, others = ([one for one in claims if one.single and one.slot != ENDED] for claims in (told, theirs))
    return bool(mine and others) and all(_is_apart(one, other) for one in mine for other in others)


def _is_apart(mine: Claim, theirs: Claim) -> bool:
    """Topics of measures are in the words of who told them: those of one may share none."""
    if mine.slot not in _MEASURES or theirs.slot not in _MEASURES:
        return (mine.slot, mine.subject) != (theirs.slot, theirs.subject)
    words, others = set(mine.subject.split()), set(theirs.subject.split())
    return bool(words & others and words - others and others - words) or (
        mine.slot in _ADDRESSES and words != others
    )


def _is_of_many(claims: Sequence[Claim], text: str) -> bool:
    free = (ENDED, "switched", "own") if frame_of(text).named else (ENDED, "switched")
    held = [one for one in claims if one.slot not in free]
    return bool(held) and not any(one.single for one in held) and not is_best(text)


def _to_the_user(told: Claims) -> Claims:
    """An assistant speaks to the one of whom the records are."""
    turned = (replace(one, subject=ME) if one.subject == YOU else one for one in told.claims)
    return replace(told, claims=tuple(turned))


def _same_words(text: str, other: str) -> bool:
    """The same words, perhaps in another order, unless names may have changed places."""
    if normalised(text) == normalised(other):
        return True
    words = content(text)
    return (
        len(words) > 1
        and words == content(other)
        and _denies(text) is _denies(other)
        and _NUMBER.findall(text) == _NUMBER.findall(other)
        and _names(text) == _names(other)
    )


def _says_already(told: Claims, other: str, room: int = 0) -> bool:
    """Whether the other makes the same claims, in whatever words, and all other words but for `room`."""
    theirs = claims_of(other)
    words = content(other) | theirs.rest | _values(theirs)
    return (
        bool(told.claims)
        and all(any(_agree(mine, one) for one in theirs.claims) for mine in told.claims)
        and len((told.rest | _values(told)) - words) <= room
    )


def _contradicts(told: Claims, text: str, other: str) -> bool:
    """Whether it contradicts some claim, and leaves none of them that it says nothing about."""
    stated = [one for one in claims_of(other).claims if one.slot != ENDED]
    if not stated:
        return any(_ends(one, text, other) for one in told.claims if one.slot == ENDED)
    lasting = [one for one in stated if one.holds or not one.single] or stated
    opposed = [one for one in lasting if any(_oppose(mine, one, text) for mine in told.claims)]
    agreed = [one for one in lasting if any(_agree(mine, one) for mine in told.claims)]
    return bool(opposed) and len({*opposed, *agreed}) == len(set(lasting))


def _ends(over: Claim, text: str, other: str) -> bool:
    """Whether what is over is what the other speaks of, in words that no pattern knows: of the same person or
    thing, and not of what happened."""
    if not over.value <= content(other) or happened(other):
        return False
    named = set(_names(other))
    if not named & over.value:
        return False
    named -= over.value
    return bool(named & content(text)) or (not named and all(map(_FIRST.search, (text, other))))


def _oppose(mine: Claim, theirs: Claim, text: str) -> bool:
    if mine.slot == ENDED:
        mentioned = theirs.subject == ME or theirs.slot in _MEASURES or theirs.subject in content(text)
        return theirs.holds and theirs.slot not in _LASTING and mentioned and _alike(mine, theirs)
    if (mine.slot, mine.subject) != (theirs.slot, theirs.subject):
        return False
    if mine.holds is not theirs.holds:
        return _alike(mine, theirs)
    return mine.holds and mine.single and theirs.single and not _alike(mine, theirs)


def _agree(mine: Claim, theirs: Claim) -> bool:
    same = (mine.slot, mine.subject, mine.holds) == (theirs.slot, theirs.subject, theirs.holds)
    return same and _alike(mine, theirs)


def _alike(mine: Claim, theirs: Claim) -> bool:
    return mine.value <= theirs.value or theirs.value <= mine.value


def _values(told: Claims) -> frozenset[str]:
    return frozenset(word for one in told.claims for word in one.value)


def _aligned(told: Claims, known: Sequence[Known]) -> Claims:
    """A measure's topic may be named in fewer words, or in more: where that can mean one topic, it does."""
    same = (_topical(one, told.changed, known) for one in told.claims)
    return replace(told, claims=tuple(itertools.chain.from_iterable(same)))


def _topical(claim: Claim, changed: bool, known: Sequence[Known]) -> list[Claim]:
    if claim.slot not in _MEASURES or claim.slot in _ADDRESSES:
        return [claim]
    words = set(claim.subject.split())
    near = {
        one.subject
        for one in _measures(claim.slot, known)
        if (changed or one.value == claim.value) and _nested(words, set(one.subject.split()))
    }
    alike = all(_nested(set(one.split()), set(other.split())) for one in near for other in near)
    return [replace(claim, subject=topic) for topic in sorted(near)] if near and alike else [claim]


def _nested(words: set[str], others: set[str]) -> bool:
    return words <= others or others <= words


def _measures(slot: str, known: Sequence[Known]) -> Iterator[Claim]:
    for one in known:
        yield from (claim for claim in claims_of(one.text).claims if claim.slot == slot)


def _denies(text: str) -> bool:
    return _DENIAL.search(plain(text)) is not None


def _names(text: str) -> list[str]:
    """In order, as they are in its content; of Chinese, every word may be one."""
    words = content(text)
    names = [stem(name.lower()) for name in _NAMES.findall(text)] or sorted(
        words if CHINESE.search(text) else ()
    )
    return [name for name in names if name in words]
