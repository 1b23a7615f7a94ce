"""A composed context as one text, and as system and messages of Bedrock's Converse."""

from collections.abc import Sequence

from innkeeper.kernel.call import Document
from innkeeper.services.memory.context.fence import CLOSING, PREAMBLE, item, opening
from innkeeper.services.memory.context.model import STABLE, Part, Piece, Section

# Converse wants the user to begin.
_BEFORE = "(What came before is left out.)"


def as_text(sections: Sequence[Section]) -> str:
    """Empty when nothing was chosen."""
    return PREAMBLE + "".join(map(_fenced, sections)) if sections else ""


def as_converse(sections: Sequence[Section]) -> Document:
    """`system` holds the stable parts in one block and the recalled ones in the next: a point of a prompt
    cache fits between. The recent turns are the `messages`."""
    stable = "".join(_fenced(one) for one in sections if one.part in STABLE)
    recalled = "".join(_fenced(one) for one in sections if one.part not in STABLE | {Part.RECENT})
    blocks = [text for text in (stable, recalled) if text]
    if blocks:
        blocks[0] = PREAMBLE + blocks[0]
    recent = [one.piece for section in sections if section.part is Part.RECENT for one in section.chosen]
    return {"system": [{"text": text} for text in blocks], "messages": _messages(recent)}


def _fenced(section: Section) -> str:
    return opening(section.part) + "".join(item(one.piece) for one in section.chosen) + CLOSING


def _messages(recent: Sequence[Piece]) -> list[Document]:
    """Users and assistants take turns: what one says in a row is one message. Blank texts are not allowed."""
    messages: list[Document] = []
    for piece in recent:
        role = "assistant" if piece.role == "ASSISTANT" else "user"
        text = piece.text if piece.role in ("USER", "ASSISTANT") else item(piece)
        if not text.strip():
            continue
        if not messages and role == "assistant":
            messages.append({"role": "user", "content": [{"text": _BEFORE}]})
        if messages and messages[-1]["role"] == role:
            messages[-1]["content"].append({"text": text})
        else:
            messages.append({"role": role, "content": [{"text": text}]})
    return messages
