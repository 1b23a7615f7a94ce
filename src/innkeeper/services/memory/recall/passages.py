"""Turns, records and chunks as passages of the index: in which scope, beside what, in which words."""

from datetime import datetime
from urllib.parse import quote

from innkeeper.engines.search.search import Passage, Scope
from innkeeper.services.memory import namespaces
from innkeeper.services.memory.sealing.rows import Row

_BEFORE_CHARACTERS = 240


def of_turn(row: Row) -> Passage:
    """`row` is a turn with the text `before` it. Who said it is the actor, or the role of who answered."""
    return Passage(
        row["id"],
        session_scope(row["actor"], row["session"]).path,
        row["text"],
        thread=session_scope(row["actor"], row["session"]).path,
        place=row["position"],
        speaker=row["actor"] if row["role"] == "USER" else row["role"].lower(),
        before=_end(row["before"] or ""),
        happened=in_words(row["happened_at"]),
        role=row["role"],
    )


def of_record(row: Row) -> Passage:
    path = _path(row["namespace"].split("/"))
    return Passage(row["id"], path, row["text"], happened=in_words(row["happened_at"]))


def of_chunk(row: Row) -> Passage:
    """Beside it stand the other chunks of its document; before it, its headings."""
    scope = session_scope(row["actor"], row["session"]).path
    return Passage(
        row["id"],
        scope,
        row["text"],
        thread=row["document"],
        place=row["number"],
        before=row["heading"] or "",
    )


def meaning_of(passage: Passage) -> str:
    """The text whose vector is the passage's."""
    return f"{passage.speaker}: {passage.text}" if passage.speaker else passage.text


def session_scope(actor: str | None, session: str | None) -> Scope:
    """Of one session; of all of an actor; of all."""
    return Scope(_path([part for part in (actor, session) if part is not None]))


def record_scope(scope: namespaces.Scope) -> Scope:
    path = scope.base if scope.subtree else scope.path
    return Scope(_path(path.split("/")), below=scope.subtree)


def in_words(moment: datetime) -> str:
    """As people write it: `Monday, 8 May 2023`."""
    return f"{moment:%A}, {moment.day} {moment:%B} {moment.year}"


def _end(text: str) -> str:
    """Where a long turn stops and asks; the rest of it would drown a short answer."""
    if len(text) <= _BEFORE_CHARACTERS:
        return text
    return text[-_BEFORE_CHARACTERS:].partition(" ")[2] or text[-_BEFORE_CHARACTERS:]


def _path(parts: list[str]) -> str:
    """A namespace may hold any character, and with a slash at its end it is another one: each part is quoted,
    an empty one stands as a plus."""
    return "/" + "".join(f"{quote(part, safe='') or '+'}/" for part in parts)
