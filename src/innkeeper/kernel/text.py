"""Text as a database can hold it."""

import re

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


def storable(text: str) -> bool:
    """Whether it is Unicode text without NUL, and without half of a surrogate pair."""
    return _UNSTORABLE.search(text) is None
