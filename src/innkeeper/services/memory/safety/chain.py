"""The chain of a memory's history: each change's MAC covers the one before it (HMAC with SHA-256, RFC 2104).

States enter as keyed digests of their own, so that a state can be erased and the chain still be checked; and
nobody without the key can guess at an erased text from its digest.
"""

import hashlib
import hmac
import json

from innkeeper.services.memory.safety.model import Change


class Chain:
    def __init__(self, key: bytes) -> None:
        self._key = key

    def digest(self, state: str | None) -> str | None:
        return None if state is None else self._mac("state", state)

    def link(self, change: Change, previous: str) -> str:
        """The MAC of a change after the one whose MAC is `previous`."""
        told = (
            previous,
            change.sequence,
            change.record_id,
            change.row,
            round(change.at.timestamp() * 1_000_000),
            change.by,
            change.action,
            change.was,
            change.became,
        )
        return self._mac("change", json.dumps(told))

    def erasure(self, mac: str) -> str:
        """What proves that the change with this MAC was erased here."""
        return self._mac("erased", mac)

    def shortening(self, mac: str) -> str:
        """What proves that we let go of the state before the change with this MAC."""
        return self._mac("shortened", mac)

    def _mac(self, kind: str, text: str) -> str:
        return hmac.new(self._key, f"{kind}\0{text}".encode(), hashlib.sha256).hexdigest()
