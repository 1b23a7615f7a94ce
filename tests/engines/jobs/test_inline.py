"""Jobs in memory keep the contract."""

from collections.abc import AsyncIterator

import pytest

from innkeeper.engines.jobs.contract import JobsContract
from innkeeper.engines.jobs.inline import InlineJobs
from innkeeper.engines.jobs.jobs import Jobs


class TestInlineJobs(JobsContract):
    @pytest.fixture
    async def jobs(self) -> AsyncIterator[Jobs]:
        jobs = InlineJobs(max_running=4)
        yield jobs
        await jobs.close()
