"""The AWS operations of Secrets Manager."""

from innkeeper.kernel.call import Call, Document
from innkeeper.services.secrets_manager.model import Secret, Version
from innkeeper.services.secrets_manager.passwords import random_password
from innkeeper.services.secrets_manager.service import Opened, SecretsManager


class SecretsManagerOperations:
    def __init__(self, secrets: SecretsManager) -> None:
        self._secrets = secrets

    async def create_secret(self, call: Call, params: Document) -> Document:
        secret, version = await self._secrets.create(call.caller, params)
        return {**_identity(secret), "VersionId": version and version.id}

    async def put_secret_value(self, call: Call, params: Document) -> Document:
        secret, version = await self._secrets.put(call.caller, params)
        return {**_identity(secret), "VersionId": version.id, "VersionStages": version.labels}

    async def update_secret(self, call: Call, params: Document) -> Document:
        secret, version = await self._secrets.update(call.caller, params)
        return {**_identity(secret), "VersionId": version and version.id}

    async def get_secret_value(self, call: Call, params: Document) -> Document:
        version_id, label = params.get("VersionId"), params.get("VersionStage")
        return _opened(await self._secrets.get(call.caller, params["SecretId"], version_id, label))

    async def batch_get_secret_value(self, call: Call, params: Document) -> Document:
        opened, failed, token = await self._secrets.get_many(call.caller, params)
        errors = [
            {"SecretId": name, "ErrorCode": error.code, "Message": error.message} for name, error in failed
        ]
        return {"SecretValues": list(map(_opened, opened)), "Errors": errors, "NextToken": token}

    async def describe_secret(self, call: Call, params: Document) -> Document:
        secret, labels = await self._secrets.describe(call.caller, params["SecretId"])
        return {**_described(secret), "VersionIdsToStages": labels}

    async def list_secrets(self, call: Call, params: Document) -> Document:
        page = await self._secrets.list(call.caller, params)
        labels = await self._secrets.labels(page.items)
        entries = [
            {**_described(secret), "SecretVersionsToStages": labels[secret.arn]} for secret in page.items
        ]
        return {"SecretList": entries, "NextToken": page.next_token}

    async def list_secret_version_ids(self, call: Call, params: Document) -> Document:
        secret, page = await self._secrets.versions(call.caller, params)
        return {
            **_identity(secret),
            "Versions": list(map(_version, page.items)),
            "NextToken": page.next_token,
        }

    async def update_secret_version_stage(self, call: Call, params: Document) -> Document:
        return _identity(await self._secrets.move_label(call.caller, params))

    async def delete_secret(self, call: Call, params: Document) -> Document:
        arn, name, gone_at = await self._secrets.delete(call.caller, params)
        return {"ARN": arn, "Name": name, "DeletionDate": gone_at}

    async def restore_secret(self, call: Call, params: Document) -> Document:
        return _identity(await self._secrets.restore(call.caller, params["SecretId"]))

    async def tag_resource(self, call: Call, params: Document) -> Document:
        await self._secrets.tag(call.caller, params["SecretId"], params["Tags"])
        return {}

    async def untag_resource(self, call: Call, params: Document) -> Document:
        await self._secrets.untag(call.caller, params["SecretId"], params["TagKeys"])
        return {}

    async def get_random_password(self, call: Call, params: Document) -> Document:
        return {"RandomPassword": random_password(params)}


def _identity(secret: Secret) -> Document:
    return {"ARN": secret.arn, "Name": secret.name}


def _described(secret: Secret) -> Document:
    return {
        **_identity(secret),
        "Description": secret.description or None,
        "KmsKeyId": secret.kms_key_id,
        "Tags": [{"Key": key, "Value": value} for key, value in sorted(secret.tags.items())],
        "CreatedDate": secret.created_at,
        "LastChangedDate": secret.changed_at,
        "LastAccessedDate": secret.accessed_at,
        "DeletedDate": secret.delete_at,
    }


def _version(version: Version) -> Document:
    return {
        "VersionId": version.id,
        "VersionStages": version.labels or None,
        "CreatedDate": version.created_at,
        "LastAccessedDate": version.accessed_at,
    }


def _opened(opened: Opened) -> Document:
    return {**_identity(opened.secret), **_version(opened.version), **opened.value.members}
