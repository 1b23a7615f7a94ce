"""The AWS operations of jobs that learn: bedrock-agentcore."""

from innkeeper.kernel.call import Call, Document
from innkeeper.kernel.page import PageRequest
from innkeeper.services.memory.learning.model import Job
from innkeeper.services.memory.learning.service import Learning

_PAGE = 20


class LearningOperations:
    def __init__(self, learning: Learning) -> None:
        self._learning = learning

    async def list_memory_extraction_jobs(self, call: Call, params: Document) -> Document:
        """Those alone that can be started: that have failed."""
        request = PageRequest.of(params.get("maxResults", _PAGE), params.get("nextToken"))
        page = await self._learning.failed(call.caller, params, request)
        return {"jobs": list(map(_job, page.items)), "nextToken": page.next_token}

    async def start_memory_extraction_job(self, call: Call, params: Document) -> Document:
        return {"jobId": await self._learning.start(call.caller, params)}


def _job(job: Job) -> Document:
    messages = [
        {"eventId": event_id, "messageIndex": index}
        for event_id, count in job.events
        for index in range(count)
    ]
    return {
        "jobID": job.id,
        "messages": {"messagesList": messages},
        "status": job.state,
        "failureReason": job.failure,
        "strategyId": job.strategy,
        "sessionId": job.key.session,
        "actorId": job.key.actor,
    }
