"""Taking a document in: what of it may stand where it is read, and what waits for review first."""

from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass, replace

from innkeeper.services.memory.documents.chunking import summary_of
from innkeeper.services.memory.documents.model import Chunk, Section, Text
from innkeeper.services.memory.safety.held import Held, HeldKind, new_held_id

HeldBack = Callable[[Sequence[str]], Awaitable[Sequence[Sequence[str]]]]
"""The concerns about each text for which it has to wait."""


@dataclass(frozen=True, slots=True)
class Intake:
    document: Text
    chunks: Sequence[Chunk]
    held: Sequence[Held]


async def taken_in(held_back: HeldBack, document: Text, chunks: Sequence[Chunk]) -> Intake:
    """A chunk or a title that has to wait stands empty, and is held. Headings and summaries are taken from
    the text, which is judged itself: where one of them has to wait, it is left out."""
    told = list(dict.fromkeys(_told(document, chunks)))
    concerns = dict(zip(told, await held_back(told), strict=True))
    title = _held(document, HeldKind.TITLE, 0, document.title, concerns[document.title])
    bodies = [
        _held(document, HeldKind.CHUNK, one.number, one.text, concerns[one.text])
        for one in chunks
        if concerns[one.text]
    ]
    sections = [
        Section("", "", one.first, one.last) if concerns[_of(one)] else one for one in document.sections
    ]
    return Intake(
        document=replace(
            document,
            title="" if concerns[document.title] else document.title,
            summary=summary_of(sections),
            sections=sections,
        ),
        chunks=[
            replace(
                one,
                heading="" if concerns[one.heading] else one.heading,
                text="" if concerns[one.text] else one.text,
            )
            for one in chunks
        ],
        held=[*([title] if title.concerns else []), *bodies],
    )


def _told(document: Text, chunks: Sequence[Chunk]) -> Iterator[str]:
    yield document.title
    yield from map(_of, document.sections)
    for one in chunks:
        yield one.heading
        yield one.text


def _of(section: Section) -> str:
    return f"{section.title}\n{section.summary}"


def _held(document: Text, kind: HeldKind, number: int, text: str, concerns: Sequence[str]) -> Held:
    return Held(
        account=document.account,
        memory=document.memory,
        id=new_held_id(),
        kind=kind,
        actor=document.actor,
        session=document.session,
        name=document.id,
        number=number,
        text=text,
        detail={},
        concerns=concerns,
        created_at=document.created_at,
    )
