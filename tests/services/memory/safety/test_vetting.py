"""Whose word may go where, and what is suspicious beside what is known already."""

from dataclasses import replace

import pytest

from innkeeper.engines.vetting.vetting import Statement, Voice
from innkeeper.kernel.call import Document
from innkeeper.kernel.caller import CallerKind
from innkeeper.kernel.errors import InvalidRequest
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.bell import Bell
from innkeeper.services.memory.events.model import Turn
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.records.model import Record, RecordStatus, Trust, new_record_id
from innkeeper.services.memory.safety.policy import policy_of
from innkeeper.services.memory.safety.review import Review
from innkeeper.services.memory.safety.service import Safety
from innkeeper.services.memory.safety.vetter import ALTERED, BURST, FORBIDDEN
from tests.engines.vetting.corpus import read
from tests.services.memory.learning.classroom import ANN, FACTS, NOON, Classroom

TASTES = {"userPreferenceMemoryStrategy": {"name": "tastes", "namespaceTemplates": ["/tastes/{actorId}/"]}}
ROLES = {Voice.USER: "USER", Voice.ASSISTANT: "ASSISTANT", Voice.TOOL: "TOOL"}


@pytest.fixture
async def memory(classroom: Classroom) -> Memory:
    return await classroom.memory(FACTS, TASTES)


def record(memory: Memory, text: str, trust: Trust, namespace: str = "/facts/ann/") -> Record:
    return Record(
        account=memory.account,
        memory=memory.id,
        record_id=new_record_id(),
        namespace=namespace,
        strategy="facts",
        text=text,
        metadata={},
        happened_at=NOON,
        created_at=NOON,
        updated_at=NOON,
        valid_from=NOON,
        trust=trust,
    )


def turn(statement: Statement) -> Turn:
    return Turn("ann", "first", "1#a", ROLES[statement.voice], statement.text, NOON)


async def test_what_rests_on_an_attack_is_set_aside(classroom: Classroom, memory: Memory) -> None:
    """However harmless the extractor worded it."""
    attacks = read("attacks") + read("attacks_held_out")
    found = [
        await classroom.vetter.learned(memory, record(memory, "Something.", Trust.USER), [turn(one)])
        for one in attacks
    ]
    aside = [one for one in found if one.status is RecordStatus.QUARANTINED]
    assert len(aside) >= 0.95 * len(attacks)
    assert all(one.concerns for one in aside)
    assert (
        await classroom.vetter.learned(memory, record(memory, "Likes tea.", Trust.USER), [])
    ).concerns == []


async def test_no_tools_word_is_a_preference(classroom: Classroom, memory: Memory) -> None:
    vetter, safety = (
        classroom.vetter,
        Safety(classroom.database, classroom.ledger, classroom.vetter, classroom.clock),
    )
    wish = record(memory, "Likes jazz.", Trust.TOOL, "/tastes/ann/")
    assert (await vetter.learned(memory, wish, [])).concerns == [FORBIDDEN]
    for trust in (Trust.ASSISTANT, Trust.USER):
        assert (await vetter.learned(memory, replace(wish, trust=trust), [])).concerns == []
    policy = {"leastTrust": {"/": "USER", "/facts": "TOOL"}, "quarantineLearned": False}
    await safety.put_policy(memory, policy)
    marked = await vetter.learned(memory, replace(wish, trust=Trust.ASSISTANT), [])
    assert (marked.status, marked.concerns) == (RecordStatus.ACTIVE, [FORBIDDEN])
    assert (await vetter.learned(memory, replace(wish, namespace="/facts/ann/"), [])).concerns == []


async def test_a_role_may_be_trusted_less(classroom: Classroom, memory: Memory) -> None:
    safety = Safety(classroom.database, classroom.ledger, classroom.vetter, classroom.clock)
    await safety.put_policy(memory, {"roleTrust": "TOOL"})
    agent = replace(ANN, kind=CallerKind.ROLE)
    items = [
        {
            "requestIdentifier": namespace,
            "namespaces": [namespace],
            "content": {"text": "Likes jazz."},
            "timestamp": NOON,
        }
        for namespace in ("/facts/ann/", "/tastes/ann/")
    ]
    batch = {"memoryId": memory.id, "records": items}
    made, refused = await classroom.records.create(agent, batch)
    assert (made.error, refused.error_code) == (None, 403)
    assert refused.error and "need the trust ASSISTANT" in refused.error
    assert (await classroom.known(memory))["Likes jazz."].trust is Trust.TOOL
    assert not any(one.error for one in await classroom.records.create(ANN, batch))


async def test_a_tool_changes_no_fact_quietly_and_not_in_masses(classroom: Classroom, memory: Memory) -> None:
    safety = Safety(classroom.database, classroom.ledger, classroom.vetter, classroom.clock)
    known = record(memory, "The bill of the clinic goes to account 4711.", Trust.USER)
    async with classroom.ledger.entry(memory.account, memory.id, "a job") as entry:
        await entry.create([known])
    altered = record(memory, "The bill of the clinic goes to account 9933.", Trust.TOOL)
    assert (await classroom.vetter.learned(memory, altered, [])).concerns == [ALTERED]
    other = record(memory, "The clinic opens at nine on Mondays and at ten on Fridays.", Trust.TOOL)
    assert (await classroom.vetter.learned(memory, other, [])).concerns == []
    await safety.put_policy(memory, {"burst": 2})
    async with classroom.ledger.entry(memory.account, memory.id, "a job") as entry:
        many = [replace(other, record_id=new_record_id(), created_at=entry.now) for _ in range(2)]
        await entry.create(many)
    assert (await classroom.vetter.learned(memory, other, [])).concerns == [BURST]
    review = Review(classroom.database, classroom.ledger, Bell(), {})
    assert (await review.quarantine(memory, PageRequest())).items == []


@pytest.mark.parametrize(
    "mistake",
    [
        {"leastTrust": []},
        {"leastTrust": {"": "USER"}},
        {"threshold": "1"},
        {"roleTrust": "GOD"},
        {"burst": 0},
    ],
)
def test_a_policy_is_read_with_care(mistake: Document) -> None:
    with pytest.raises(InvalidRequest):
        policy_of(mistake)
