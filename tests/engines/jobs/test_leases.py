"""Which workers live."""

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import make_url

from innkeeper.engines.jobs.leases import Leases, LeaseTimes

Worker = Callable[[str], Leases]


@pytest.fixture
def worker(database_url: str) -> Iterator[Worker]:
    """Makes workers that count as dead after half a second."""
    url = make_url(database_url)
    if url.get_backend_name() == "sqlite":
        url = url.set(drivername="sqlite")
    made: list[Leases] = []

    def make(name: str) -> Leases:
        leases = Leases(url.render_as_string(hide_password=False), name, LeaseTimes(0.1, 0.5))
        leases.prepare()
        leases.renew()
        made.append(leases)
        return leases

    yield make
    for leases in made:
        leases.close()


def test_a_worker_that_renews_is_nobodys_to_take(worker: Worker) -> None:
    one, other = worker("one"), worker("other")
    for _ in range(4):
        time.sleep(0.2)
        one.renew()
        assert other.claim_dead() == []
        other.renew()


def test_a_dead_worker_is_taken_by_one_of_the_others(worker: Worker) -> None:
    worker("dead")
    living = [worker(f"living-{number}") for number in range(4)]
    time.sleep(0.6)
    for one in living:
        one.renew()
    with ThreadPoolExecutor(4) as threads:
        claims = [name for claimed in threads.map(Leases.claim_dead, living) for name in claimed]
    assert claims == ["dead"]


def test_who_dies_while_taking_over_leaves_it_to_the_next(worker: Worker) -> None:
    worker("dead")
    time.sleep(0.6)
    first, second = worker("first"), worker("second")
    assert first.claim_dead() == ["dead"]
    assert second.claim_dead() == []
    time.sleep(0.6)
    assert set(second.claim_dead()) == {"dead", "first"}
    second.remove("dead")
    time.sleep(0.6)
    assert second.claim_dead() == ["first"]


def test_a_worker_that_was_given_up_may_come_back(worker: Worker) -> None:
    back, other = worker("back"), worker("other")
    other.remove("back")
    back.renew()
    assert other.claim_dead() == []


def test_workers_that_start_at_once_share_the_table(worker: Worker) -> None:
    with ThreadPoolExecutor(4) as threads:
        assert len(list(threads.map(worker, "abcd"))) == 4
