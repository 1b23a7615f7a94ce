"""Who may do what: the policies of resources first, then those of the caller.

Action and resource names are those of the Service Authorization Reference
(https://docs.aws.amazon.com/service-authorization/latest/reference/list_amazonbedrockagentcore.html).
"""

from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.errors import AccessDenied
from innkeeper.kernel.ids import Arn, agentcore_arn
from innkeeper.kernel.policies import Decision
from innkeeper.services.account.service import Accounts
from innkeeper.services.resource_policy.service import ResourcePolicies

_RESOURCE_TYPES = {
    "agentRuntimeArn": "runtime",
    "agentRuntimeId": "runtime",
    "browserIdentifier": "browser",
    "codeInterpreterIdentifier": "code-interpreter",
    "codeInterpreterId": "code-interpreter",
    "gatewayIdentifier": "gateway",
    "memoryId": "memory",
    "resourceArn": "",
}
_MODEL_ACTIONS = {
    "Converse": "InvokeModel",
    "ConverseStream": "InvokeModelWithResponseStream",
}


class Gate:
    def __init__(self, accounts: Accounts, policies: ResourcePolicies) -> None:
        self._accounts = accounts
        self._policies = policies

    async def check(self, caller: Caller, service: str, operation: str, parameters: Document) -> None:
        """`service` is the signing name. Raises AccessDenied; NotFound for another tenant's resource that no
        policy opens to the caller. STS, IAM and Secrets Manager ask for themselves: their resources need
        looking up."""
        if service in ("sts", "iam", "secretsmanager"):
            return
        action = f"{service}:{_MODEL_ACTIONS.get(operation, operation)}"
        resource = _resource(caller, service, parameters)
        decision = await self._decide(caller, action, resource, parameters)
        if decision is Decision.NEUTRAL:
            await self._accounts.authorize(caller, action, resource)
        if parameters.get("runtimeUserId"):
            await self._accounts.authorize(caller, f"{service}:InvokeAgentRuntimeForUser", resource)

    async def check_bearer(self, caller: Caller, operation: str, parameters: Document) -> None:
        """The authorizer let the caller in; a policy of the resource may still deny."""
        resource = _resource(caller, "bedrock-agentcore", parameters)
        await self._decide(caller, f"bedrock-agentcore:{operation}", resource, parameters)

    async def _decide(self, caller: Caller, action: str, resource: str, parameters: Document) -> Decision:
        """What the resource's policy says; a deny of the endpoint's counts as well."""
        if resource == "*":
            return Decision.NEUTRAL
        decision = await self._policies.decide(caller, action, resource)
        endpoint = parameters.get("qualifier") or parameters.get("endpointName")
        if endpoint and decision is not Decision.DENY:
            narrower = f"{resource}/runtime-endpoint/{endpoint}"
            if await self._policies.decide(caller, action, narrower) is Decision.DENY:
                decision = Decision.DENY
        if decision is Decision.DENY:
            raise AccessDenied(
                f"User: {caller.principal} is not authorized to perform: {action} on resource: {resource} "
                "with an explicit deny in a resource-based policy"
            )
        return decision


def _resource(caller: Caller, service: str, parameters: Document) -> str:
    """The ARN that the parameters name; `*` for what concerns no resource in particular."""
    if service == "bedrock":
        return str(Arn("bedrock", caller.region, "", f"foundation-model/{parameters['modelId']}"))
    for member, kind in _RESOURCE_TYPES.items():
        if name := parameters.get(member):
            if name.startswith("arn:"):
                return str(name)
            if kind == "code-interpreter":
                return _tool(caller, kind, name)
            account = parameters.get("accountId") or caller.account
            return agentcore_arn(caller.region, account, f"{kind}/{name}")
    return "*"


def _tool(caller: Caller, kind: str, name: str) -> str:
    """One that comes with the system is everybody's; a custom one is of a type of its own."""
    if name.startswith("aws."):
        return agentcore_arn(caller.region, "aws", f"{kind}/{name}")
    return agentcore_arn(caller.region, caller.account, f"{kind}-custom/{name}")
