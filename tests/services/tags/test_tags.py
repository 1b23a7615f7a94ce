"""Tags on resources: put, listed, removed, bounded, and nobody else's."""

import pytest

from innkeeper.engines.store.database import Database
from innkeeper.kernel.call import Call
from innkeeper.kernel.errors import InvalidRequest, NotFound, QuotaExceeded
from innkeeper.services.tags.operations import TagOperations
from innkeeper.services.tags.service import Tags
from tests.services.shelf import ENDPOINT, ROOT, RUNTIME, STRANGER, UNKNOWN, owners


@pytest.fixture
def tags(database: Database) -> Tags:
    return Tags(database, owners())


async def test_tags_are_put_replaced_and_removed(tags: Tags) -> None:
    operations, call = TagOperations(tags), Call(ROOT, "request-1", {})
    named = {"resourceArn": RUNTIME}
    assert await operations.list_tags_for_resource(call, named) == {"tags": {}}
    await operations.tag_resource(call, named | {"tags": {"team": "blue", "stage": ""}})
    await operations.tag_resource(call, named | {"tags": {"team": "red"}})
    assert await operations.list_tags_for_resource(call, named) == {"tags": {"stage": "", "team": "red"}}
    await operations.untag_resource(call, named | {"tagKeys": ["team", "never there"]})
    assert await operations.list_tags_for_resource(call, named) == {"tags": {"stage": ""}}


async def test_an_endpoint_has_tags_of_its_own_and_loses_them_with_itself(tags: Tags) -> None:
    await tags.put(ROOT, RUNTIME, {"a": "runtime"})
    await tags.put(ROOT, ENDPOINT, {"a": "endpoint"})
    await tags.put(ROOT, ENDPOINT, {})
    await tags.delete_all(ENDPOINT)
    assert await tags.list(ROOT, ENDPOINT) == {}
    assert await tags.list(ROOT, RUNTIME) == {"a": "runtime"}


async def test_a_resource_has_at_most_fifty(tags: Tags) -> None:
    await tags.put(ROOT, RUNTIME, {f"k{number}": "" for number in range(50)})
    await tags.put(ROOT, RUNTIME, {"k1": "replaced"})
    with pytest.raises(QuotaExceeded, match="50"):
        await tags.put(ROOT, RUNTIME, {"k1": "no", "one more": ""})
    kept = await tags.list(ROOT, RUNTIME)
    assert (len(kept), kept["k1"]) == (50, "replaced")


@pytest.mark.parametrize(
    "bad", [{"": "x"}, {"k" * 129: "x"}, {"k": "v" * 257}, {"aws:x": "y"}, {"AWS:x": "y"}]
)
async def test_bad_tags_are_refused(tags: Tags, bad: dict[str, str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await tags.put(ROOT, RUNTIME, {"good": "one"} | bad)
    assert refused.value.fields[0].name == "tags"
    assert await tags.list(ROOT, RUNTIME) == {}


async def test_reserved_keys_cannot_be_removed(tags: Tags) -> None:
    with pytest.raises(InvalidRequest, match="tagKeys"):
        await tags.remove(ROOT, RUNTIME, ["aws:x"])


@pytest.mark.parametrize("arn", UNKNOWN)
async def test_an_unknown_resource_is_not_found(tags: Tags, arn: str) -> None:
    for call in (tags.put(ROOT, arn, {"a": "b"}), tags.list(ROOT, arn), tags.remove(ROOT, arn, ["a"])):
        with pytest.raises(NotFound):
            await call


async def test_a_strangers_resource_looks_unknown(tags: Tags) -> None:
    with pytest.raises(NotFound):
        await tags.list(STRANGER, RUNTIME)


@pytest.mark.parametrize("text", ["", "agent", "arn:aws:x", RUNTIME + "\0"])
async def test_what_is_no_arn_is_refused(tags: Tags, text: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await tags.list(ROOT, text)
    assert refused.value.fields[0].name == "resourceArn"
