"""Texts that repeat what the model was told instead of what it read."""

from innkeeper.engines.search.words import told

_RUN = 4
_MOST = 0.5


class Echo:
    def __init__(self, rules: str) -> None:
        self._runs = _runs(rules)

    def of(self, text: str) -> bool:
        """Whether half of the text's runs of four words stand in the rules."""
        runs = _runs(text)
        return bool(runs) and len(runs & self._runs) >= _MOST * len(runs)


def _runs(text: str) -> set[tuple[str, ...]]:
    words = told(text)
    return {tuple(words[i : i + _RUN]) for i in range(len(words) - _RUN + 1)}
