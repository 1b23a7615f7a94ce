"""Resource policy operations of bedrock-agentcore-control."""

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.policies import Authorize
from innkeeper.services.resource_policy.service import ResourcePolicies


class ResourcePolicyOperations:
    def __init__(self, policies: ResourcePolicies, authorize: Authorize) -> None:
        self._policies = policies
        self._authorize = authorize

    async def put_resource_policy(self, call: Call, params: Document) -> Document:
        await self._authorize(call.caller, "bedrock-agentcore:PutResourcePolicy", params["resourceArn"])
        await self._policies.put(call.caller, params["resourceArn"], params["policy"])
        return {"policy": params["policy"]}

    async def get_resource_policy(self, call: Call, params: Document) -> Document:
        await self._authorize(call.caller, "bedrock-agentcore:GetResourcePolicy", params["resourceArn"])
        policy = await self._policies.get(call.caller, params["resourceArn"])
        return {} if policy is None else {"policy": policy}

    async def delete_resource_policy(self, call: Call, params: Document) -> Document:
        await self._authorize(call.caller, "bedrock-agentcore:DeleteResourcePolicy", params["resourceArn"])
        await self._policies.delete(call.caller, params["resourceArn"])
        return {}
