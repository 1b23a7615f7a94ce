from datetime import UTC, datetime

from innkeeper.kernel.ttl_cache import TtlCache


class Clock:
    seconds = 0.0

    def now(self) -> datetime:
        return datetime.fromtimestamp(self.seconds, UTC)

    def monotonic(self) -> float:
        return self.seconds


def test_an_answer_is_remembered_for_its_time() -> None:
    clock = Clock()
    cache: TtlCache[str, int] = TtlCache(clock, seconds=1.0)
    cache.put("a", 1)
    clock.seconds = 0.9
    assert cache.get("a") == 1
    clock.seconds = 1.0
    assert cache.get("a") is None


def test_it_can_be_forgotten_before() -> None:
    cache: TtlCache[str, int] = TtlCache(Clock())
    cache.put("a", 1)
    cache.forget("a")
    cache.forget("never there")
    assert cache.get("a") is None


def test_the_oldest_goes_when_it_is_full() -> None:
    cache: TtlCache[str, int] = TtlCache(Clock(), size=2)
    for number, key in enumerate("abac"):
        cache.put(key, number)
    assert [cache.get(key) for key in "abc"] == [2, None, 3]
