"""Values that fit a modelled shape, drawn by hypothesis."""

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from functools import cache
from typing import Any

from botocore.model import Shape
from hypothesis import strategies as st

from innkeeper.aws.patterns import compiled

Strategy = st.SearchStrategy[Any]

_DEPTH = 3  # below it, only what is required
_VISIBLE = st.characters(min_codepoint=0x21, max_codepoint=0x7E)
_ANY = st.characters(exclude_categories=["Cs"])
# The last character class that may come any number of times.
_REPEATED = re.compile(r"(\[[^\]]+\]|\\S)[*+]([^*+]*)$")

_documents = st.dictionaries(
    st.text(_VISIBLE),
    st.recursive(
        st.none() | st.booleans() | st.integers(-(2**53), 2**53) | st.text(_ANY),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(_VISIBLE), inner, max_size=2),
        max_leaves=4,
    ),
    max_size=2,
)
_moments = st.datetimes(datetime(1971, 1, 1), datetime(2200, 1, 1)).map(
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


def values(shape: Shape, plain: bool = False) -> Strategy:
    """`plain` keeps text to visible ASCII, as headers and XML need it."""
    return _values(shape, plain, 0)


def _values(shape: Shape, plain: bool, depth: int) -> Strategy:
    match shape.type_name:
        case "structure":
            return _documents if shape.is_document_type else _structures(shape, plain, depth)
        case "list":
            return _lists(shape, plain, depth)
        case "map":
            least = shape.metadata.get("min", 0)
            keys, items = _member(shape.key, plain, depth), _member(shape.value, plain, depth)
            return st.dictionaries(keys, items, min_size=max(least, 1), max_size=max(least, 2))
        case "string" | "character":
            return texts(shape, plain)
        case "blob":
            return st.binary(min_size=shape.metadata.get("min", 0), max_size=40)
        case "timestamp":
            return _moments
        case "boolean":
            return st.booleans()
        case _:
            return _numbers(shape)


def _member(shape: Shape, plain: bool, depth: int) -> Strategy:
    return st.deferred(lambda: _values(shape, plain, depth + 1))


def members(shape: Shape, depth: int, plain: bool) -> Mapping[str, Strategy]:
    return {
        name: _member(member, plain or "location" in member.serialization, depth)
        for name, member in shape.members.items()
    }


def _structures(shape: Shape, plain: bool, depth: int) -> Strategy:
    parts = members(shape, depth, plain)
    if shape.is_tagged_union:
        return st.one_of([st.fixed_dictionaries({name: part}) for name, part in parts.items()])
    required = {name: part for name, part in parts.items() if name in shape.required_members}
    optional = {name: part for name, part in parts.items() if name not in required}
    return st.fixed_dictionaries(required, optional=optional if depth < _DEPTH else {})


def _lists(shape: Shape, plain: bool, depth: int) -> Strategy:
    # Outside the body, an empty list is the same as none.
    least = max(shape.metadata.get("min", 0), 1 if "location" in shape.serialization else 0)
    most = least if depth >= _DEPTH else min(shape.metadata.get("max", least + 1), least + 1)
    return st.lists(_member(shape.member, plain, depth), min_size=least, max_size=most)


def _numbers(shape: Shape) -> Strategy:
    least, most = shape.metadata.get("min"), shape.metadata.get("max")
    if shape.type_name in ("float", "double"):
        return st.floats(least, most, allow_nan=False)
    bits = 31 if shape.type_name == "integer" else 63
    return st.integers(-(2**bits) if least is None else least, 2**bits - 1 if most is None else most)


def texts(shape: Shape, plain: bool) -> Strategy:
    if shape.metadata.get("enum"):
        return st.sampled_from(shape.metadata["enum"])
    least, most = shape.metadata.get("min", 0), shape.metadata.get("max", 1_000_000)
    return _fitting(shape.metadata.get("pattern"), least, most, plain)


@cache
def _fitting(pattern: str | None, least: int, most: int, plain: bool) -> Strategy:
    """Kept, as to work out all characters of a pattern takes far longer than to draw from them."""
    alphabet = _VISIBLE if plain else _ANY
    expression = compiled(pattern) if pattern else None
    if pattern is None or expression is None:
        return st.text(alphabet, min_size=max(least, 1 if plain else 0), max_size=min(most, least + 20))
    # Long enough at once, rather than by luck: the last `[class]*` takes what the shortest value needs.
    wanted = f"{{{max(least, 1)},{min(most, least + 20)}}}"
    sized = _REPEATED.sub(lambda repeated: repeated[1] + wanted + repeated[2], expression.pattern, count=1)
    if least > 1:
        expression = re.compile(sized, expression.flags)
    fitting = st.from_regex(expression, fullmatch=True, alphabet=alphabet)
    return fitting.filter(lambda text: max(least, 1 if plain else 0) <= len(text) <= most)
