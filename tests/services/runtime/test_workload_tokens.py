"""An agent shows its workload access token; Identity reads from it which agent it is, and for whom."""

import string
from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.kernel.errors import Unauthorized
from innkeeper.services.runtime.workload_tokens import WorkloadTokens

KEY = b"k" * 32
LIFE = 900


class StoppedClock:
    def __init__(self) -> None:
        self.time = datetime(2030, 1, 1, 12, tzinfo=UTC)

    def now(self) -> datetime:
        return self.time

    def monotonic(self) -> float:
        return self.time.timestamp()


def tokens(key: bytes = KEY, clock: StoppedClock | None = None) -> WorkloadTokens:
    return WorkloadTokens([key], clock or StoppedClock(), LIFE)


names = st.text(st.characters(codec="utf-8"), max_size=200)


@given(account=names, workload=names, user=st.none() | names)
def test_a_token_says_what_it_was_issued_for(account: str, workload: str, user: str | None) -> None:
    issued = tokens().issue(account, workload, user)
    read = tokens().verify(issued)
    assert (read.account, read.workload, read.user) == (account, workload, user)
    assert read.expires_at == StoppedClock().now() + timedelta(seconds=LIFE)


@given(place=st.integers(min_value=0), letter=st.sampled_from(string.ascii_letters + string.digits + "-_."))
def test_a_token_with_any_letter_changed_is_refused(place: int, letter: str) -> None:
    issued = tokens().issue("111122223333", "agent", "alice")
    place %= len(issued)
    changed = issued[:place] + letter + issued[place + 1 :]
    if changed != issued:
        with pytest.raises(Unauthorized):
            tokens().verify(changed)


@given(st.text())
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(Unauthorized):
        tokens().verify(text)


def test_a_token_ends_with_its_life() -> None:
    clock = StoppedClock()
    issued = tokens(clock=clock).issue("111122223333", "agent", None)
    clock.time += timedelta(seconds=LIFE - 1)
    assert tokens(clock=clock).verify(issued).user is None
    clock.time += timedelta(seconds=1)
    with pytest.raises(Unauthorized, match="expired"):
        tokens(clock=clock).verify(issued)


def test_another_servers_token_is_refused() -> None:
    with pytest.raises(Unauthorized):
        tokens().verify(tokens(b"x" * 32).issue("111122223333", "agent", None))


def test_tokens_of_other_types_algorithms_and_audiences_are_refused() -> None:
    claims = jwt.decode(tokens().issue("1", "a", None), options={"verify_signature": False})
    others = [
        jwt.encode(claims, KEY, "HS256", headers={"typ": "JWT"}),
        jwt.encode(claims, KEY * 2, "HS512", headers={"typ": "wat+jwt"}),
        jwt.encode(claims, "", "none", headers={"typ": "wat+jwt"}),
        jwt.encode({**claims, "aud": "elsewhere"}, KEY, "HS256", headers={"typ": "wat+jwt"}),
    ]
    for other in others:
        with pytest.raises(Unauthorized):
            tokens().verify(other)


def test_two_tokens_for_the_same_are_not_the_same() -> None:
    assert tokens().issue("1", "a", None) != tokens().issue("1", "a", None)
