"""Small real packages, packed on the spot, so that tests of builds need no network."""

import base64
import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path

FOREIGN_TAG = "cp311-cp311-manylinux2014_s390x"  # no machine that runs these tests
PURE_TAG = "py3-none-any"


def package_files(
    name: str, version: str, files: Mapping[str, str], tag: str = PURE_TAG, requires: str = ""
) -> dict[str, str]:
    """What an installed wheel consists of, with its record; paths are relative to where it is installed."""
    info = f"{name}-{version}.dist-info"
    required = f"Requires-Dist: {requires}\n" if requires else ""
    all_files = {
        **files,
        f"{info}/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n{required}\nText.\n",
        f"{info}/WHEEL": f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n",
    }
    record = "".join(f"{path},{_hash(content)},{len(content)}\n" for path, content in all_files.items())
    return {**all_files, f"{info}/RECORD": record + f"{info}/RECORD,,\n"}


def write_wheel(folder: Path, name: str, version: str, files: Mapping[str, str], requires: str = "") -> None:
    """A wheel file for `--find-links`."""
    contents = package_files(name, version, files, requires=requires)
    (folder / f"{name}-{version}-{PURE_TAG}.whl").write_bytes(zipped(contents))


def zipped(files: Mapping[str, str]) -> bytes:
    """The same bytes for the same files: dates are left at 1980."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for path, content in files.items():
            archive.writestr(zipfile.ZipInfo(path), content, zipfile.ZIP_DEFLATED)
    return buffer.getvalue()


def _hash(content: str) -> str:
    digest = hashlib.sha256(content.encode()).digest()
    return "sha256=" + base64.urlsafe_b64encode(digest).rstrip(b"=").decode()
