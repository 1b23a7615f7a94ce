"""What was written stays written: through pauses, hibernation, copies, and the server's death."""

import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from botocore.exceptions import HTTPClientError

from innkeeper.cli.failure import CommandFailed
from tests.running import RunningServer
from tests.services.sandboxes.lodging import Lodging
from tests.stories.processes import all_gone, below, until

SECONDS = 60.0


def remembers(lodging: Lodging, server: RunningServer) -> bool:
    """Whether images hold memory here."""
    return server.settings["sandbox_driver"] == "gvisor"


def folders(server: RunningServer, word: str) -> list[Path]:
    folder = server.data_dir / "named-sandboxes" / word
    return sorted(folder.iterdir()) if folder.is_dir() else []


def test_nothing_is_lost_in_many_cycles_of_pause_and_hibernation(lodging: Lodging) -> None:
    id_ = lodging.create(timeoutSeconds=600, environment={"WORD": "kept"})
    for cycle in range(6):
        lodging.put(id_, f"sent/{cycle}", str(cycle).encode())
        lodging.sh(id_, f"mkdir -p /tmp/d && echo {cycle} >> log && echo {cycle} > /tmp/d/{cycle}")
        lodging.change(id_, "hibernate" if cycle % 2 else "pause")
        assert lodging.state(id_) == ("HIBERNATED" if cycle % 2 else "PAUSED")
        seen = "".join(f"{number}\n" for number in range(cycle + 1))
        assert lodging.sh(id_, "cat log") == seen  # the use wakes it
        assert lodging.sh(id_, "cat sent/* | tr -d '\\n' | fold -w1; echo") == seen
        assert lodging.sh(id_, "cat /tmp/d/*; echo $WORD") == f"{seen}kept\n"
        assert lodging.state(id_) == "RUNNING"
    assert lodging.kill(id_)["state"] == "TERMINATED"


def test_a_sandbox_whose_hibernation_is_not_noted_goes_on(lodging: Lodging, server: RunningServer) -> None:
    images = folders(server, "images")
    id_ = lodging.create(timeoutSeconds=600)
    lodging.sh(id_, "echo kept > file; sleep 600 >/dev/null 2>&1 & echo $! > pid")
    with closing(sqlite3.connect(server.data_dir / "innkeeper.db", timeout=SECONDS)) as database:
        database.execute(
            "CREATE TRIGGER refusing BEFORE UPDATE ON sandboxes WHEN NEW.state = 'HIBERNATED' "
            "BEGIN SELECT RAISE(ABORT, 'no'); END"
        )
        with pytest.raises(CommandFailed):
            lodging.change(id_, "hibernate")
        database.execute("DROP TRIGGER refusing")
    assert lodging.state(id_) == "RUNNING"
    assert lodging.sh(id_, "cat file; kill -0 $(cat pid)") == "kept\n"
    lodging.change(id_, "hibernate")
    assert lodging.sh(id_, "cat file") == "kept\n"
    lodging.kill(id_)
    assert folders(server, "images") == images


def test_a_time_out_in_the_middle_of_writes_loses_none(lodging: Lodging) -> None:
    id_ = lodging.create(timeoutSeconds=600, onTimeout="pause")
    write = "exec >/dev/null 2>&1; for ((i = 1; ; i++)); do echo $i >> log; done & sleep 0.1"
    lodging.sh(id_, write)
    for _ in range(2):
        lodging.change(id_, "timeout", timeoutSeconds=1)
        assert until(lambda: lodging.state(id_) == "PAUSED", SECONDS)
        lodging.change(id_, "resume", timeoutSeconds=600)
        count, last = lodging.sh(id_, "head -n -1 log > whole; wc -l < whole; tail -1 whole").split()
        assert int(count) == int(last) > 0
    lodging.kill(id_)


def test_a_snapshot_is_one_moment_and_outlives_its_sandbox(lodging: Lodging, server: RunningServer) -> None:
    source = lodging.create(timeoutSeconds=600)
    # Two files that differ by one line at most: not so in a copy that is not of one moment.
    lodging.sh(
        source,
        "exec >/dev/null 2>&1; for ((i = 0; ; i++)); do echo $i >> a; echo $i >> b; done & "
        "echo $! > pid; head -c 3000000 /dev/urandom > noise; md5sum noise > sum; sleep 0.1",
    )
    taken = lodging.change(source, "snapshot", name="moment")
    lodging.sh(source, "kill -0 $(cat pid); echo later > later")
    lodging.kill(source)
    with pytest.raises(CommandFailed, match="A snapshot or template named moment exists"):
        lodging.change(lodging.create(), "snapshot", name="moment")
    copies = [lodging.create(template=word) for word in ("moment", taken["id"])]
    for copy in copies:
        if taken["kind"] == "memory":
            lodging.sh(copy, "kill $(cat pid)")
        lodging.sh(copy, "md5sum -c sum; test ! -e later")
        first, second = map(int, lodging.sh(copy, "cat a | wc -l; cat b | wc -l").split())
        assert first - second in (0, 1)
    lodging.api.send("DELETE", "/-/v1/snapshots/moment", b"", {})
    assert lodging.sh(copies[0], "ls noise") == "noise\n"
    with pytest.raises(CommandFailed, match="moment does not exist"):
        lodging.create(template="moment")


def test_forks_go_apart_both_ways(lodging: Lodging, server: RunningServer) -> None:
    source = lodging.create(timeoutSeconds=600, metadata={"family": "one"})
    lodging.sh(source, "echo common > file; (while sleep 0.05; do date +%N; done > ticks) & echo $! > pid")
    first, second = (one["id"] for one in lodging.change(source, "fork", count=2)["sandboxes"])
    lodging.sh(first, "echo first > file; echo 1 > own")
    lodging.sh(source, "echo source > file; echo 0 > own")
    assert lodging.sh(second, "cat file; ls own 2>/dev/null || true") == "common\n"
    assert lodging.sh(first, "cat file own") == "first\n1\n"
    assert lodging.sh(source, "cat file own; kill -0 $(cat pid)") == "source\n0\n"
    if remembers(lodging, server):
        lodging.sh(first, "kill $(cat pid)")
        lodging.sh(second, "kill -0 $(cat pid)")
    lodging.change(source, "hibernate")
    (third,) = lodging.change(source, "fork")["sandboxes"]
    assert lodging.sh(third["id"], "cat file") == "source\n"
    assert lodging.state(source) == "HIBERNATED"
    listed = lodging.api.call("GET", "/-/v1/sandboxes?metadata=family%3Done")["sandboxes"]
    assert {one["id"] for one in listed} == {source, first, second, third["id"]}


Change = Callable[[Lodging, str], object]
CHANGES: dict[str, Change] = {
    "snapshot": lambda lodging, id_: lodging.change(id_, "snapshot"),
    "hibernate": lambda lodging, id_: lodging.change(id_, "hibernate"),
    "fork": lambda lodging, id_: lodging.change(id_, "fork", count=3),
}


@pytest.mark.timeout(300)
def test_killed_in_the_middle_of_a_change_the_server_loses_nothing(
    lodging: Lodging, server: RunningServer
) -> None:
    """kill -9 while images are half written, sandboxes are forked, and one is woken from its image."""
    kept = lodging.create(timeoutSeconds=600)
    lodging.sh(kept, "head -c 30000000 /dev/urandom > noise; md5sum noise > sum")
    lodging.change(kept, "snapshot", name="durable")
    lodging.change(kept, "hibernate")
    images = folders(server, "images")
    busy = [lodging.create(timeoutSeconds=600) for _ in CHANGES]
    for id_ in busy:
        lodging.sh(id_, "head -c 60000000 /dev/urandom > noise")
    changes = [*zip(CHANGES.values(), busy, strict=True), (_resume, kept)]
    work = [threading.Thread(target=_until_it_breaks, args=(change, lodging, id_)) for change, id_ in changes]
    for each in work:
        each.start()
    assert until(lambda: bool(folders(server, "unfinished")), SECONDS)
    lodging = died(server, *work)
    assert folders(server, "unfinished") == []
    assert lodging.state(kept) == "HIBERNATED"
    _clear_away(lodging, busy)
    assert folders(server, "images") == images
    assert "OK" in lodging.sh(kept, "md5sum -c sum")
    lodging = died(server)  # what was awake falls back to what is on disk
    assert "OK" in lodging.sh(kept, "md5sum -c sum; echo more > more")
    lodging.change(kept, "pause")
    server.stop()  # a stop keeps what is paused
    server.start()
    lodging = Lodging(server)
    assert lodging.sh(kept, "cat more") == "more\n"
    assert "OK" in lodging.sh(lodging.create(template="durable"), "md5sum -c sum")


def _clear_away(lodging: Lodging, busy: list[str]) -> None:
    """Some changes may have been done just before."""
    for id_ in busy:
        if lodging.state(id_) == "HIBERNATED":
            lodging.kill(id_)
        assert lodging.get(id_)["endReason"] in ("the server was restarted", "it was killed")
    for snapshot in lodging.api.call("GET", "/-/v1/snapshots")["snapshots"]:
        if snapshot["sandbox"] in busy:
            lodging.api.send("DELETE", f"/-/v1/snapshots/{snapshot['id']}", b"", {})


def _resume(lodging: Lodging, id_: str) -> object:
    return lodging.change(id_, "resume")


def died(server: RunningServer, *work: threading.Thread) -> Lodging:
    """Killed and started again, with none of its processes left."""
    assert server.process
    started = below(server.process.pid)
    server.kill()
    for each in work:
        each.join(SECONDS)
    server.start()
    assert all_gone(started, SECONDS) == []
    return Lodging(server)


def _until_it_breaks(change: Change, lodging: Lodging, id_: str) -> None:
    try:
        change(lodging, id_)
    except (CommandFailed, HTTPClientError, OSError):
        return
