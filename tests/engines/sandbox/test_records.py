"""What a server leaves on disk about its sandboxes, while the next one, or itself, looks at it."""

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from innkeeper.engines.sandbox.records import ProcessMark, Record, Records
from innkeeper.engines.sandbox.sandbox import SandboxError

GONE = ProcessMark(os.getpid(), -1)


def test_those_of_a_server_that_is_gone_are_left_behind(tmp_path: Path) -> None:
    records = Records(tmp_path)
    records.claim(Record("mine", ProcessMark.of(os.getpid())))
    records.claim(Record("left", GONE, cgroups=("a", "b")))
    assert [record.id for record in records.left_behind()] == ["left"]
    with pytest.raises(SandboxError, match="exists already"):
        records.claim(Record("mine", GONE))
    assert {path.name for path in tmp_path.iterdir()} == {"mine.json", "left.json"}


def test_a_record_stays_as_long_as_a_cgroup_of_its_sandbox(tmp_path: Path) -> None:
    records, cgroup = Records(tmp_path / "records"), tmp_path / "cgroup"
    cgroup.mkdir()
    records.claim(Record("stuck", GONE, cgroups=(str(cgroup),)))
    records.remove("stuck", (str(cgroup),))
    assert [record.id for record in records.left_behind()] == ["stuck"]
    cgroup.rmdir()
    records.remove("stuck", (str(cgroup),))
    assert list(records.left_behind()) == []


def test_a_living_servers_sandboxes_may_come_and_go_meanwhile(tmp_path: Path) -> None:
    records = Records(tmp_path)

    def come_and_go(name: str) -> None:
        for _ in range(300):
            records.claim(Record(name, ProcessMark.of(os.getpid())))
            records.remove(name)

    with ThreadPoolExecutor() as threads:
        work = [threads.submit(come_and_go, name) for name in ("one", "other")]
        while not all(each.done() for each in work):
            assert list(records.left_behind()) == []
    assert [each.result() for each in work] == [None, None]
