"""Veils: what an index holds of a shelf's words and vectors, so that its files tell little without the key.

Each word stands as a keyed digest (BLAKE2b, RFC 7693): whoever has the files alone sees that two passages
share a word and how common it is, not which word it is. Each vector is turned by a secret rotation, which
keeps all angles, so that what is near stays near: it tells nobody the meaning by itself, but it is no
encryption, for who knows enough of the vectors as they were finds the rotation. Scores stay the same.
"""

import hashlib
from collections.abc import Awaitable, Callable

import numpy as np
from numpy.typing import NDArray

from innkeeper.engines.search.words import asked, told

_WORD_BYTES = 8
_ROUNDS = 2
_WIDTHS_KEPT = 4


class Veil:
    """Without a key everything is as it is."""

    def __init__(self, key: bytes | None = None) -> None:
        """`key` has at most 64 bytes."""
        self._key = key
        self._rotations: dict[int, _Rotation] = {}

    def told(self, text: str) -> list[str]:
        """The words of a text, in order, as they are put into an index."""
        return self._veiled(told(text))

    def asked(self, query: str) -> dict[str, float]:
        """The words of a query that tell what is asked for, each with its worth."""
        words = asked(query)
        return dict(zip(self._veiled(list(words)), words.values(), strict=True))

    def turned(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        if self._key is None:
            return vector
        rotation = self._rotations.get(len(vector))
        if rotation is None:
            if len(self._rotations) >= _WIDTHS_KEPT:
                self._rotations.clear()
            rotation = self._rotations[len(vector)] = _Rotation(self._key, len(vector))
        return rotation.turned(vector)

    def _veiled(self, words: list[str]) -> list[str]:
        key = self._key
        if key is None:
            return words
        blake = hashlib.blake2b
        return [blake(word.encode(), digest_size=_WORD_BYTES, key=key).hexdigest() for word in words]


Veils = Callable[[str], Awaitable[Veil]]
"""The veil of a shelf, by the shelf's name."""

_NONE = Veil()


async def unveiled(_shelf: str) -> Veil:
    return _NONE


class _Rotation:
    """Signs turned, and then each frequency by an angle of its own, twice: orthogonal, and quick at any width
    (it is a product of diagonal and circulant matrices)."""

    def __init__(self, key: bytes, width: int) -> None:
        self._width = width
        frequencies = width // 2 + 1
        drawn = hashlib.shake_256(key + b"rotation" + str(width).encode())
        numbers = np.frombuffer(drawn.digest(4 * _ROUNDS * (width + frequencies)), "<u4")
        rounds = numbers.reshape(_ROUNDS, width + frequencies)
        self._signs = np.where(rounds[:, :width] & 1, 1.0, -1.0)
        angles = rounds[:, width:] * (2 * np.pi / 2**32)
        self._turns = np.exp(1j * angles)
        # The spectrum of real numbers has no angle at its ends.
        for end in (0, -1) if width % 2 == 0 else (0,):
            self._turns[:, end] = np.where(self._turns[:, end].real >= 0, 1.0, -1.0)

    def turned(self, vector: NDArray[np.float32]) -> NDArray[np.float32]:
        values = vector.astype(np.float64)
        for signs, turns in zip(self._signs, self._turns, strict=True):
            values = np.fft.irfft(np.fft.rfft(values * signs) * turns, self._width)
        return values.astype(np.float32)
