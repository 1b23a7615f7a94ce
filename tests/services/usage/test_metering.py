"""The arithmetic of the ledger, on both databases."""

import asyncio
from datetime import timedelta

import pytest

from innkeeper.engines.sandbox.sandbox import SandboxGone, Usage
from innkeeper.engines.store.database import Database, metadata
from innkeeper.services.usage import store
from innkeeper.services.usage.model import Filter, Group, Kind, Rates, Subject, Used
from innkeeper.services.usage.service import Metering
from tests.clock import SettableClock

ACCOUNT = "123456789012"
ALL = Filter(ACCOUNT)


class Counters:
    """A sandbox, as far as a meter reads it."""

    def __init__(self) -> None:
        self.used = Usage()
        self.gone = False

    async def usage(self) -> Usage:
        if self.gone:
            raise SandboxGone("the sandbox has ended")
        return self.used


def subject(name: str, kind: Kind = Kind.RUNTIME, account: str = ACCOUNT) -> Subject:
    return Subject(f"life-{name}", account, kind, "agent-1", f"session-{name}")


def metering_of(database: Database, clock: SettableClock) -> Metering:
    return Metering(database, clock, 60, 30, Rates(vcpu_hour=0.0895, gb_hour=0.00945))


async def total(metering: Metering, which: Filter = ALL) -> Used:
    return (await metering.report(which, Group.SESSION, 10)).total


async def test_cpu_counts_as_used_and_memory_by_its_peak_so_far(database: Database) -> None:
    clock, counters = SettableClock(), Counters()
    metering = metering_of(database, clock)
    metering.begin(subject("one"), counters, before=Usage(cpu_seconds=5))
    counters.used = Usage(cpu_seconds=7, memory_peak_mib=64)
    clock.pass_time(10)
    assert await total(metering) == Used(10, 2, 10 * 128, 64)  # the least is 128 MiB
    counters.used = Usage(cpu_seconds=8, memory_peak_mib=1024)
    clock.pass_time(10)
    assert await total(metering) == Used(20, 3, 10 * 128 + 10 * 1024, 1024)
    counters.gone = True
    clock.pass_time(10)
    await metering.end("life-one")
    used = await total(metering)
    assert used == Used(30, 3, 10 * 128 + 20 * 1024, 1024)
    assert metering.rates.cost(used) == pytest.approx(3 / 3600 * 0.0895 + 21.25 / 3600 * 0.00945)
    clock.pass_time(10)
    await metering.end("life-one")
    assert await total(metering) == used


async def test_a_second_is_the_least(database: Database) -> None:
    clock = SettableClock()
    metering = metering_of(database, clock)
    metering.begin(subject("short"), Counters())
    clock.pass_time(0.25)
    await metering.end("life-short")
    assert await total(metering) == Used(1, 0, 128, 0)


async def test_hours_groups_and_tenants_are_told_apart(database: Database) -> None:
    clock, counters = SettableClock(), Counters()
    metering = metering_of(database, clock)
    metering.begin(subject("one"), counters)
    metering.begin(subject("two", Kind.SANDBOX), Counters())
    metering.begin(subject("theirs", account="999999999999"), Counters())
    counters.used = Usage(cpu_seconds=1)
    clock.pass_time(100)
    await total(metering)
    noon = clock.now()
    clock.pass_time(3600)
    counters.used = Usage(cpu_seconds=3)
    report = await metering.report(ALL, Group.KIND, 10)
    assert {line.names["kind"]: line.used.cpu_seconds for line in report.lines} == {
        "runtime": 3,
        "sandbox": 0,
    }
    assert report.total.seconds == 2 * 3700
    assert (await total(metering, Filter(ACCOUNT, session="session-one", until=noon))).cpu_seconds == 1
    assert (await total(metering, Filter(ACCOUNT, since=noon + timedelta(hours=1)))).cpu_seconds == 2
    report = await metering.report(Filter(ACCOUNT, kind=Kind.RUNTIME), Group.AGENT, 10)
    assert [line.names for line in report.lines] == [{"kind": "runtime", "agent": "agent-1"}]
    report = await metering.report(ALL, Group.SESSION, 1)
    assert len(report.lines) == 1
    assert report.total.seconds == 2 * 3700
    assert (await total(metering, Filter("111111111111"))) == Used()


async def test_a_total_is_of_the_moment_of_its_lines(database: Database) -> None:
    clock = SettableClock()
    metering = metering_of(database, clock)
    metering.begin(subject("one"), Counters())

    async def look() -> None:
        for _ in range(50):
            clock.pass_time(1)
            report = await metering.report(ALL, Group.SESSION, 10)
            assert [line.used for line in report.lines] == [report.total]

    await asyncio.gather(look(), look(), look())


async def test_what_ends_while_the_database_fails_is_written_later(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    async with database.begin() as connection:
        await connection.run_sync(metadata.drop_all, tables=[store.usage_hours])
    metering = metering_of(database, SettableClock())
    metering.begin(subject("one"), Counters())
    await metering.end("life-one")
    await metering.close()
    assert "cannot be written yet" in caplog.text
    async with database.begin() as connection:
        await connection.run_sync(metadata.create_all)
    assert (await total(metering)).seconds == 1
