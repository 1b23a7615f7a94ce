"""The vetter: what is about to be remembered passes, is marked, is set aside for review, or is refused."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from innkeeper.engines.store.database import Database
from innkeeper.engines.vetting.vetting import Judgement, Statement, Vetting, Voice
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import AccessDenied
from innkeeper.services.memory.events.model import Turn
from innkeeper.services.memory.model import Memory
from innkeeper.services.memory.namespaces import Scope
from innkeeper.services.memory.records.model import Record, RecordStatus, Trust
from innkeeper.services.memory.records.store import count_of_trust, list_records
from innkeeper.services.memory.safety import store
from innkeeper.services.memory.safety.anomalies import alters_one_thing
from innkeeper.services.memory.safety.policy import Policy, policy_of

_VOICES = {
    Trust.OWNER: Voice.USER,
    Trust.USER: Voice.USER,
    Trust.ASSISTANT: Voice.ASSISTANT,
    Trust.TOOL: Voice.TOOL,
}
_ROLES = {"USER": Voice.USER, "ASSISTANT": Voice.ASSISTANT}
_MINUTE = timedelta(minutes=1)
_COMPARED = 200
FORBIDDEN = "not trusted enough for the namespace"
ALTERED = "one thing altered of a trusted record"
BURST = "burst of writes"
UNNAMED = "suspicious"


class Vetter:
    def __init__(self, database: Database, vetting: Vetting, clock: Clock) -> None:
        self._database = database
        self._vetting = vetting
        self._clock = clock

    async def policy(self, memory: Memory) -> Policy:
        return await self.policy_at(memory.account, memory.id)

    async def policy_at(self, account: str, memory: str) -> Policy:
        async with self._database.begin() as connection:
            return policy_of(await store.find_policy(connection, account, memory))

    async def by_hand(self, texts: Sequence[str], trust: Trust) -> Sequence[Judgement]:
        """Of texts by themselves."""
        return await self._vetting.judge([Statement(text, _VOICES[trust]) for text in texts])

    async def held_back(self, policy: Policy, texts: Sequence[str], trust: Trust) -> Sequence[Sequence[str]]:
        """The concerns about each text for which it has to wait for review; none for what is let in."""
        by_hand = trust is Trust.OWNER
        if not (policy.quarantine_by_hand if by_hand else policy.quarantine_learned):
            return [()] * len(texts)
        judgements = await self.by_hand(texts, trust)
        return [one.signs or (UNNAMED,) if one.score >= policy.threshold else () for one in judgements]

    async def learned(self, memory: Memory, record: Record, sources: Sequence[Turn]) -> Record:
        """With the concerns about it and about what it rests on; set aside where the policy says so."""
        return await self.one_of(await self.policy(memory), memory, record, sources, ())

    async def one_of(
        self,
        policy: Policy,
        memory: Memory,
        record: Record,
        sources: Sequence[Turn],
        others: Sequence[Record],
    ) -> Record:
        """`learned` for one that will be written at once with others."""
        statements = [Statement(record.text, _VOICES[record.trust]), *map(_statement, sources)]
        judgements = await self._vetting.judge(statements)
        concerns = [sign for one in judgements if one.score >= policy.threshold for sign in one.signs]
        if not policy.lets(record.trust, memory, record.namespace):
            concerns.append(FORBIDDEN)
        concerns += await self._anomalies(policy, record, others)
        if not concerns:
            return record
        status = RecordStatus.QUARANTINED if policy.quarantine_learned else record.status
        return replace(record, status=status, concerns=list(dict.fromkeys(concerns)))

    async def flagged(self, memory: Memory, turns: Sequence[Turn]) -> Sequence[bool]:
        """Which turns look like attempts to steer the agent. They are kept word for word all the same."""
        policy = await self.policy(memory)
        judgements = await self._vetting.judge(list(map(_statement, turns)))
        return [one.score >= policy.threshold for one in judgements]

    async def _anomalies(self, policy: Policy, record: Record, others: Sequence[Record]) -> list[str]:
        """Of what a tool says."""
        if record.trust is not Trust.TOOL:
            return []
        now, scope = self._clock.now(), Scope(record.namespace, subtree=False)
        async with self._database.begin() as connection:
            newest = await list_records(
                connection, record.account, record.memory, scope, None, None, _COMPARED, now
            )
            recent = await count_of_trust(connection, record, now - _MINUTE)
        near = [*(one for _, one in newest), *(one for one in others if one.holds(now))]
        trusted = [one for one in near if one.trust is not Trust.TOOL]
        found = [ALTERED] if alters_one_thing(record.text, trusted) else []
        told = recent + sum(one.trust is record.trust for one in others)
        return [*found, BURST] if told >= policy.burst else found


def vetted(policy: Policy, memory: Memory, record: Record, judgement: Judgement) -> Record:
    """What a program writes, with the concerns about it. Raises AccessDenied where it may not write."""
    if not policy.lets(record.trust, memory, record.namespace):
        least = policy.least(memory, record.namespace)
        raise AccessDenied(
            f"Records in {record.namespace} need the trust {least} or a higher one, and this caller's is "
            f"{record.trust}"
        )
    if judgement.score < policy.threshold:
        return replace(record, concerns=[])
    status = RecordStatus.QUARANTINED if policy.quarantine_by_hand else record.status
    return replace(record, status=status, concerns=list(judgement.signs))


def _statement(turn: Turn) -> Statement:
    return Statement(turn.text, _ROLES.get(turn.role, Voice.TOOL))
