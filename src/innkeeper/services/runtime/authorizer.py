"""Inbound authorization by JWT: who may call a runtime that has a `customJWTAuthorizer`.

Sources: RFC 7519 and RFC 8725 (tokens), RFC 6750 (bearer challenge), RFC 9728 (resource metadata), and the
`CustomJWTAuthorizerConfiguration` of AgentCore.
"""

from dataclasses import dataclass
from datetime import datetime

import jwt

from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Unauthorized
from innkeeper.services.runtime.issuers import Issuer, Issuers

# Only asymmetric ones: a public key must never serve as a shared secret.
_KEY_TYPES = {
    **dict.fromkeys(("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"), "RSA"),
    **dict.fromkeys(("ES256", "ES384", "ES512"), "EC"),
    "EdDSA": "OKP",
}
_TOKEN_MAX_CHARACTERS = 16_384
_LEEWAY_SECONDS = 60
_CLIENT_CLAIMS = ("client_id", "azp", "cid", "appid")  # RFC 9068, OpenID Connect, Okta, Entra ID


@dataclass(frozen=True, slots=True)
class Claims:
    """A verified token: `subject` is its `sub`, `claims` all that it says."""

    subject: str
    claims: Document


class _Refused(Exception):
    """`error` is the code of RFC 6750."""

    def __init__(self, message: str, error: str = "invalid_token") -> None:
        super().__init__(message)
        self.message = message
        self.error = error


class JwtAuthorizer:
    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self._issuers = Issuers(clock)

    async def verify(
        self, configuration: Document, token: str, resource_metadata_url: str | None = None
    ) -> Claims:
        """Check a token against a `customJWTAuthorizer` document.

        Raises Unauthorized, with the challenge to send; Unavailable when the issuer cannot be asked, within
        five seconds. Every `allowed...` member that is set must be met, each by one of its values, and all of
        the custom claims.
        """
        try:
            claims = await self._claims(str(configuration["discoveryUrl"]), token)
            _check_times(claims, self._clock.now())
            _check_rules(claims, configuration)
        except _Refused as refusal:
            raise Unauthorized(refusal.message, challenge(resource_metadata_url, refusal.error)) from refusal
        return Claims(claims["sub"], claims)

    async def close(self) -> None:
        await self._issuers.close()

    async def _claims(self, discovery_url: str, token: str) -> Document:
        """The claims of a token whose signature, issuer and required members are right."""
        algorithm, key_id = _header(token)
        issuer = await self._issuers.get(discovery_url)
        key = _pick(issuer, algorithm, key_id)
        if key is None:
            issuer = await self._issuers.get(discovery_url, refresh=True)
            key = _pick(issuer, algorithm, key_id)
        if key is None:
            raise _Refused("the token is signed with a key that its issuer does not publish")
        try:
            return jwt.decode(
                token,
                jwt.PyJWK(key, algorithm),
                algorithms=[algorithm],
                issuer=issuer.name,
                options={
                    "require": ["exp", "iss", "sub"],
                    "enforce_minimum_key_length": True,
                    # Checked by us, against our clock and the runtime's own rules.
                    "verify_exp": False,
                    "verify_nbf": False,
                    "verify_iat": False,
                    "verify_aud": False,
                },
            )
        except (jwt.PyJWTError, ValueError, RecursionError) as error:
            raise _Refused(_fault(error)) from error


def challenge(resource_metadata_url: str | None, error: str | None) -> str:
    """The `WWW-Authenticate` value; `error` is None when the request had no token at all."""
    parameters = {"resource_metadata": resource_metadata_url, "error": error}
    quoted = [f"{name}={_quoted(value)}" for name, value in parameters.items() if value]
    return " ".join(("Bearer", ", ".join(quoted))).rstrip()


def _quoted(value: str) -> str:
    escaped = value.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _header(token: str) -> tuple[str, str | None]:
    """The algorithm and key id that the token names; nothing else of its header is believed."""
    if len(token) > _TOKEN_MAX_CHARACTERS:
        raise _Refused(f"the token is longer than {_TOKEN_MAX_CHARACTERS} characters")
    try:
        header = jwt.get_unverified_header(token)
    except (jwt.PyJWTError, ValueError) as error:
        raise _Refused("the bearer token is not a JWT") from error
    algorithm = header.get("alg")
    if not isinstance(algorithm, str) or algorithm not in _KEY_TYPES:
        raise _Refused(f"the token's algorithm is not one of {', '.join(_KEY_TYPES)}")
    return algorithm, header.get("kid")


def _pick(issuer: Issuer, algorithm: str, key_id: str | None) -> Document | None:
    """The key for a token; a token without key id is only clear when a single key fits."""
    fitting = [
        key
        for key in issuer.keys
        if key["kty"] == _KEY_TYPES[algorithm] and key.get("alg", algorithm) == algorithm
    ]
    if key_id is None:
        return fitting[0] if len(fitting) == 1 else None
    return next((key for key in fitting if key.get("kid") == key_id), None)


def _fault(error: Exception) -> str:
    if isinstance(error, jwt.InvalidIssuerError):
        return "the token's issuer is not the one of the discovery URL"
    if isinstance(error, jwt.MissingRequiredClaimError):
        return f"the token has no {error.claim!r}"
    return "the token's signature or content is not valid"


def _check_times(claims: Document, now: datetime) -> None:
    """Written so that NaN, which compares false with everything, is refused too."""
    seconds = now.timestamp()
    if not seconds < _number(claims["exp"]) + _LEEWAY_SECONDS:
        raise _Refused("the token has expired")
    for name in ("nbf", "iat"):
        if name in claims and not _number(claims[name]) <= seconds + _LEEWAY_SECONDS:
            raise _Refused("the token is not valid yet")


def _number(value: object) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise _Refused("the token's times are not numbers")
    try:
        return float(value)
    except OverflowError as error:
        raise _Refused("the token's times are out of range") from error


def _check_rules(claims: Document, configuration: Document) -> None:
    if configuration.get("allowedWorkloadConfiguration"):
        raise _Refused("only calls that came through an allowed workload are taken")
    audiences = configuration.get("allowedAudience")
    if audiences and not _strings(claims.get("aud")) & set(audiences):
        raise _Refused("the token is for another audience")
    clients = configuration.get("allowedClients")
    if clients and _client(claims) not in clients:
        raise _Refused("the token was given to a client that is not allowed")
    scopes = configuration.get("allowedScopes")
    if scopes and not _scopes(claims) & set(scopes):
        raise _Refused("the token has none of the allowed scopes", "insufficient_scope")
    for rule in configuration.get("customClaims") or ():
        if not _matches(claims, rule):
            raise _Refused(f"the token's claim {rule['inboundTokenClaimName']!r} is not as required")


def _client(claims: Document) -> str | None:
    """The first claim that names the client decides, so that a second one cannot widen it."""
    return next((claims[name] for name in _CLIENT_CLAIMS if isinstance(claims.get(name), str)), None)


def _scopes(claims: Document) -> set[str]:
    """`scope` is a space-separated string (RFC 8693), `scp` either that or a list (Okta, Entra ID)."""
    found = _strings(claims.get("scope")) | _strings(claims.get("scp"))
    return {scope for text in found for scope in text.split()}


def _matches(claims: Document, rule: Document) -> bool:
    """A `CustomClaimValidationType`: STRING claims are one value, STRING_ARRAY claims several; CONTAINS asks
    for one whole value among them, never for a part of a string."""
    value = claims.get(rule["inboundTokenClaimName"])
    kind = str if rule["inboundTokenClaimValueType"] == "STRING" else list
    if not isinstance(value, kind):
        return False
    match = rule["authorizingClaimMatchValue"]
    wanted = _strings(match["claimMatchValue"].get("matchValueString"))
    wanted |= _strings(match["claimMatchValue"].get("matchValueStringList"))
    found = _strings(value)
    match match["claimMatchOperator"]:
        case "EQUALS":
            return found == wanted
        case "CONTAINS":
            return bool(wanted) and wanted <= found
        case "CONTAINS_ANY":
            return bool(wanted & found)
        case _:
            return False


def _strings(value: object) -> set[str]:
    values = value if isinstance(value, list) else [value]
    return {item for item in values if isinstance(item, str)}
