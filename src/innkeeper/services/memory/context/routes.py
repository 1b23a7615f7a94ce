"""Contexts as JSON, below `/-/v1/memories/MEMORY/context`."""

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from innkeeper.kernel.call import Document
from innkeeper.services.memory.context.model import SHARES, Chosen, Context, Part, Wanted
from innkeeper.services.memory.context.service import Contexts
from innkeeper.services.memory.digests.model import Digest
from innkeeper.services.memory.events.model import TRUNK
from innkeeper.services.memory.members import check_known, members_of, number, optional_text, text
from innkeeper.services.memory.model import check_text, invalid
from innkeeper.services.memory.service import Memories

_MEMBERS = frozenset(
    {"actor", "session", "branch", "query", "tokens", "namespacePaths", "parts", "compaction"}
)
_COMPACT = frozenset({"actor", "session", "branch", "keep"})
_PATHS_MAX = 10
_QUERY_MAX = 10_000
_SHARE_MAX = 1000


def context_routes(memories: Memories, contexts: Contexts, tokens_max: int) -> list[Route]:
    """The authenticated caller is in `request.state.caller`. A memory goes by its name or its id."""

    async def compose(request: Request) -> Response:
        """A body with `actor` and `tokens`, and perhaps `session`, `branch`, `query`, `namespacePaths`,
        `parts`, the shares of the parts that are wanted otherwise (0 leaves one out), and `compaction`."""
        wanted = _wanted(members_of(await request.body()), tokens_max)
        memory = await memories.named(request.state.caller, request.path_params["memory"])
        return JSONResponse(_context(await contexts.compose(request.state.caller, memory, wanted)))

    async def compact(request: Request) -> Response:
        """A body with `actor`, `session` and `keep`, and perhaps `branch`."""
        members = members_of(await request.body())
        check_known(members, _COMPACT)
        named = await memories.named(request.state.caller, request.path_params["memory"])
        memory = await memories.active(request.state.caller, named.id)
        actor, session = text(members, "actor", 255), text(members, "session", 100)
        branch = optional_text(members, "branch", 100) or TRUNK
        keep = number(members, "keep", 0, tokens_max)
        digest = await contexts.compact(memory, actor, session, branch, keep)
        return JSONResponse({"digest": digest and _digest(digest)})

    path = "/-/v1/memories/{memory}"
    return [
        Route(f"{path}/context", compose, methods=["POST"]),
        Route(f"{path}/compact", compact, methods=["POST"]),
    ]


def _wanted(members: Document, tokens_max: int) -> Wanted:
    check_known(members, _MEMBERS)
    compaction = members.get("compaction", {})
    if not isinstance(compaction, dict):
        raise invalid("compaction", 'must be an object, such as {"above": 6000, "keep": 3000}')
    check_known(compaction, ("above", "keep"))
    return Wanted(
        actor=text(members, "actor", 255),
        session=optional_text(members, "session", 100),
        query=optional_text(members, "query", _QUERY_MAX),
        tokens=number(members, "tokens", 1, tokens_max),
        branch=optional_text(members, "branch", 100) or TRUNK,
        namespace_paths=_paths(members.get("namespacePaths")),
        shares={**SHARES, **_shares(members.get("parts", {}))},
        above=number(compaction, "above", 0, tokens_max) if "above" in compaction else None,
        keep=number(compaction, "keep", 0, tokens_max) if "keep" in compaction else None,
    )


def _paths(given: object) -> list[str] | None:
    if given is None:
        return None
    if not isinstance(given, list) or len(given) > _PATHS_MAX:
        raise invalid("namespacePaths", f"must be a list of at most {_PATHS_MAX} paths")
    for path in given:
        if not isinstance(path, str) or not path:
            raise invalid("namespacePaths", "each must be a text that is not empty")
        check_text("namespacePaths", path)
    return given


def _shares(given: object) -> dict[Part, float]:
    if not isinstance(given, dict):
        raise invalid("parts", 'must be an object of shares, such as {"recent": 4, "turns": 0}')
    for name, share in given.items():
        if name not in set(Part):
            raise invalid("parts", f"there is no part {name}; there are: {', '.join(Part)}")
        if not isinstance(share, int | float) or isinstance(share, bool) or not 0 <= share <= _SHARE_MAX:
            raise invalid("parts", f"the share of {name} must be a number from 0 to {_SHARE_MAX}")
    return {Part(name): float(share) for name, share in given.items()}


def _context(context: Context) -> Document:
    return {
        "tokens": context.tokens,
        "budget": context.budget,
        "parts": [
            {
                "part": section.part,
                "tokens": section.tokens,
                "leftOut": section.left_out,
                "pieces": list(map(_piece, section.chosen)),
            }
            for section in context.sections
        ],
        "text": context.text,
        "converse": context.converse,
    }


def _digest(digest: Digest) -> Document:
    return {
        "text": digest.text,
        "turns": digest.turns,
        "untilEventId": digest.event_id,
        "updatedAt": digest.updated_at.isoformat(),
    }


def _piece(chosen: Chosen) -> Document:
    piece = chosen.piece
    shown = {"id": piece.id, "text": piece.text, "tokens": chosen.tokens, "why": piece.why}
    return {**shown, **piece.about}
