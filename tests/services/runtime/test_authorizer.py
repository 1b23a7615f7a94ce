"""A caller comes with a bearer token of the runtime's identity provider, or with one that looks like it."""

import asyncio
import base64
import json
import math
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import jwt
import pytest
from cryptography.hazmat.primitives import hashes, hmac, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from innkeeper.kernel.errors import Unauthorized, Unavailable
from innkeeper.services.runtime.authorizer import JwtAuthorizer, challenge
from tests.oidc import Issuer


class MovableClock:
    """The real time, and what a test adds to it."""

    def __init__(self) -> None:
        self.ahead = timedelta()

    def now(self) -> datetime:
        return datetime.now(UTC) + self.ahead

    def monotonic(self) -> float:
        return time.monotonic() + self.ahead.total_seconds()


@pytest.fixture
async def issuer() -> AsyncIterator[Issuer]:
    async with Issuer() as issuer:
        yield issuer


@pytest.fixture
def clock() -> MovableClock:
    return MovableClock()


@pytest.fixture
async def authorizer(clock: MovableClock) -> AsyncIterator[JwtAuthorizer]:
    authorizer = JwtAuthorizer(clock)
    yield authorizer
    await authorizer.close()


def rules(issuer: Issuer, **members: Any) -> dict[str, Any]:
    return {"discoveryUrl": issuer.discovery_url, **members}


async def refused(authorizer: JwtAuthorizer, configuration: dict[str, Any], token: str) -> str:
    with pytest.raises(Unauthorized) as caught:
        await authorizer.verify(configuration, token)
    return caught.value.message


async def test_a_good_token_tells_who_calls(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    configuration = rules(
        issuer, allowedAudience=["runtime"], allowedClients=["web"], allowedScopes=["invoke"]
    )
    token = issuer.token(aud=["other", "runtime"], client_id="web", scope="profile invoke", team="blue")
    claims = await authorizer.verify(configuration, token)
    assert claims.subject == "alice"
    assert claims.claims["team"] == "blue"


async def test_the_issuer_is_asked_once_for_many_calls(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    token = issuer.token()
    await asyncio.gather(*(authorizer.verify(rules(issuer), token) for _ in range(20)))
    assert issuer.requests == {"/.well-known/openid-configuration": 1, "/keys": 1}


async def test_a_token_for_one_runtime_does_not_open_another(
    authorizer: JwtAuthorizer, issuer: Issuer
) -> None:
    token = issuer.token(aud="first")
    assert await authorizer.verify(rules(issuer, allowedAudience=["first"]), token)
    assert "audience" in await refused(authorizer, rules(issuer, allowedAudience=["second"]), token)
    assert "audience" in await refused(authorizer, rules(issuer, allowedAudience=["x"]), issuer.token())


async def test_times_are_held_with_a_minute_of_leeway(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    now = int(time.time())
    assert await authorizer.verify(rules(issuer), issuer.token(exp=now - 30, nbf=now + 30))
    assert "expired" in await refused(authorizer, rules(issuer), issuer.token(exp=now - 90))
    assert "not valid yet" in await refused(authorizer, rules(issuer), issuer.token(nbf=now + 90))
    assert "not valid yet" in await refused(authorizer, rules(issuer), issuer.token(iat=now + 90))


async def test_times_that_are_no_numbers_are_refused(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    moments: list[object] = [math.nan, True, "9999999999", [], 10**400]
    for moment in moments:
        await refused(authorizer, rules(issuer), issuer.token(exp=moment))


async def test_a_token_without_the_essentials_is_refused(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    for missing in ("exp", "sub", "iss"):
        assert missing in await refused(authorizer, rules(issuer), issuer.token(**{missing: None}))


async def test_a_rotated_key_is_found_at_once_but_strangers_cannot_flood_the_issuer(
    authorizer: JwtAuthorizer, issuer: Issuer, clock: MovableClock
) -> None:
    await authorizer.verify(rules(issuer), issuer.token())
    clock.ahead += timedelta(seconds=11)
    issuer.rotate("second")
    assert await authorizer.verify(rules(issuer), issuer.token())
    stranger = Issuer(key_id="unheard-of")
    for _ in range(10):
        assert "publish" in await refused(authorizer, rules(issuer), stranger.token(iss=issuer.name))
    stranger._socket.close()
    assert issuer.requests["/keys"] == 2


async def test_a_withdrawn_key_is_refused_after_five_minutes(
    authorizer: JwtAuthorizer, issuer: Issuer, clock: MovableClock
) -> None:
    old = issuer.token()
    assert await authorizer.verify(rules(issuer), old)
    issuer.rotate("second")
    clock.ahead += timedelta(seconds=301)
    assert "publish" in await refused(authorizer, rules(issuer), old)


async def test_unsigned_and_secretly_signed_tokens_are_refused(
    authorizer: JwtAuthorizer, issuer: Issuer
) -> None:
    unsigned = jwt.encode({"iss": issuer.name, "sub": "eve", "exp": time.time() + 60}, "", "none")
    assert "algorithm" in await refused(authorizer, rules(issuer), unsigned)
    public = issuer.private_key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    header, payload, _ = issuer.token().split(".")
    header = _encoded(json.dumps({"alg": "HS256", "kid": issuer.key_id}).encode())
    signer = hmac.HMAC(public, hashes.SHA256())
    signer.update(f"{header}.{payload}".encode())
    forged = f"{header}.{payload}.{_encoded(signer.finalize())}"
    assert "algorithm" in await refused(authorizer, rules(issuer), forged)


async def test_a_changed_token_is_refused(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    header, _, signature = issuer.token().split(".")
    payload = _encoded(json.dumps({"iss": issuer.name, "sub": "root", "exp": time.time() + 60}).encode())
    assert "signature" in await refused(authorizer, rules(issuer), f"{header}.{payload}.{signature}")


async def test_garbage_is_refused(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    for token in ("", "x", "a.b.c", "é.é.é", "\ud800", "." * 100, "a" * 20_000):
        await refused(authorizer, rules(issuer), token)


async def test_a_token_that_names_another_issuer_is_refused(
    authorizer: JwtAuthorizer, issuer: Issuer
) -> None:
    assert "issuer" in await refused(authorizer, rules(issuer), issuer.token(iss="https://elsewhere.example"))


@pytest.mark.parametrize("algorithm", ["RS256", "PS256", "RS512"])
async def test_rsa_keys_serve_all_their_algorithms(
    authorizer: JwtAuthorizer, issuer: Issuer, algorithm: str
) -> None:
    issuer.rotate("rsa", rsa.generate_private_key(65537, 2048))
    assert await authorizer.verify(rules(issuer), issuer.token(algorithm))


async def test_weak_and_mismatched_keys_are_refused(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    issuer.rotate("p384", ec.generate_private_key(ec.SECP384R1()))
    token = issuer.token("ES384")
    assert await authorizer.verify(rules(issuer), token)
    _, payload, signature = token.split(".")
    header = _encoded(json.dumps({"alg": "ES256", "kid": "p384"}).encode())
    assert "signature" in await refused(authorizer, rules(issuer), f"{header}.{payload}.{signature}")


async def test_a_slow_issuer_is_given_up_and_not_asked_by_everyone(
    authorizer: JwtAuthorizer, issuer: Issuer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("innkeeper.services.runtime.issuers._TIMEOUT_SECONDS", 1)
    issuer.delay_seconds = 5
    calls = (authorizer.verify(rules(issuer), issuer.token()) for _ in range(5))
    answers = await asyncio.gather(*calls, return_exceptions=True)
    assert all(isinstance(answer, Unavailable) for answer in answers)
    assert issuer.requests == {"/.well-known/openid-configuration": 1}


async def test_an_issuer_that_came_back_is_asked_again(
    authorizer: JwtAuthorizer, issuer: Issuer, clock: MovableClock
) -> None:
    issuer.padding = 1_000_000
    for _ in range(2):
        with pytest.raises(Unavailable, match="more than"):
            await authorizer.verify(rules(issuer), issuer.token())
    assert issuer.requests["/keys"] == 1
    issuer.padding = 0
    clock.ahead += timedelta(seconds=6)
    assert await authorizer.verify(rules(issuer), issuer.token())


async def test_redirects_are_not_followed(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    issuer.redirect = True
    with pytest.raises(Unavailable, match="307"):
        await authorizer.verify(rules(issuer), issuer.token())
    assert "/moved-keys" not in issuer.requests


@pytest.mark.parametrize(
    "address",
    [
        "http://203.0.113.7/.well-known/openid-configuration",
        "http://example.com/.well-known/openid-configuration",
        "file:///etc/passwd",
        "http://127.0.0.1:1/.well-known/openid-configuration",
        "https://[/.well-known/openid-configuration",
    ],
)
async def test_unsafe_and_dead_addresses_are_unavailable(
    authorizer: JwtAuthorizer, issuer: Issuer, address: str
) -> None:
    with pytest.raises(Unavailable):
        await authorizer.verify({"discoveryUrl": address}, issuer.token())


CLIENT_CASES: list[tuple[dict[str, Any], bool]] = [
    ({"client_id": "web"}, True),
    ({"azp": "web"}, True),
    ({"cid": "web"}, True),
    ({"appid": "web"}, True),
    ({"client_id": "other", "azp": "web"}, False),
    ({"client_id": ["web"]}, False),
    ({}, False),
]


async def test_clients(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    for claims, passes in CLIENT_CASES:
        token = issuer.token(**claims)
        await _expect(authorizer, rules(issuer, allowedClients=["web", "app"]), token, passes)


SCOPE_CASES: list[tuple[dict[str, Any], bool]] = [
    ({"scope": "read invoke"}, True),
    ({"scp": ["invoke"]}, True),
    ({"scp": "read invoke"}, True),
    ({"scope": "read"}, False),
    ({"scope": "invoke-not"}, False),
    ({"scope": {"invoke": 1}}, False),
    ({}, False),
]


async def test_scopes(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    for claims, passes in SCOPE_CASES:
        token = issuer.token(**claims)
        await _expect(authorizer, rules(issuer, allowedScopes=["invoke", "admin"]), token, passes)


CUSTOM_CASES: list[tuple[str, str, dict[str, Any], object, bool]] = [
    ("STRING", "EQUALS", {"matchValueString": "blue"}, "blue", True),
    ("STRING", "EQUALS", {"matchValueString": "blue"}, "blues", False),
    ("STRING", "EQUALS", {"matchValueString": "blue"}, ["blue"], False),
    ("STRING", "CONTAINS", {"matchValueString": "lu"}, "blue", False),
    ("STRING", "CONTAINS_ANY", {"matchValueStringList": ["red", "blue"]}, "blue", True),
    ("STRING_ARRAY", "CONTAINS", {"matchValueString": "blue"}, ["red", "blue"], True),
    ("STRING_ARRAY", "CONTAINS", {"matchValueString": "blue"}, "blue", False),
    ("STRING_ARRAY", "CONTAINS", {"matchValueString": "blue"}, [{"blue": 1}], False),
    ("STRING_ARRAY", "CONTAINS_ANY", {"matchValueStringList": ["a", "b"]}, ["b", "c"], True),
    ("STRING_ARRAY", "CONTAINS_ANY", {"matchValueStringList": ["a", "b"]}, ["c"], False),
    ("STRING_ARRAY", "EQUALS", {"matchValueStringList": ["a", "b"]}, ["b", "a"], True),
    ("STRING", "EQUALS", {"matchValueString": "blue"}, None, False),
    ("STRING", "UNHEARD_OF", {"matchValueString": "blue"}, "blue", False),
]


async def test_custom_claims(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    for kind, operator, wanted, claim, passes in CUSTOM_CASES:
        rule = {
            "inboundTokenClaimName": "team",
            "inboundTokenClaimValueType": kind,
            "authorizingClaimMatchValue": {"claimMatchOperator": operator, "claimMatchValue": wanted},
        }
        await _expect(authorizer, rules(issuer, customClaims=[rule]), issuer.token(team=claim), passes)


async def test_a_rule_that_we_cannot_check_lets_nobody_in(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    configuration = rules(issuer, allowedWorkloadConfiguration={"workloadIdentities": ["gateway"]})
    assert "workload" in await refused(authorizer, configuration, issuer.token())


async def test_the_refusal_carries_the_challenge(authorizer: JwtAuthorizer, issuer: Issuer) -> None:
    with pytest.raises(Unauthorized) as caught:
        await authorizer.verify(rules(issuer, allowedScopes=["a"]), issuer.token(), "http://inn/meta")
    expected = 'Bearer resource_metadata="http://inn/meta", error="insufficient_scope"'
    assert caught.value.challenge == expected


def test_challenges() -> None:
    assert challenge(None, None) == "Bearer"
    assert challenge(None, "invalid_token") == 'Bearer error="invalid_token"'
    assert challenge("http://inn/a?b", None) == 'Bearer resource_metadata="http://inn/a?b"'
    assert challenge('a"\\', None) == r'Bearer resource_metadata="a\"\\"'


async def _expect(authorizer: JwtAuthorizer, configuration: dict[str, Any], token: str, passes: bool) -> None:
    try:
        await authorizer.verify(configuration, token)
        passed = True
    except Unauthorized:
        passed = False
    claims = jwt.decode(token, options={"verify_signature": False})
    assert passed == passes, f"{claims} against {configuration}"


def _encoded(data: bytes) -> str:
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()
