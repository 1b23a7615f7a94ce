"""What a copy of a sandbox does not get from it, and what its image does not tell."""

import urllib.request
from urllib.error import HTTPError

import pytest

from innkeeper.cli.failure import CommandFailed
from tests.running import RunningServer
from tests.services.sandboxes.lodging import Lodging

KEY = "a-key-of-the-parent-4711"


def test_a_copy_has_its_parents_work_and_nothing_else_of_it(lodging: Lodging, server: RunningServer) -> None:
    parent = lodging.create(timeoutSeconds=600, environment={"KEY": KEY})
    lodging.sh(parent, "echo work > work; test $KEY")
    taken = lodging.change(parent, "snapshot", name="work")
    images = {path.parent for path in (server.data_dir / "named-sandboxes").rglob("image.json")}
    image = max(images, key=lambda path: path.stat().st_mtime_ns)
    kept = sorted((path for path in image.rglob("*") if path.is_file()), key=lambda path: path.stat().st_size)
    assert image.stat().st_mode & 0o077 == 0
    if taken["kind"] == "files":  # memory holds what is in memory
        assert [path for path in kept if KEY.encode() in path.read_bytes()] == []

    copy = lodging.create(template="work", timeoutSeconds=600)
    assert lodging.sh(copy, "cat work; echo ${KEY-none}") == "work\nnone\n"
    of_parent, of_copy = (
        server.native("POST", "/-/v1/web", {"id": id_, "port": 80}) for id_ in (parent, copy)
    )
    bearer = {"Authorization": f"Bearer {of_parent['token']}"}
    with pytest.raises(HTTPError) as refused:
        urllib.request.urlopen(urllib.request.Request(of_copy["url"], headers=bearer), timeout=30)
    refused.value.close()
    assert refused.value.code in (401, 403)

    largest = kept[-1].read_bytes()
    kept[-1].write_bytes(bytes([largest[0] ^ 1]) + largest[1:])
    with pytest.raises(CommandFailed, match=r"checksum|damaged"):
        lodging.create(template="work")
    lodging.api.send("DELETE", "/-/v1/snapshots/work", b"", {})
    for id_ in (parent, copy):
        lodging.kill(id_)
