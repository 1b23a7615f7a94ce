"""Authorities that a sandbox trusts beside those of its system, added while it runs.

The system's own files are read-only inside: what programs are told by their environment is another bundle.
"""

from collections.abc import Mapping

from innkeeper.engines.sandbox.sandbox import Sandbox

BUNDLE_VARIABLES = (
    "SSL_CERT_FILE",
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
)
"""Of programs that read one file of all authorities, in the place of their own."""
EXTRA_VARIABLES = ("NODE_EXTRA_CA_CERTS", "DENO_CERT")
"""Of programs that add those of a file to their own."""

_FOLDER = "/home/agent/.authorities"
_SYSTEM_BUNDLES = ("/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt")


async def add(sandbox: Sandbox, pem: bytes) -> Mapping[str, str]:
    """What the environment of its processes needs to trust these, once they have been written. Raises
    SandboxError, OSError."""
    extra, bundle = f"{_FOLDER}/added.pem", f"{_FOLDER}/all.pem"
    await sandbox.write_file(extra, pem)
    await sandbox.write_file(bundle, await _system_bundle(sandbox) + pem)
    return {**dict.fromkeys(BUNDLE_VARIABLES, bundle), **dict.fromkeys(EXTRA_VARIABLES, extra)}


async def _system_bundle(sandbox: Sandbox) -> bytes:
    """As it is inside, ending in a line's end."""
    for path in _SYSTEM_BUNDLES:
        try:
            found = await sandbox.read_file(path)
        except FileNotFoundError:
            continue
        return found.rstrip(b"\n") + b"\n"
    return b""
