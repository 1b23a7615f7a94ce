"""Which words stand in which rows, in memory, and BM25 over them (k1 1.2, b 0.75).

A word is known by its CRC-32: two words of 100,000 share one by a chance of one in 40,000, and then a row is
found for a word that it does not hold.
"""

from collections.abc import Mapping
from zlib import crc32

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.search.sqlite.growing import Growing

_SATURATION, _BY_LENGTH = 1.2, 0.75
# Entries that were added last stand as they came and are looked through, until there are so many of them, and
# a quarter as many as the others.
_LOOSE = 16384
# Of a row that is there; a hole has none.
_LEAST_LENGTH = 0.1


def key(word: str) -> int:
    return crc32(word.encode())


class Postings:
    """An entry is a word, a row and how often it stands there: weighed, so that it may be a fraction."""

    def __init__(self) -> None:
        self._words = np.zeros(0, np.uint32)
        self._rows = np.zeros(0, np.int32)
        self._times = np.zeros(0, np.float32)
        self._loose_words = Growing(np.uint32)
        self._loose_rows = Growing(np.int32)
        self._loose_times = Growing(np.float32)
        self._lengths = Growing(np.float64)
        self._total = 0.0
        self._alive = 0

    @property
    def bytes(self) -> int:
        loose = self._loose_words.bytes + self._loose_rows.bytes + self._loose_times.bytes
        return 12 * len(self._words) + loose + self._lengths.bytes

    @property
    def lengths(self) -> NDArray[np.float64]:
        """Of each row, in words."""
        return self._lengths.rows

    def add(self, words: NDArray[np.uint32], times: NDArray[np.float32], counts: NDArray[np.int64]) -> None:
        """More rows, each with its count of entries."""
        rows = np.repeat(np.arange(len(counts)), counts)
        # A word that counts less takes its place all the same.
        lengths = np.maximum(np.bincount(rows, np.ceil(times), len(counts)), _LEAST_LENGTH)
        self._loose_words.add(words)
        self._loose_rows.add(rows + len(self._lengths))
        self._loose_times.add(times)
        self._lengths.add(lengths)
        self._total += lengths.sum()
        self._alive += len(counts)
        if len(self._loose_words) > max(_LOOSE, len(self._words) // 4):
            self._sort()

    def remove(self, row: int) -> None:
        lengths = self._lengths.rows
        self._total -= lengths[row]
        self._alive -= 1
        lengths[row] = 0

    def scores(self, asked: Mapping[str, float]) -> NDArray[np.float64]:
        """Of every row, by words and what each is worth; 0 where none of them stands."""
        lengths = self._lengths.rows
        if not self._alive:
            return np.zeros(len(lengths))
        usual = self._total / self._alive
        found, worths = [np.zeros(0, np.int32)], [np.zeros(0)]
        keys = np.array([key(word) for word in asked], np.uint32)
        for worth, (rows, times) in zip(asked.values(), self._entries(keys), strict=True):
            length = lengths[rows]
            if self._alive < len(lengths):
                rows, times, length = rows[length > 0], times[length > 0], length[length > 0]
            rarity = worth * np.log1p((self._alive - len(rows) + 0.5) / (len(rows) + 0.5))
            slowed = _SATURATION * (1 - _BY_LENGTH + _BY_LENGTH / usual * length)
            found.append(rows)
            worths.append(rarity * (1 + _SATURATION) * times / (times + slowed))
        scores: NDArray[np.float64] = np.bincount(
            np.concatenate(found), np.concatenate(worths), len(lengths)
        ).astype(np.float64, copy=False)
        return scores

    def _entries(self, keys: NDArray[np.uint32]) -> list[tuple[NDArray[np.int32], NDArray[np.float32]]]:
        """Rows and times of each word."""
        words, rows, times = self._loose_words.rows, self._loose_rows.rows, self._loose_times.rows
        starts, ends = np.searchsorted(self._words, keys), np.searchsorted(self._words, keys, "right")
        found = []
        for word, start, end in zip(keys, starts, ends, strict=True):
            mine = np.flatnonzero(words == word)
            found.append(
                (
                    np.concatenate([self._rows[start:end], rows[mine]]),
                    np.concatenate([self._times[start:end], times[mine]]),
                )
            )
        return found

    def _sort(self) -> None:
        words = np.concatenate([self._words, self._loose_words.rows])
        order = np.argsort(words, kind="stable")
        self._words = words[order]
        self._rows = np.concatenate([self._rows, self._loose_rows.rows])[order]
        self._times = np.concatenate([self._times, self._loose_times.rows])[order]
        self._loose_words.clear()
        self._loose_rows.clear()
        self._loose_times.clear()
