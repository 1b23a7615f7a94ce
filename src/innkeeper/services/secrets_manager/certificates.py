"""Certificates that lie in secrets: authorities that a code interpreter or a browser is to trust.

They are read with the caller's own rights, as AgentCore does.
https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-root-ca-certificates.html
"""

from collections.abc import Sequence

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import Certificate, load_pem_x509_certificates

from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import Caller
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import FieldError, InvalidRequest, NotFound
from innkeeper.services.secrets_manager.service import SecretsManager


class Certificates:
    def __init__(self, secrets: SecretsManager, clock: Clock) -> None:
        self._secrets = secrets
        self._clock = clock

    async def read(self, caller: Caller, certificates: Sequence[Document]) -> bytes:
        """What the `certificates` of a request name, as one bundle in PEM, each once; nothing of what lies
        beside them in a secret. Raises InvalidRequest, AccessDenied or NotFound naming the secret."""
        found: dict[bytes, None] = {}
        for arn in dict.fromkeys(one["location"]["secretsManager"]["secretArn"] for one in certificates):
            for certificate in await self._certificates(caller, arn):
                found[certificate.public_bytes(Encoding.PEM)] = None
        return b"".join(found)

    async def _certificates(self, caller: Caller, arn: str) -> list[Certificate]:
        try:
            opened = await self._secrets.get(caller, arn)
        except NotFound as error:
            raise NotFound(f"The secret {arn} of a certificate was not found, or has no value") from error
        except InvalidRequest as error:
            raise _invalid(arn, "is scheduled for deletion") from error
        try:
            certificates = load_pem_x509_certificates(opened.value.data)
        except ValueError:
            raise _invalid(arn, "holds no X.509 certificates in PEM") from None
        now = self._clock.now()
        for certificate in certificates:
            name = certificate.subject.rfc4514_string()
            if certificate.not_valid_after_utc < now:
                raise _invalid(arn, f"holds a certificate that has expired: {name}")
            if certificate.not_valid_before_utc > now:
                raise _invalid(arn, f"holds a certificate that is not valid yet: {name}")
        return certificates


def _invalid(arn: str, rule: str) -> InvalidRequest:
    message = f"the secret {arn} {rule}"
    return InvalidRequest(
        f"Value at 'certificates' is not allowed: {message}", (FieldError("certificates", message),)
    )
