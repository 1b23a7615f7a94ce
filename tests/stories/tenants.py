"""Tenants whose sessions come and go: some are stopped, some exceed their limits, some fall over."""

import json
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from botocore.exceptions import ClientError

from tests.running import Agents, RunningServer, new_session

SETTINGS = {
    "session_memory_mib": "256",
    "session_init_timeout_seconds": "120",
    "session_request_timeout_seconds": "60",
    "session_stop_timeout_seconds": "0.5",
    "code_interpreter_packages": "[]",
    "code_interpreter_pool_count": "0",
}
_AT_A_TIME = 4
_TOO_MUCH_MIB = 1024


class Tenant:
    """Another account, with an agent of its own."""

    def __init__(self, server: RunningServer) -> None:
        self.agents = Agents(server, server.new_tenant())
        self.agent: str = self.agents.deploy()["agentRuntimeArn"]

    def live(self, number: int) -> None:
        """One session, from its first call to its end; the number says how it ends."""
        session = new_session()
        assert self.agents.ask(self.agent, session, do="count")["calls"] == 1
        ending = (self._stop, self._exceed, self._fall_over)[number % 3]
        ending(session)

    def leave(self) -> None:
        for client in (self.agents.control, self.agents.data):
            client.close()

    def _stop(self, session: str) -> None:
        self.agents.data.stop_runtime_session(agentRuntimeArn=self.agent, runtimeSessionId=session)

    def _exceed(self, session: str) -> None:
        self._breaks(session, do="eat", mebibytes=_TOO_MUCH_MIB)

    def _fall_over(self, session: str) -> None:
        self._breaks(session, do="exit")

    def _breaks(self, session: str, **order: Any) -> None:
        try:
            answer = self.agents.ask(self.agent, session, **order)
        except ClientError as error:
            status = error.response["ResponseMetadata"]["HTTPStatusCode"]
            assert status == 424, error
        else:
            raise AssertionError(f"{json.dumps(order)} was answered: {answer}")


def move_in(server: RunningServer, count: int) -> list[Tenant]:
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        return list(pool.map(lambda _: Tenant(server), range(count)))


def live(tenants: Sequence[Tenant], sessions: range) -> None:
    """Each tenant has these sessions, all tenants' a few at a time; their connections are closed then."""
    turns = [(tenant, number + place) for number in sessions for place, tenant in enumerate(tenants)]
    with ThreadPoolExecutor(_AT_A_TIME) as pool:
        list(pool.map(lambda turn: turn[0].live(turn[1]), turns))
    for tenant in tenants:
        tenant.leave()
