"""Certificates that lie in secrets: authorities that a code interpreter or a browser is to trust.

https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/code-interpreter-root-ca-certificates.html
"""

from collections.abc import Sequence
from datetime import datetime

from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509 import load_pem_x509_certificates

from innkeeper.kernel.call import Document
from innkeeper.kernel.errors import FieldError, InvalidRequest


def secrets_of(certificates: Sequence[Document]) -> list[str]:
    """The ARNs in the `certificates` of a request, each once."""
    return [*dict.fromkeys(one["location"]["secretsManager"]["secretArn"] for one in certificates)]


def checked(arn: str, data: bytes, now: datetime) -> list[bytes]:
    """The certificates in what a secret holds, each in PEM; nothing of what lies beside them. Raises
    InvalidRequest naming the secret."""
    try:
        certificates = load_pem_x509_certificates(data)
    except ValueError:
        raise refused(arn, "holds no X.509 certificates in PEM") from None
    for certificate in certificates:
        name = certificate.subject.rfc4514_string()
        if certificate.not_valid_after_utc < now:
            raise refused(arn, f"holds a certificate that has expired: {name}")
        if certificate.not_valid_before_utc > now:
            raise refused(arn, f"holds a certificate that is not valid yet: {name}")
    return [certificate.public_bytes(Encoding.PEM) for certificate in certificates]


def refused(arn: str, rule: str) -> InvalidRequest:
    message = f"the secret {arn} {rule}"
    field = FieldError("certificates", message)
    return InvalidRequest(f"Value at 'certificates' is not allowed: {message}", (field,))
