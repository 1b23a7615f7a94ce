"""Options of the form K=V."""

from collections.abc import Sequence

import typer


def pairs(given: Sequence[str] | None, option: str) -> dict[str, str]:
    """Raises BadParameter naming the option."""
    found = {}
    for pair in given or ():
        key, equals, value = pair.partition("=")
        if not key or not equals:
            raise typer.BadParameter(f"{pair} is not of the form K=V", param_hint=option)
        found[key] = value
    return found
