"""What every sandbox driver must do, as tests that its author runs.

    class TestMyDriver(SandboxContract):
        @pytest.fixture
        def state_dir(self, tmp_path: Path) -> Path: ...

        @pytest.fixture
        async def driver(self, state_dir: Path) -> AsyncIterator[SandboxDriver]: ...

    @pytest_asyncio.fixture(scope="module", loop_scope="module")
    async def arena(state_dir: Path) -> AsyncIterator[Arena]:
        async with opened(Driver(state_dir)) as arena: ...

    class TestBattery(IsolationBattery): ...

A driver is made of its state folder alone: `Driver(state_dir)`. Inside there must be `sh`, the usual small
programs and `python3`. What a machine cannot do, the driver's `probe` says, and the tests of it are skipped.
Needs pytest with pytest-asyncio in auto mode; nothing of the server imports this module.
"""

# ruff: noqa: E402 (only modules that are not imported yet can be made to explain their assertions)

import pytest

pytest.register_assert_rewrite(
    *(
        f"innkeeper.engines.sandbox.contract_{part}"
        for part in (
            "arena",
            "battery",
            "bombs",
            "connections",
            "copies",
            "egress",
            "files",
            "isolation",
            "life",
            "limits",
            "processes",
            "reconnections",
            "rebinding",
            "secrets",
            "snapshots",
            "transitions",
        )
    )
)

from innkeeper.engines.sandbox.contract_battery import (
    AgentBattery,
    KernelBattery,
    NetworkBattery,
    SnoopingBattery,
)
from innkeeper.engines.sandbox.contract_bombs import BombBattery, TrapBattery
from innkeeper.engines.sandbox.contract_connections import ConnectionContract
from innkeeper.engines.sandbox.contract_copies import CopyBattery
from innkeeper.engines.sandbox.contract_egress import EgressContract
from innkeeper.engines.sandbox.contract_files import FileContract
from innkeeper.engines.sandbox.contract_isolation import IsolationContract
from innkeeper.engines.sandbox.contract_life import LifeContract
from innkeeper.engines.sandbox.contract_limits import LimitContract
from innkeeper.engines.sandbox.contract_processes import ProcessContract
from innkeeper.engines.sandbox.contract_rebinding import RebindingBattery
from innkeeper.engines.sandbox.contract_reconnections import ReconnectionContract
from innkeeper.engines.sandbox.contract_secrets import SecretContract
from innkeeper.engines.sandbox.contract_snapshots import SnapshotContract
from innkeeper.engines.sandbox.contract_transitions import TransitionContract


class SandboxContract(
    ProcessContract,
    FileContract,
    ConnectionContract,
    IsolationContract,
    LimitContract,
    LifeContract,
    TransitionContract,
    EgressContract,
    SecretContract,
    SnapshotContract,
    ReconnectionContract,
):
    """All of it; a part can be run alone while a driver is being written."""


@pytest.mark.asyncio(loop_scope="module")
class IsolationBattery(
    SnoopingBattery,
    KernelBattery,
    NetworkBattery,
    RebindingBattery,
    AgentBattery,
    BombBattery,
    TrapBattery,
    CopyBattery,
):
    """Every way out that we could think of, beside a neighbour; most are tried from one sandbox."""
