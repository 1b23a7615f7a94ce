"""The part of IAM that manages roles and their policies.

Documents travel as URL-encoded JSON (RFC 3986). https://docs.aws.amazon.com/IAM/latest/APIReference/
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import quote

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.ids import Arn
from innkeeper.kernel.page import Cursor, Page, PageRequest
from innkeeper.services.account.errors import InvalidInput
from innkeeper.services.account.model import ManagedPolicy, Role, policy_arn
from innkeeper.services.account.roles import no_policy
from innkeeper.services.account.service import Accounts

_INLINE = Cursor("policies of a role", str)
_ATTACHED = Cursor("policies attached to a role", str)


class IamOperations:
    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts
        self._roles = accounts.roles

    async def create_role(self, call: Call, params: Document) -> Document:
        path = params.get("Path", "/")
        await self._allow(call, "CreateRole", f"role{path}{params['RoleName']}")
        if "PermissionsBoundary" in params:
            raise InvalidInput("PermissionsBoundary is not supported")
        role = await self._roles.create(
            call.caller.account,
            params["RoleName"],
            params["AssumeRolePolicyDocument"],
            path,
            params.get("MaxSessionDuration", 3600),
            _kept(params),
        )
        return {"Role": _role(role)}

    async def get_role(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "GetRole", params)
        return {"Role": _role(await self._roles.get(call.caller.account, params["RoleName"]))}

    async def list_roles(self, call: Call, params: Document) -> Document:
        prefix = params.get("PathPrefix", "/")
        await self._allow(call, "ListRoles", f"role{prefix}")
        page = await self._roles.list_page(call.caller.account, prefix, _page_request(params))
        return _page("Roles", page, [_role(role) for role in page.items])

    async def delete_role(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "DeleteRole", params)
        await self._roles.delete(call.caller.account, params["RoleName"])
        return {}

    async def update_assume_role_policy(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "UpdateAssumeRolePolicy", params)
        await self._roles.set_trust(call.caller.account, params["RoleName"], params["PolicyDocument"])
        return {}

    async def put_role_policy(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "PutRolePolicy", params)
        await self._roles.put_inline(
            call.caller.account, params["RoleName"], params["PolicyName"], params["PolicyDocument"]
        )
        return {}

    async def get_role_policy(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "GetRolePolicy", params)
        documents = await self._roles.inline(call.caller.account, params["RoleName"])
        name = params["PolicyName"]
        if name not in documents:
            raise no_policy(name)
        return {"RoleName": params["RoleName"], "PolicyName": name, "PolicyDocument": quote(documents[name])}

    async def list_role_policies(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "ListRolePolicies", params)
        names = list(await self._roles.inline(call.caller.account, params["RoleName"]))
        page = _cut(_INLINE.of(call.caller.account, params["RoleName"]), names, params)
        return _page("PolicyNames", page, list(page.items))

    async def delete_role_policy(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "DeleteRolePolicy", params)
        await self._roles.delete_inline(call.caller.account, params["RoleName"], params["PolicyName"])
        return {}

    async def attach_role_policy(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "AttachRolePolicy", params)
        await self._roles.attach(call.caller.account, params["RoleName"], params["PolicyArn"])
        return {}

    async def detach_role_policy(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "DetachRolePolicy", params)
        await self._roles.detach(call.caller.account, params["RoleName"], params["PolicyArn"])
        return {}

    async def list_attached_role_policies(self, call: Call, params: Document) -> Document:
        await self._allow_role(call, "ListAttachedRolePolicies", params)
        arns = await self._roles.attached(call.caller.account, params["RoleName"])
        page = _cut(_ATTACHED.of(call.caller.account, params["RoleName"]), arns, params)
        items = [{"PolicyName": arn.rpartition("/")[2], "PolicyArn": arn} for arn in page.items]
        return _page("AttachedPolicies", page, items)

    async def create_policy(self, call: Call, params: Document) -> Document:
        account, name, path = call.caller.account, params["PolicyName"], params.get("Path", "/")
        await self._allow(call, "CreatePolicy", Arn.parse(policy_arn(account, path, name)).resource)
        policy = await self._roles.create_managed(
            account, name, params["PolicyDocument"], path, _kept(params)
        )
        return {"Policy": _policy(policy)}

    async def get_policy(self, call: Call, params: Document) -> Document:
        await self._allow_arn(call, "GetPolicy", params["PolicyArn"])
        return {"Policy": _policy(await self._roles.managed(call.caller.account, params["PolicyArn"]))}

    async def delete_policy(self, call: Call, params: Document) -> Document:
        await self._allow_arn(call, "DeletePolicy", params["PolicyArn"])
        await self._roles.delete_managed(call.caller.account, params["PolicyArn"])
        return {}

    async def _allow_role(self, call: Call, action: str, params: Document) -> None:
        role = await self._roles.get(call.caller.account, params["RoleName"])
        await self._allow_arn(call, action, role.arn)

    async def _allow(self, call: Call, action: str, resource: str) -> None:
        await self._allow_arn(call, action, str(Arn("iam", "", call.caller.account, resource)))

    async def _allow_arn(self, call: Call, action: str, arn: str) -> None:
        await self._accounts.authorize(call.caller, f"iam:{action}", arn)


def _kept(params: Document) -> Document:
    return {name: params[name] for name in ("Description", "Tags") if name in params}


def _role(role: Role) -> Document:
    return {
        "Path": role.path,
        "RoleName": role.name,
        "RoleId": role.role_id,
        "Arn": role.arn,
        "CreateDate": role.created_at,
        "AssumeRolePolicyDocument": quote(role.trust),
        "MaxSessionDuration": role.max_session_seconds,
        **role.details,
    }


def _policy(policy: ManagedPolicy) -> Document:
    return {
        "PolicyName": policy.name,
        "PolicyId": policy.policy_id,
        "Arn": policy.arn,
        "Path": policy.path,
        "DefaultVersionId": "v1",
        "AttachmentCount": policy.attachments,
        "IsAttachable": True,
        "CreateDate": policy.created_at,
        "UpdateDate": policy.created_at,
        **policy.details,
    }


def _page_request(params: Document) -> PageRequest:
    return PageRequest.of(params.get("MaxItems"), params.get("Marker"))


def _cut(cursor: Cursor, names: Sequence[str], params: Document) -> Page[str]:
    """A page of a list that is at hand as a whole."""
    page = _page_request(params)
    (after,) = cursor.after(page) or ("",)
    return cursor.page(page, [name for name in names if name > after], lambda name: (name,))


def _page(member: str, page: Page[Any], items: list[Any]) -> Document:
    more = {"Marker": page.next_token} if page.next_token else {}
    return {member: items, "IsTruncated": bool(more), **more}
