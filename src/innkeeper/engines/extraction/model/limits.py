"""How much is asked of a model, how long and how often."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ModelLimits:
    """`piece_characters` bounds the turns in one question, and what comes before them; `findings` and
    `finding_characters` bound one answer. An unusable answer is asked for again until there were `attempts`;
    a provider that is busy is asked again for `patience_seconds` at most, first after
    `first_wait_seconds`."""

    timeout_seconds: float = 60.0
    attempts: int = 3
    patience_seconds: float = 60.0
    first_wait_seconds: float = 1.0
    answer_tokens: int = 4096
    piece_characters: int = 24_000
    findings: int = 40
    finding_characters: int = 2_000
    summary_characters: int = 8_000
