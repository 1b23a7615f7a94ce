"""The certificates by which our proxy can speak for a host to the sandboxes, and to nobody else.

Each driver has an authority of its own, which only its sandboxes are told to trust. It is kept, so that what
a snapshot has loaded is still good under the next server.
"""

import datetime
import os
import ssl
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

CONTEXTS_MAX = 256
LIFE_DAYS = 3650

_SYSTEM_BUNDLE = Path("/etc/ssl/certs/ca-certificates.crt")


class NamedContext(ssl.SSLContext):
    """Of the server of one name."""

    name: str


class Authority:
    """`bundle` is the file of all the authorities that a sandbox trusts: this host's, and this one.
    `outgoing` is how our proxy verifies the hosts that it connects to: by this host's alone."""

    def __init__(self, folder: Path) -> None:
        """Loads it from the folder, or makes it there. Blocks. Raises OSError."""
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        kept = folder / "authority.pem"
        if not kept.exists():
            _write_new(kept)
        pem = kept.read_bytes()
        key = serialization.load_pem_private_key(pem, None)
        assert isinstance(key, ec.EllipticCurvePrivateKey)
        self._key = key
        self._certificate = x509.load_pem_x509_certificate(pem)
        self._leaf_key = ec.generate_private_key(ec.SECP256R1())
        self._contexts: OrderedDict[str, NamedContext] = OrderedDict()
        self.outgoing = ssl.create_default_context()
        self.outgoing.set_alpn_protocols(["http/1.1"])
        self.bundle = folder / "ca-certificates.crt"
        _replace(self.bundle, _system_certificates() + _pem(self._certificate), 0o644)

    def context(self, name: str) -> NamedContext:
        """For a server that is believed to have this name."""
        context = self._contexts.pop(name, None) or self._made(name)
        self._contexts[name] = context
        if len(self._contexts) > CONTEXTS_MAX:
            self._contexts.popitem(last=False)
        return context

    def choosing(self, speaks_for: Callable[[str], bool]) -> ssl.SSLContext:
        """For a server that has each name it `speaks_for`; the client says which (RFC 6066, 3)."""

        def choose(tls: ssl.SSLObject, name: str | None, _: ssl.SSLContext) -> int | None:
            if name is None or not speaks_for(name.lower()):
                return ssl.ALERT_DESCRIPTION_UNRECOGNIZED_NAME
            tls.context = self.context(name.lower())
            return None

        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.set_alpn_protocols(["http/1.1"])
        context.sni_callback = choose
        return context

    def _made(self, name: str) -> NamedContext:
        subject = _named("Innkeeper egress")
        builder = _builder(subject, self._certificate.subject, self._leaf_key.public_key())
        builder = builder.add_extension(x509.SubjectAlternativeName([x509.DNSName(name)]), critical=False)
        builder = builder.add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), critical=False
        )
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        builder = builder.add_extension(issuer, critical=False)
        certificate = builder.sign(self._key, hashes.SHA256())
        context = NamedContext(ssl.PROTOCOL_TLS_SERVER)
        context.name = name
        context.set_alpn_protocols(["http/1.1"])
        _load(context, _pem(certificate) + _private(self._leaf_key))
        return context


def _write_new(path: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = _named("Innkeeper egress of this server")
    builder = _builder(name, name, key.public_key())
    builder = builder.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    usage = x509.KeyUsage(
        digital_signature=False,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=True,
        crl_sign=True,
        encipher_only=False,
        decipher_only=False,
    )
    builder = builder.add_extension(usage, critical=True)
    _replace(path, _private(key) + _pem(builder.sign(key, hashes.SHA256())), 0o600)


def _named(common_name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, common_name)])


def _builder(
    subject: x509.Name, issuer: x509.Name, public: ec.EllipticCurvePublicKey
) -> x509.CertificateBuilder:
    now = datetime.datetime.now(datetime.UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public)
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=LIFE_DAYS))
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), critical=False)
    )


def _pem(certificate: x509.Certificate) -> bytes:
    return certificate.public_bytes(serialization.Encoding.PEM)


def _private(key: ec.EllipticCurvePrivateKey) -> bytes:
    return key.private_bytes(
        serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
    )


def _load(context: ssl.SSLContext, pem: bytes) -> None:
    """`ssl` reads keys from files only: this one is in memory."""
    file = os.memfd_create("certificate", os.MFD_CLOEXEC)
    try:
        os.write(file, pem)
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)


def _system_certificates() -> bytes:
    bundle = ssl.get_default_verify_paths().cafile
    paths = [_SYSTEM_BUNDLE, *([Path(bundle)] if bundle else [])]
    found = next((path for path in paths if path.is_file()), None)
    return found.read_bytes() + b"\n" if found else b""


def _replace(path: Path, data: bytes, mode: int) -> None:
    draft = path.with_suffix(".new")
    descriptor = os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    draft.replace(path)
