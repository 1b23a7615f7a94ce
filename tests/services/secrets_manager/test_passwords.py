"""A random password is of what was asked for."""

import string

import pytest

from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.secrets_manager.passwords import random_password

KINDS = (string.ascii_lowercase, string.ascii_uppercase, string.digits, string.punctuation)
DIGITS = {"ExcludeLowercase": True, "ExcludeUppercase": True, "ExcludePunctuation": True}


def test_it_has_each_kind_of_character_that_may_be_in_it() -> None:
    short = random_password({"PasswordLength": 4})
    assert all(any(one in kind for one in short) for kind in KINDS)
    assert len({random_password({}), random_password({})}) == 2
    assert len(random_password({})) == 32
    assert set(random_password(DIGITS)) <= set(string.digits)
    assert set(random_password({**DIGITS, "ExcludeCharacters": "0123456789", "IncludeSpace": True})) == {" "}


@pytest.mark.parametrize(
    "impossible", [{"PasswordLength": 3}, {**DIGITS, "ExcludeCharacters": string.digits}]
)
def test_what_cannot_be_is_refused(impossible: dict[str, object]) -> None:
    with pytest.raises(InvalidRequest):
        random_password(impossible)
