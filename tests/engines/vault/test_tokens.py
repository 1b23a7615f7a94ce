"""Tokens that we sign hold while the key they were signed with is known."""

from typing import Any

import jwt
import pytest

from innkeeper.engines.vault.tokens import TokenKind

KIND = TokenKind("ours+jwt", "us", characters=1000)
OLD, NEW = b"o" * 32, b"n" * 32


def test_a_token_holds_after_a_rotation_until_the_old_key_is_retired() -> None:
    claims = {"sub": "ann"}
    before, after = KIND.sign(claims, [OLD]), KIND.sign(claims, [NEW, OLD])
    assert [KIND.read(one, [NEW, OLD])["sub"] for one in (before, after)] == ["ann"] * 2
    assert KIND.read(after, [NEW])["sub"] == "ann"
    with pytest.raises(jwt.InvalidSignatureError):
        KIND.read(before, [NEW])


@pytest.mark.parametrize(
    ("kind", "claims"),
    [
        (TokenKind("theirs+jwt", "us", characters=1000), {}),
        (TokenKind("ours+jwt", "them", characters=1000), {}),
        (KIND, {"sub": "x" * 1000}),
    ],
)
def test_a_token_of_another_kind_does_not(kind: TokenKind, claims: dict[str, Any]) -> None:
    with pytest.raises((jwt.PyJWTError, ValueError)):
        KIND.read(kind.sign(claims, [NEW]), [NEW])
