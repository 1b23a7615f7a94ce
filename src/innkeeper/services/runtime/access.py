"""Who may call an agent: SigV4 callers, or bearers of a JWT that its authorizer accepts."""

from collections.abc import Mapping
from urllib.parse import quote

from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.errors import AccessDenied, NotFound, Unauthorized
from innkeeper.kernel.ids import Arn
from innkeeper.services.runtime.authorizer import JwtAuthorizer, challenge
from innkeeper.services.runtime.directory import Directory, Target, owner_of

_MISMATCH = (
    "Authorization method mismatch. The agent is configured for a different authorization method than what "
    "was used in your request. Check the agent's authorization configuration and ensure your request uses "
    "the matching method (OAuth or SigV4)"
)


class Access:
    def __init__(self, directory: Directory, authorizer: JwtAuthorizer) -> None:
        self._directory = directory
        self._authorizer = authorizer

    async def target(self, caller: Caller, parameters: Document) -> Target:
        """What the parameters name, for a caller who proved who they are in the way that it asks for."""
        account, runtime_id = owner_of(
            parameters["agentRuntimeArn"], parameters.get("accountId"), caller.account
        )
        target = await self._directory.find(account, runtime_id, parameters.get("qualifier"))
        if (caller.kind is CallerKind.BEARER) != (target.version.authorizer is not None):
            raise AccessDenied(_MISMATCH)
        return target

    async def bearer(self, parameters: Document, token: str | None, headers: Mapping[str, str]) -> Caller:
        """Turn a JWT into a caller. Raises Unauthorized with the challenge of RFC 6750 and RFC 9728."""
        try:
            account, runtime_id = owner_of(parameters["agentRuntimeArn"], parameters.get("accountId"), "")
            target = await self._directory.find(account, runtime_id, parameters.get("qualifier"))
        except NotFound:
            # Without a proven caller, an unknown agent must look like one that asks for another token.
            raise AccessDenied(
                "Missing Authentication Token", "MissingAuthenticationTokenException"
            ) from None
        if target.version.authorizer is None:
            raise AccessDenied(_MISMATCH if token else "Missing Authentication Token")
        metadata_url = _metadata_url(target, headers.get("host", ""))
        if token is None:
            raise Unauthorized("Missing or invalid bearer token", challenge(metadata_url, None))
        claims = await self._authorizer.verify(target.version.authorizer, token, metadata_url)
        return Caller(
            account=account,
            principal=claims.subject,
            region=Arn.parse(target.runtime.arn).region,
            kind=CallerKind.BEARER,
            user_id=claims.subject,
        )

    async def protected_resource_metadata(self, agent: str, qualifier: str | None, host: str) -> Document:
        """RFC 9728: which authorization server's tokens an agent accepts."""
        account, runtime_id = owner_of(agent, None, "")
        target = await self._directory.find(account, runtime_id, qualifier)
        if target.version.authorizer is None:
            raise NotFound(f"Agent runtime {runtime_id} has no JWT authorizer")
        discovery: str = target.version.authorizer["discoveryUrl"]
        metadata: Document = {
            "resource": _invocations_url(target, host),
            "authorization_servers": [discovery.split("/.well-known/")[0]],
            "bearer_methods_supported": ["header"],
        }
        if scopes := target.version.authorizer.get("allowedScopes"):
            metadata["scopes_supported"] = scopes
        return metadata


def _invocations_url(target: Target, host: str) -> str:
    return f"http://{host}/runtimes/{quote(target.runtime.arn, safe='')}/invocations"


def _metadata_url(target: Target, host: str) -> str:
    path = "/.well-known/oauth-protected-resource"
    return f"{_invocations_url(target, host)}{path}?qualifier={target.endpoint.name}"
