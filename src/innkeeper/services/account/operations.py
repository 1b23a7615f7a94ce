"""STS: who am I, and taking a role.

https://docs.aws.amazon.com/STS/latest/APIReference/
"""

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.services.account.model import Role, RoleCredentials
from innkeeper.services.account.service import Accounts


class StsOperations:
    def __init__(self, accounts: Accounts) -> None:
        self._accounts = accounts

    async def get_caller_identity(self, call: Call, params: Document) -> Document:
        caller = call.caller
        user_id = caller.account
        if caller.role:
            user_id = _user_id(await self._accounts.role(caller.role), caller.principal)
        return {"UserId": user_id, "Account": caller.account, "Arn": caller.principal}

    async def assume_role(self, call: Call, params: Document) -> Document:
        for member in ("Policy", "PolicyArns"):
            if params.get(member):
                raise InvalidRequest(f"{member}: session policies are not supported; give the role less")
        made = await self._accounts.assume_role(
            call.caller,
            params["RoleArn"],
            params["RoleSessionName"],
            params.get("DurationSeconds", 3600),
            params.get("ExternalId", ""),
        )
        role = await self._accounts.role(params["RoleArn"])
        principal = made.caller.principal
        return {
            "Credentials": _credentials(made),
            "AssumedRoleUser": {"AssumedRoleId": _user_id(role, principal), "Arn": principal},
        }


def _credentials(made: RoleCredentials) -> Document:
    return {
        "AccessKeyId": made.access_key_id,
        "SecretAccessKey": made.secret_access_key,
        "SessionToken": made.session_token,
        "Expiration": made.expires_at,
    }


def _user_id(role: Role, principal: str) -> str:
    return f"{role.role_id}:{principal.rpartition('/')[2]}"
