"""Container images as templates: copied by skopeo, with programs of their own and no Python."""

import asyncio
import tarfile
from pathlib import Path

import pytest

from innkeeper.cli.failure import CommandFailed
from innkeeper.services.builder.apt import Apt
from tests.engines.images.layouts import Entry, file, layer, link, other, write
from tests.running import RunningServer
from tests.services.sandboxes.lodging import Lodging
from tests.stories.terminal import PROGRAMS, Terminal

APPLETS = ("cat", "env", "id", "ls", "sh", "sleep", "test", "touch", "wget")
CONFIG = {
    "Env": ["PATH=/bin", "GREETING=hello"],
    "WorkingDir": "/srv",
    "User": "nobody",
    "Cmd": ["/bin/sh", "-c", "echo yes > /tmp/started; exec sleep 3600"],
}


@pytest.fixture(scope="module")
def busybox(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A program that needs no library: the host's, or the one of its distribution."""
    folder = tmp_path_factory.mktemp("busybox") / "content"
    folder.mkdir()
    asyncio.run(Apt(folder.parent, 100.0).install(["busybox-static"], folder))
    places = (*folder.glob("bin/busybox"), *folder.glob("usr/bin/busybox"), Path("/bin/busybox"))
    return places[0].read_bytes()


@pytest.fixture
def image(busybox: bytes, tmp_path: Path) -> Path:
    """A folder with an image of three layers."""
    below: list[Entry] = [file("bin/busybox", busybox, 0o755), file("srv/secret", b"x"), file("etc/passwd")]
    above = [link(f"bin/{name}", "busybox") for name in APPLETS]
    last = [file("srv/note", b"from the image"), file("srv/.wh.secret"), other("dev/sda", tarfile.BLKTYPE)]
    return write(tmp_path / "image", [layer(*below), layer(*above), layer(*last)], CONFIG)


def test_an_image_becomes_a_template(
    image: Path, lodging: Lodging, server: RunningServer, tmp_path: Path
) -> None:
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    assert user.ok("innkeeper", "templates", "import", "tiny", f"oci:{image}") == "tiny is ready.\n"
    shown = user.json("innkeeper", "templates", "show", "tiny", "--json")
    assert (shown["base"], len(shown["image"])) == ("image", 64)
    assert "'nobody' is not kept" in shown["log"]
    id_ = lodging.create(template="tiny")
    script = "echo $GREETING; cat note; ls; id -un; until test -s /tmp/started; do sleep 0.1; done; ls /usr"
    ended = lodging.events(id_, ["sh", "-c", script])
    assert ended[-1] != {"exitCode": 0}  # it has no /usr
    assert lodging.read(id_, "note") == b"from the image"
    told = user.run("innkeeper", "sandbox", "exec", id_, "--", "sh", "-c", script.rpartition(";")[0])
    assert told.stdout == "hello\nfrom the imagenote\nagent\n"
    assert lodging.events(id_, ["touch", "/srv/x"])[-1] == {"exitCode": 1}
    lodging.put(id_, "/home/agent/mine", b"mine")
    lodging.kill(id_)
    user.ok("innkeeper", "templates", "rm", "tiny")


@pytest.mark.parametrize("server", ["bubblewrap"], indirect=True)
def test_what_is_no_image_says_so(lodging: Lodging, server: RunningServer, tmp_path: Path) -> None:
    user = Terminal(tmp_path, {**server.environment, "INNKEEPER_DATA_DIR": str(server.data_dir)})
    words = ("innkeeper", "templates", "import", "none", "oci:nothing")
    assert "skopeo could not copy oci:nothing" in user.run(*words).stderr
    assert "apt-get install skopeo" in user.run(*words, PATH=str(PROGRAMS)).stderr
    bucket = lodging.api.own_bucket("images")
    place = {"bucket": bucket, "prefix": "bad.tar"}
    assert lodging.built("bad", image={"s3": place}) == "FAILED"
    assert "there is no object bad.tar" in lodging.log("bad")
    lodging.api.client("s3").put_object(Bucket=bucket, Key="bad.tar", Body=b"no image")
    assert lodging.built("bad", image={"s3": place}) == "FAILED"
    assert "no tar file" in lodging.log("bad")
    for members in ({"image": {"s3": {"bucket": "b"}}}, {"image": {"s3": place}, "pip": ["six"]}):
        with pytest.raises(CommandFailed, match="Value at 'image' is not allowed"):
            lodging.api.call("POST", "/-/v1/templates", {"name": "none", **members})
