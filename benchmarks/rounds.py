"""Two things measured in turns, so that whatever slows the machine down slows both."""

from collections.abc import Callable


def alternate(
    ours: Callable[[], float], theirs: Callable[[], float], rounds: int, warm_up: int = 1
) -> tuple[list[float], list[float]]:
    """The samples of both, in pairs; those of the warm-up are dropped."""
    pairs = [(ours(), theirs()) for _ in range(warm_up + rounds)][warm_up:]
    return [first for first, _ in pairs], [second for _, second in pairs]
