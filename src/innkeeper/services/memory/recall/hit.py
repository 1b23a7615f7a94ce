"""What was found, and why."""

from dataclasses import asdict, dataclass
from typing import Generic, TypeVar

from innkeeper.engines.search.ranking import Found

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Hit(Generic[Item]):
    """`newness` is what a record gained from an older one that it is like."""

    item: Item
    found: Found
    newness: float = 0.0

    @property
    def score(self) -> float:
        return self.found.score + self.newness

    @property
    def parts(self) -> dict[str, float]:
        """What gave how much to the score."""
        found = {name: value for name, value in asdict(self.found).items() if name not in ("id", "score")}
        return {**found, "newness": self.newness}

    @property
    def relevance(self) -> float:
        """Between 0 and 1, in the order of the scores: what clients compare with a threshold."""
        return self.score / (1 + self.score)
