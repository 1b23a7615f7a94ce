"""Hibernating and forking sessions: a guest that is away for long takes no room but on disk."""

import threading

import pytest

from tests.running import new_session
from tests.services.runtime.inn import SECONDS, Inn, slowly_noted, until_it_breaks
from tests.stories.processes import all_gone, below, until


def test_a_hibernated_session_has_no_processes_and_its_next_call_finds_it_as_it_was(inn: Inn) -> None:
    session = new_session()
    pid = inn.ask(session, do="count")["pid"]
    for cycle in (1, 2, 3):
        inn.ask(session, do="write", path=f"/tmp/{cycle}", text=str(cycle))
        inn.ask(session, do="write", path=f"/mnt/data/{cycle}", text=str(cycle))
        assert inn.change(session, "hibernate")["status"] == "HIBERNATED"
        assert inn.change(session, "hibernate")["status"] == "HIBERNATED"
        assert inn.status(session) == "HIBERNATED"
        asleep = inn.record(session)
        assert inn.sandboxes() == []
        assert len(inn.folders()) == 1
        for place in ("/tmp", "/mnt/data"):
            assert inn.ask(session, do="read", path=f"{place}/{cycle}") == {"text": str(cycle)}
        assert inn.status(session) == "READY"
        assert inn.record(session)["startedAt"] == asleep["startedAt"]
        assert inn.record(session)["cpuSeconds"] >= asleep["cpuSeconds"] > 0
    assert inn.ask(session, do="count") == {"calls": 14, "pid": pid}
    inn.change(session, "hibernate")
    assert inn.refusal(session, "pause")[0] == 409
    assert inn.change(session, "resume")["status"] == "READY"
    inn.change(session, "hibernate")
    inn.stop(session)
    assert inn.record(session)["endReason"] == "stopped by the caller"
    assert inn.folders() == []
    assert inn.ask(session, do="count")["calls"] == 1  # begun afresh
    inn.stop(session)


def test_a_session_whose_hibernation_is_not_noted_is_not_lost(inn: Inn) -> None:
    session = new_session()
    inn.ask(session, do="count")
    inn.sql(
        "CREATE TRIGGER refusing BEFORE UPDATE ON runtime_sessions WHEN NEW.status = 'HIBERNATED' "
        "BEGIN SELECT RAISE(ABORT, 'no'); END"
    )
    assert inn.refusal(session, "hibernate")[0] == 500
    inn.sql("DROP TRIGGER refusing")
    assert inn.ask(session, do="count")["calls"] == 2
    inn.stop(session)
    assert inn.folders() == []


def test_a_call_that_comes_while_a_hibernation_is_noted_wakes_the_session(inn: Inn) -> None:
    session = new_session()
    inn.ask(session, do="count")
    with slowly_noted(inn.server, "HIBERNATED"):
        hibernating = threading.Thread(target=inn.change, args=(session, "hibernate"))
        hibernating.start()
        assert until(lambda: inn.sandboxes() == [], SECONDS)
        assert inn.ask(session, do="count")["calls"] == 2
        hibernating.join(SECONDS)
    inn.stop(session)


def test_forks_go_apart_in_memory_and_in_storage(inn: Inn) -> None:
    parent, chosen = new_session(), new_session()
    inn.ask(parent, do="status", status="HealthyBusy")
    inn.ask(parent, do="write", path="/mnt/data/file", text="common")
    first = inn.change(parent, "fork", {"sessionId": chosen})
    assert (first["sessionId"], first["status"]) == (chosen, "HIBERNATED")
    assert inn.status(parent) == "READY"
    assert inn.typed("hibernate", parent) == f"Hibernated {parent}."
    second = inn.typed("fork", parent)
    inn.ask(chosen, do="write", path="/mnt/data/file", text="first")
    assert inn.ask(chosen, do="count")["calls"] == 4
    assert inn.ask(second, do="read", path="/mnt/data/file") == {"text": "common"}
    assert inn.ask(parent, do="count")["calls"] == 3
    assert inn.refusal(parent, "fork", {"sessionId": chosen})[0] == 409
    assert inn.refusal(parent, "fork", {"sessionId": "short"})[0] == 400
    for session in (parent, chosen, second):
        inn.stop(session)
    assert inn.folders() == []


@pytest.mark.timeout(300)
def test_hibernated_sessions_outlive_the_server_and_its_death_in_the_middle_of_a_change(inn: Inn) -> None:
    """kill -9 while one session is hibernated and another is woken; then a stop, which lays sessions down."""
    kept, waking, busy = (new_session() for _ in range(3))
    for session in (kept, waking, busy):
        inn.ask(session, do="eat", mebibytes=40)
        inn.ask(session, do="write", path="/mnt/data/note", text=session)
    inn.change(kept, "hibernate")
    inn.change(waking, "hibernate")
    work = [
        threading.Thread(target=until_it_breaks, args=(inn.change, busy, "hibernate")),
        threading.Thread(target=until_it_breaks, args=(inn.ask, waking)),
    ]
    for each in work:
        each.start()
    assert until(lambda: bool(inn.folders("unfinished")), SECONDS)
    assert inn.server.process
    started = below(inn.server.process.pid)
    inn.server.kill()
    for each in work:
        each.join(SECONDS)
    inn.start(session_idle_hibernate="true")
    assert all_gone(started, SECONDS) == []
    assert inn.folders("unfinished") == []
    assert inn.status(kept) == inn.status(waking) == "HIBERNATED"
    assert inn.ask(kept, do="count")["calls"] == inn.ask(waking, do="count")["calls"] == 3
    inn.server.stop()
    inn.start(session_idle_hibernate="false")
    assert inn.ask(kept, do="count")["calls"] == inn.ask(waking, do="count")["calls"] == 4
    assert inn.ask(busy, do="read", path="/mnt/data/note") == {"text": busy}
    inn.change(kept, "hibernate")
    inn.server.stop()
    inn.sql(
        "UPDATE runtime_session_images SET ends_at = 1 "  # while the server is down, its time is over
        "WHERE life IN (SELECT id FROM runtime_sessions WHERE session_id = ?)",
        kept,
    )
    inn.start()
    assert until(lambda: inn.status(kept) == "TERMINATED", SECONDS)
    assert inn.record(kept)["endReason"] == "maximum lifetime reached"
    assert until(lambda: inn.folders() == [], SECONDS)
