"""Images unpacked: layers one over the other, and what a hostile one may not do."""

import gzip
import io
import tarfile
from pathlib import Path

import pytest

from innkeeper.engines.images.image import ImageError, ImageLimits
from innkeeper.engines.images.roots import Root, Roots
from tests.engines.images.layouts import Entry, archive, file, layer, link, other

SMALL = ImageLimits(archive_bytes=1 << 20, unpacked_bytes=1 << 20, entries=50, layers=4)
FOLDER, HARD, DEVICE = tarfile.DIRTYPE, tarfile.LNKTYPE, tarfile.CHRTYPE


async def unpacked(folder: Path, *layers: bytes) -> Root:
    return await Roots(folder / "here", SMALL).unpack(archive(folder / "image", layers))


def seen(root: Path) -> dict[str, str]:
    """What is in it: texts of files, and where links lead."""
    return {
        str(path.relative_to(root)): f"-> {path.readlink()}" if path.is_symlink() else path.read_text()
        for path in root.rglob("*")
        if path.is_symlink() or path.is_file()
    }


async def test_layers_lie_one_over_the_other(tmp_path: Path) -> None:
    below = layer(
        *(file("./usr/bin/tool", b"old", 0o4755), file("usr/lib/a", b"a"), link("lib", "usr/lib")),
        *(file("gone", b"x"), file("swept/old", b"x"), file("both/old", b"x"), file("etc/kept", b"kept")),
        *(file("folder/below", b"x"), other("dev/null", DEVICE), link("etc/abs", "/usr/lib")),
    )
    above = layer(
        *(
            file("lib/b", b"b"),
            file("usr/bin/tool", b"new", 0o4755),
            file(".wh.gone"),
            file("folder", b"file"),
        ),
        *(file("swept/.wh..wh..opq"), file("swept/new", b"new"), file("both/new", b"new"), file(".wh.both")),
        *(other("usr/bin/same", HARD, "usr/bin/tool"), file("etc/abs/c", b"c"), other("tmp", FOLDER)),
    )
    root = await unpacked(tmp_path, below, above)
    assert seen(root.path) == {
        **{
            "usr/bin/tool": "new",
            "usr/bin/same": "new",
            "usr/lib/a": "a",
            "usr/lib/b": "b",
            "usr/lib/c": "c",
        },
        **{"lib": "-> usr/lib", "etc/kept": "kept", "etc/abs": "-> /usr/lib", "swept/new": "new"},
        **{"both/new": "new", "folder": "file"},
    }
    assert (root.path / "usr/bin/tool").stat().st_mode & 0o7777 == 0o755
    assert root.image.notes == ("1 devices, pipes or sockets of the image were left out",)
    assert not root.image.shell
    again = await Roots(tmp_path / "here", SMALL).unpack(tmp_path / "image.tar")
    assert again == root


def bomb(size: int) -> bytes:
    return layer(file("zeros", b"\0" * size))


def hidden(name: str) -> bytes:
    """Behind a link to the root of the host."""
    return layer(
        link("way", "/"), link("way2", "../../../../../.."), file(f"way/{name}"), file(f"way2/{name}")
    )


HOSTILE = {
    "up": ([layer(file("../escaped"))], "no path"),
    "up-later": ([layer(file("a/../../escaped"))], "no path"),
    "hard-link-up": ([layer(other("x", HARD, "../../escaped"))], "no path"),
    "hard-link-out": ([layer(link("out", "/etc"), other("x", HARD, "out/passwd"))], "not there"),
    "loop": ([layer(link("a", "b"), link("b", "a"), file("a/x"))], "circles"),
    "file-as-folder": ([layer(file("a"), file("a/b"))], "file where"),
    "too-large": ([bomb((1 << 20) + 1)], "unpacks to more"),
    "too-large-together": ([bomb(1 << 19), bomb(1 << 19), bomb(1)], "unpacks to more"),
    "too-many": ([layer(*(file(str(number)) for number in range(60)))], "more than 50 entries"),
    "too-many-layers": ([layer()] * 5, "5 layers"),
    "header": ([layer(file("x" * (2 << 20)))], "headers"),
    "cut": ([layer(file("a", b"x" * 600))[:700]], "whole|unpacked"),
}


@pytest.mark.parametrize(("layers", "rule"), HOSTILE.values(), ids=HOSTILE)
async def test_a_hostile_image_is_refused_and_leaves_nothing(
    layers: list[bytes], rule: str, tmp_path: Path
) -> None:
    with pytest.raises(ImageError, match=rule):
        await unpacked(tmp_path, *layers)
    assert not (tmp_path / "escaped").exists()
    assert not list((tmp_path / "here" / "unfinished").iterdir())
    assert not (tmp_path / "here" / "roots").exists()


async def test_links_lead_nowhere_outside_while_it_is_unpacked(tmp_path: Path) -> None:
    target = tmp_path / "target"
    target.mkdir()
    (target / "kept").write_text("kept")
    inside = str(target).removeprefix("/")
    out: list[Entry] = [link("out", str(target)), file("out/written", b"x"), file(f"{inside}/below", b"x")]
    whiteouts = [file("out/.wh.kept"), file("out/.wh..wh..opq"), file(".wh...")]
    root = await unpacked(tmp_path, layer(*out), layer(*whiteouts), hidden("escaped-by-link"))
    assert seen(target) == {"kept": "kept"}
    assert not Path("/escaped-by-link").exists()
    assert (root.path / "escaped-by-link").is_file()
    assert (root.path / inside).is_dir()


async def test_an_image_that_is_not_what_it_says_is_refused(tmp_path: Path) -> None:
    packed = archive(tmp_path / "image", [layer(file("a", b"good"))])
    roots = Roots(tmp_path / "here", SMALL)
    changed = tmp_path / "changed.tar"
    with tarfile.open(packed) as source, tarfile.open(changed, "w") as target:
        for member in source:
            data = (source.extractfile(member) or io.BytesIO()).read() if member.isreg() else b""
            if data.startswith(b"\x1f\x8b"):
                data = gzip.compress(layer(file("a", b"evil")), mtime=0)
                member.size = len(data)
            target.addfile(member, io.BytesIO(data))
    with pytest.raises(ImageError, match="not what its digest says"):
        await roots.unpack(changed)
    changed.write_bytes(b"no tar at all")
    with pytest.raises(ImageError, match="no tar file"):
        await roots.unpack(changed)
    with tarfile.open(changed, "w") as empty:
        empty.add(tmp_path / "image" / "oci-layout", "oci-layout")
    with pytest.raises(ImageError, match=r"lacks index\.json"):
        await roots.unpack(changed)
    kept = await roots.unpack(packed)
    await roots.sweep({kept.image.digest})
    assert await roots.find(kept.image.digest) == kept
    await roots.sweep(set())
    with pytest.raises(ImageError, match="import it again"):
        await roots.find(kept.image.digest)
    assert not kept.path.exists()
