"""The `skopeo` program (https://github.com/containers/skopeo): container images from wherever they lie."""

import shutil
import subprocess
import tempfile
from pathlib import Path

from innkeeper.cli.api import Api
from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.terminal import say
from innkeeper.kernel.call import Document

_SAID_CHARACTERS = 2_000


def upload(api: Api, name: str, source: str) -> Document:
    """Put an image, as an archive, into a bucket of this account; where it lies then."""
    program = shutil.which("skopeo")
    if program is None:
        raise CommandFailed("skopeo copies images, and is not installed: `apt-get install skopeo`")
    with tempfile.TemporaryDirectory() as folder:
        archive = Path(folder) / "image.tar"
        say(f"Copying {source}")
        words = [program, "--override-os", "linux", "copy", "--quiet", "--", source, f"oci-archive:{archive}"]
        copied = subprocess.run(words, capture_output=True, text=True, check=False)
        if copied.returncode != 0:
            raise CommandFailed(f"skopeo could not copy {source}:\n{copied.stderr[-_SAID_CHARACTERS:]}")
        bucket = api.own_bucket("images")
        say(f"Uploading {archive.stat().st_size / 1e6:.1f} MB to s3://{bucket}/{name}.tar")
        api.client("s3").upload_file(str(archive), bucket, f"{name}.tar")
    return {"bucket": bucket, "prefix": f"{name}.tar"}
