"""What a session remembers: its questions, numbered, with what the person wished, and what was found."""

from dataclasses import dataclass, field


@dataclass(frozen=True)
class Entry:
    number: int
    question: str
    wishes: list[str] = field(default_factory=list)
    findings: list[str] = field(default_factory=list)


class Notebook:
    def __init__(self) -> None:
        self._entries: list[Entry] = []

    def open(self, question: str, wishes: list[str]) -> Entry:
        self._entries.append(Entry(len(self._entries) + 1, question, wishes))
        return self._entries[-1]

    def earlier(self, entry: Entry) -> list[str]:
        """Findings of the questions before this one."""
        return [
            f"question {other.number}: {finding}"
            for other in self._entries
            if other.number < entry.number
            for finding in other.findings
        ]
