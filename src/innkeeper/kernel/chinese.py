"""Chinese as it is written: in the simplified characters, or the traditional ones of Taiwan and Hong Kong."""

import re
from functools import lru_cache

from opencc import OpenCC

HAN = "\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
"""Its characters, as a regular expression's class has them."""

_RUN = re.compile(f"[{HAN}]+")


def simplified(text: str) -> str:
    """The same with simplified characters, each in its place."""
    return _RUN.sub(_converted, text)


def _converted(run: re.Match[str]) -> str:
    converted: str = _simplifier().convert(run[0])
    return converted if len(converted) == len(run[0]) else run[0]


@lru_cache(maxsize=1)
def _simplifier() -> OpenCC:
    return OpenCC("t2s")
