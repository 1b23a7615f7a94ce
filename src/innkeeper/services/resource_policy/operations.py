"""Resource policy operations of bedrock-agentcore-control."""

from innkeeper.kernel.call import Call, Document
from innkeeper.services.resource_policy.service import ResourcePolicies


class ResourcePolicyOperations:
    def __init__(self, policies: ResourcePolicies) -> None:
        self._policies = policies

    async def put_resource_policy(self, call: Call, params: Document) -> Document:
        await self._policies.put(call.caller, params["resourceArn"], params["policy"])
        return {"policy": params["policy"]}

    async def get_resource_policy(self, call: Call, params: Document) -> Document:
        """Without `policy` where there is none: so the SDK knows it."""
        policy = await self._policies.get(call.caller, params["resourceArn"])
        return {} if policy is None else {"policy": policy}

    async def delete_resource_policy(self, call: Call, params: Document) -> Document:
        await self._policies.delete(call.caller, params["resourceArn"])
        return {}
