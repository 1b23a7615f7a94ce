"""The regular expressions of the AWS models, as Python's.

The models write ECMA-262 expressions that mean the whole value, often with the outer `^` and `$` left off.
"""

import re
from functools import cache

# A JSON Web Token; the model leaves its dots unescaped, which takes cubic time to refuse a long value.
_JWT = "[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+.[A-Za-z0-9-_=]+"
_LINEAR = {_JWT: _JWT.replace(".", r"\.")}

# Unicode categories inside a character class. Python's `\w` holds both letters and numbers.
_CATEGORIES = {
    r"\p{L}": r"\w",
    r"\p{N}": r"\w",
    r"\p{Z}": " \u00a0\u1680\u2000-\u200a\u2028\u2029\u202f\u205f\u3000",
    r"\p{C}": "\x00-\x1f\x7f-\x9f\u00ad\u200b-\u200f\u202a-\u202e\u2060-\u206f\ufeff\ud800-\uf8ff",
}


@cache
def compiled(pattern: str) -> re.Pattern[str] | None:
    """For use with `fullmatch`; None where Python has no such expression, and the value goes unchecked."""
    text = _LINEAR.get(pattern, pattern)
    flags = re.NOFLAG if r"\p{" in text else re.ASCII
    for category, characters in _CATEGORIES.items():
        text = text.replace(category, characters)
    try:
        return re.compile(text, flags)
    except re.error:
        return None
