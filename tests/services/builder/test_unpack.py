"""Code archives of all kinds are unpacked, or refused with a reason that helps."""

import contextlib
import io
import os
import stat
import struct
import zipfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from innkeeper.services.builder.model import BuildFailed, BuildLimits
from innkeeper.services.builder.unpack import unpack

SMALL = BuildLimits(unpacked_bytes=100_000, entries=50)


def packed(*entries: tuple[str | zipfile.ZipInfo, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in entries:
            archive.writestr(name, content)
    return buffer.getvalue()


def special(name: str, mode: int) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.create_system = 3
    info.external_attr = mode << 16
    return info


def unpacked(folder: Path, content: bytes, limits: BuildLimits = SMALL) -> Path:
    archive, target = folder / "code.zip", folder / "code"
    archive.write_bytes(content)
    unpack(archive, target, limits)
    return target


def refusal(folder: Path, content: bytes, limits: BuildLimits = SMALL) -> str:
    with pytest.raises(BuildFailed) as caught:
        unpacked(folder, content, limits)
    assert sorted(path.name for path in folder.iterdir() if path.name != "code") == ["code.zip"]
    return caught.value.message


def test_files_folders_and_programs_arrive_as_packed(tmp_path: Path) -> None:
    code = unpacked(
        tmp_path,
        packed(
            ("main.py", b"print()"),
            ("./pkg/data/table.csv", b"a,b"),
            ("empty/", b""),
            (special("run.sh", stat.S_IFREG | 0o755), b"#!/bin/sh"),
            (special("root.sh", stat.S_IFREG | 0o6777), b"#!/bin/sh"),
            (special("closed.txt", stat.S_IFREG | 0o000), b"x"),
        ),
    )
    assert (code / "main.py").read_bytes() == b"print()"
    assert (code / "pkg/data/table.csv").read_bytes() == b"a,b"
    assert (code / "empty").is_dir()
    modes = {name: stat.S_IMODE((code / name).stat().st_mode) for name in ("run.sh", "root.sh", "closed.txt")}
    assert modes == {"run.sh": 0o755, "root.sh": 0o755, "closed.txt": 0o644}


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_of_two_entries_with_a_name_the_later_counts(tmp_path: Path) -> None:
    code = unpacked(tmp_path, packed(("main.py", b"the package's"), ("./main.py", b"mine")))
    assert (code / "main.py").read_bytes() == b"mine"


@pytest.mark.parametrize("name", ["../evil", "a/../../evil", "/etc/evil", "C:/evil", "a\\..\\evil"])
def test_names_that_lead_out_are_refused(tmp_path: Path, name: str) -> None:
    assert repr(name) in refusal(tmp_path, packed((name, b"x")))


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFIFO, stat.S_IFCHR, stat.S_IFSOCK])
def test_links_and_devices_are_refused(tmp_path: Path, mode: int) -> None:
    message = refusal(tmp_path, packed((special("odd", mode | 0o777), b"main.py"), ("main.py", b"")))
    assert "symbolic link" in message if mode == stat.S_IFLNK else "neither" in message


def test_a_file_in_the_place_of_a_folder_is_refused(tmp_path: Path) -> None:
    assert "cannot be unpacked" in refusal(tmp_path, packed(("a", b"x"), ("a/b", b"x")))
    assert "cannot be unpacked" in refusal_again(tmp_path, packed(("x" * 300, b"x")))


def refusal_again(folder: Path, content: bytes) -> str:
    again = folder / "again"
    again.mkdir()
    return refusal(again, content)


def test_too_much_is_refused(tmp_path: Path) -> None:
    assert "larger than 100000 bytes" in refusal(tmp_path, packed(("a", b"x" * 60_000), ("b", b"x" * 60_000)))
    many = packed(*((f"{number}", b"") for number in range(51)))
    assert "more than 50 entries" in refusal_again(tmp_path, many)


def test_a_bomb_is_refused_before_it_is_unpacked(tmp_path: Path) -> None:
    bomb = packed(("zeros", bytes(60_000_000)))
    assert "200 times" in refusal(tmp_path, bomb, BuildLimits())
    assert not (tmp_path / "code").exists()


def test_a_bomb_of_folders_is_refused(tmp_path: Path) -> None:
    """A few names can ask for millions of folders, and for ones that are too deep to be walked through."""
    assert "1500 folders deep" in refusal(tmp_path, packed(("a/" * 1499 + "x", b"")))
    wide = packed(*((f"{number}/" * 40 + "x", b"") for number in range(2)))
    assert "more than 50 entries" in refusal_again(tmp_path, wide)


def test_a_bomb_of_entries_that_share_their_bytes_is_refused(tmp_path: Path) -> None:
    """Each entry of the table leads to the same compressed bytes."""
    whole = packed(("kernel", bytes(40_000_000)))
    start = whole.index(b"PK\x01\x02")
    entry, end = whole[start : whole.index(b"PK\x05\x06")], bytearray(whole[-22:])
    names = [entry.replace(b"kernel", b"file%02d" % number) for number in range(40)]
    struct.pack_into("<HHI", end, 8, 40, 40, sum(map(len, names)))
    assert "200 times" in refusal(
        tmp_path, whole[:start] + b"".join(names) + end, BuildLimits(unpacked_bytes=1 << 40)
    )


def test_a_bomb_that_lies_about_its_size_is_refused(tmp_path: Path) -> None:
    honest = packed(("zeros", bytes(1_000_000)))
    lie = honest.replace(struct.pack("<I", 1_000_000), struct.pack("<I", 1_000))
    assert "not a whole zip" in refusal(tmp_path, lie)


def test_a_huge_table_of_contents_is_refused_before_it_is_read(tmp_path: Path) -> None:
    table = packed(*((f"{number:0150}", b"") for number in range(10_000)))
    assert "more than 50 entries" in refusal(tmp_path, table)


def test_broken_and_foreign_files_are_refused(tmp_path: Path) -> None:
    whole = packed(("main.py", os.urandom(1000)))
    damaged = whole.replace(b"main.py", b"mine.py", 1)
    for number, content in enumerate((b"", b"hello", whole[:-30], whole[40:], damaged)):
        folder = tmp_path / str(number)
        folder.mkdir()
        assert "not a whole zip" in refusal(folder, content)


def test_encrypted_and_exotic_compressions_are_refused(tmp_path: Path) -> None:
    encrypted = bytearray(packed(("main.py", b"x")))
    encrypted[6] |= 1
    encrypted[encrypted.index(b"PK\x01\x02") + 8] |= 1
    assert "password" in refusal(tmp_path, bytes(encrypted))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_LZMA) as archive:
        archive.writestr("main.py", b"x")
    assert "deflated" in refusal_again(tmp_path, buffer.getvalue())


names = st.text(st.sampled_from("ab./\\é"), min_size=1, max_size=8)


@settings(max_examples=50)
@given(entries=st.dictionaries(names, st.binary(max_size=50), max_size=5))
def test_whatever_the_names_nothing_lands_outside(
    tmp_path_factory: pytest.TempPathFactory, entries: dict[str, bytes]
) -> None:
    folder = tmp_path_factory.mktemp("archive")
    with contextlib.suppress(BuildFailed):
        unpacked(folder, packed(*entries.items()))
    assert {path.name for path in folder.iterdir()} <= {"code.zip", "code"}


WHOLE = packed(("main.py", b"print(1)" * 20), ("pkg/a.txt", b"hello"), (special("x", 0o100755), b"#!"))


@settings(max_examples=200)
@given(places=st.lists(st.tuples(st.integers(0, len(WHOLE) - 1), st.integers(0, 255)), max_size=6))
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_a_damaged_archive_is_unpacked_or_refused(
    tmp_path_factory: pytest.TempPathFactory, places: list[tuple[int, int]]
) -> None:
    damaged = bytearray(WHOLE)
    for place, value in places:
        damaged[place] = value
    with contextlib.suppress(BuildFailed):
        unpacked(tmp_path_factory.mktemp("archive"), bytes(damaged))
