"""E2B API keys, made from access keys, and the tokens of sandboxes: nothing of either is stored.

An E2B key is `e2b_`, an access key's id and a code that only this server can make from the key's secret: it
opens E2B's API alone, tells nothing of the secret, and ends with its access key.
"""

import base64
import binascii
import hashlib
import hmac
import time
from collections.abc import Awaitable, Callable, Sequence

from innkeeper.kernel.caller import CallerKind, Credential
from innkeeper.kernel.errors import NotFound

PREFIX = "e2b_"
_ID_BYTES, _CODE_BYTES = 20, 32
_KEY_LENGTH = len(PREFIX) + 2 * (_ID_BYTES + _CODE_BYTES)
_ACCOUNT_DIGITS = 12

FindCredential = Callable[[str], Awaitable[Credential | None]]


class Keys:
    """`credential` finds an access key; `secrets` are of this server and this use alone,
    those of `Vault.derive`."""

    def __init__(self, credential: FindCredential, secrets: Sequence[bytes]) -> None:
        self._credential = credential
        self._secrets = secrets

    async def make(self, account: str, access_key_id: str) -> str:
        """The same every time. Raises NotFound unless it is an active key of the account."""
        found = await self._root(access_key_id)
        if found is None or found.caller.account != account:
            raise NotFound(f"There is no active access key {access_key_id}")
        return PREFIX + access_key_id.encode().hex() + self._key_codes(found)[0]

    async def account_of(self, key: str) -> str | None:
        """Whose key it is; None when it is nobody's."""
        try:
            if len(key) != _KEY_LENGTH or not key.startswith(PREFIX):
                return None
            raw = binascii.unhexlify(key[len(PREFIX) :])
            access_key_id = raw[:_ID_BYTES].decode("ascii")
        except ValueError:
            return None
        found = await self._root(access_key_id)
        if found is None or not _among(self._key_codes(found), raw[_ID_BYTES:].hex()):
            return None
        return found.caller.account

    def token(self, account: str, sandbox_id: str, use: str) -> str:
        """What lets its bearer use a sandbox; `use` is `envd` or `traffic`."""
        return self._tokens(account, sandbox_id, use)[0]

    def token_account(self, token: str, sandbox_id: str, *uses: str) -> str | None:
        """Whose sandbox it opens; None when it does not open this one for any of these uses."""
        account = token[:_ACCOUNT_DIGITS]
        opens = [_among(self._tokens(account, sandbox_id, use), token) for use in uses]
        return account if any(opens) else None

    def _key_codes(self, found: Credential) -> list[str]:
        return self._codes("key", found.access_key_id, found.secret_access_key)

    def _tokens(self, account: str, sandbox_id: str, use: str) -> list[str]:
        return [account + code for code in self._codes("token", use, account, sandbox_id)]

    async def _root(self, access_key_id: str) -> Credential | None:
        found = await self._credential(access_key_id) if access_key_id.isalnum() else None
        return found if found is not None and found.caller.kind is CallerKind.ROOT else None

    def _codes(self, *parts: str) -> list[str]:
        """The one to give out, and those that hold as well."""
        told = "\n".join(parts).encode()
        return [hmac.digest(secret, told, "sha256").hex() for secret in self._secrets]


def signature(token: str, path: str, operation: str, user: str, expires: str) -> str:
    """What E2B's clients put into the URL of a file, so that it opens without a token."""
    parts = [path, operation, user, token, *([expires] if expires else [])]
    digest = hashlib.sha256(":".join(parts).encode(errors="surrogateescape")).digest()
    return "v1_" + base64.b64encode(digest).rstrip(b"=").decode()


def signature_holds(given: str, token: str, path: str, operation: str, user: str, expires: str) -> bool:
    if expires and not (expires.isascii() and expires.isdecimal() and int(expires[:16]) >= time.time()):
        return False
    return _same(signature(token, path, operation, user, expires), given)


def _among(those: Sequence[str], given: str) -> bool:
    return any(_same(one, given) for one in those)


def _same(one: str, other: str) -> bool:
    return hmac.compare_digest(one.encode(), other.encode(errors="surrogateescape"))
