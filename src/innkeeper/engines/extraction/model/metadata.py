"""What a model found out for the metadata of a finding, checked, as on the wire."""

import math
from collections import Counter
from collections.abc import Sequence
from typing import Any

from innkeeper.engines.extraction.extractor import Wanted
from innkeeper.engines.extraction.model.answer import Property
from innkeeper.engines.extraction.model.legible import legible

_MOST_ITEMS = 5
_MOST_CHARACTERS = 256


def checked(
    properties: Sequence[Property], wanted: Sequence[Wanted], dropped: Counter[str]
) -> dict[str, Any]:
    """Values that are of their type and among those allowed; the others are counted."""
    asked = {one.key: one for one in wanted}
    found: dict[str, Any] = {}
    for one in properties:
        value = _value(one.values, asked[one.key]) if one.key in asked else None
        if value is None:
            dropped["metadata"] += 1
        else:
            found.setdefault(one.key, value)
    return found


def _value(values: Sequence[str], wanted: Wanted) -> dict[str, Any] | None:
    values = list(dict.fromkeys(values))
    if not values or any(not 0 < len(one) <= _MOST_CHARACTERS or one != legible(one) for one in values):
        return None
    if wanted.values and not set(values) <= set(wanted.values):
        return None
    if wanted.type == "STRINGLIST":
        return {"stringListValue": values} if len(values) <= _MOST_ITEMS else None
    if len(values) > 1:
        return None
    if wanted.type == "STRING":
        return {"stringValue": values[0]}
    try:
        number = float(values[0])
    except ValueError:
        return None
    return {"numberValue": number} if math.isfinite(number) else None
