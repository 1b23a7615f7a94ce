"""Blocks: short texts that an agent works with and edits, always in its view."""

import re
from dataclasses import dataclass, replace
from datetime import datetime

from innkeeper.kernel.call import Document
from innkeeper.services.memory.model import check_text, invalid
from innkeeper.services.memory.safety.held import Held

_NAME = re.compile(r"[a-zA-Z][a-zA-Z0-9_-]{0,63}")
_SHOWN = 60


@dataclass(frozen=True, slots=True)
class BlockKey:
    """An actor's block in all of its sessions, or in one; `session` is empty for all."""

    account: str
    memory: str
    actor: str
    session: str
    name: str


@dataclass(frozen=True, slots=True)
class Block:
    """`most` is the longest text that it may have, in characters. `version` grows with every change."""

    key: BlockKey
    text: str
    description: str
    most: int
    version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True, slots=True)
class BlockVersion:
    """What a block once said."""

    version: int
    text: str
    written_at: datetime


@dataclass(frozen=True, slots=True)
class Written:
    """The block as it stands now; where `held` waits for review, as it would stand then."""

    block: Block
    held: Held | None = None


@dataclass(frozen=True, slots=True)
class BlockLimits:
    per_actor: int
    characters: int
    versions: int


def check_name(name: str) -> None:
    if not _NAME.fullmatch(name):
        raise invalid("name", "it begins with a letter and has at most 64 letters, digits, - and _")


def checked(block: Block) -> Block:
    """Raises InvalidRequest for what it may not hold."""
    check_text("text", block.text)
    check_text("description", block.description)
    if len(block.text) > block.most:
        raise invalid(
            "text",
            f"block {block.key.name} may have at most {block.most} characters, and these are "
            f"{len(block.text)}; shorten it, or raise its limit",
        )
    return block


def edited(block: Block, change: Document, now: datetime) -> Block:
    """After one change: `{"append": text}`, or `{"replace": {"old": text, "new": text}}`, where the old text
    must stand there exactly once. Raises InvalidRequest."""
    if "append" in change:
        between = "\n" if block.text and not block.text.endswith("\n") else ""
        text = block.text + between + change["append"]
    else:
        old, new = change["replace"]["old"], change["replace"]["new"]
        found = _occurrences(block.text, old)
        if found != 1:
            shown = old if len(old) <= _SHOWN else old[:_SHOWN] + "…"
            raise invalid(
                "replace.old",
                f"'{shown}' must stand in block {block.key.name} exactly once, and does {found} times",
            )
        text = block.text.replace(old, new)
    return checked(replace(block, text=text, version=block.version + 1, updated_at=now))


def _occurrences(text: str, part: str) -> int:
    """Those that overlap too, for then it is not clear which is meant."""
    found, at = 0, text.find(part)
    while at >= 0:
        found += 1
        at = text.find(part, at + 1)
    return found
