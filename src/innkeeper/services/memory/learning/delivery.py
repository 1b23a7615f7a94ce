"""Self-managed strategies: what was said goes to a bucket, and the program that learns from it is told.

The payload and the notification are AgentCore's. There are no topics here: an address stands for each, and
gets what an HTTP subscriber of the topic would. It holds no word of what was said.
Source: https://docs.aws.amazon.com/bedrock-agentcore/latest/devguide/memory-self-managed-strategies.html
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import aiohttp

from innkeeper.kernel.call import Document
from innkeeper.kernel.clock import Clock
from innkeeper.kernel.errors import Unavailable
from innkeeper.services.buckets.service import Buckets
from innkeeper.services.memory.events.model import Turn
from innkeeper.services.memory.learning.lesson import Lesson
from innkeeper.services.memory.model import invalid

_ANSWER_SECONDS = 30.0
_JSON = {"content-type": "application/json"}


@dataclass(frozen=True, slots=True)
class Delivery:
    """`topics` are addresses by the ARNs of the topics that strategies name."""

    buckets: Buckets
    topics: Mapping[str, str]
    clock: Clock

    async def deliver(self, lesson: Lesson) -> None:
        """At least once, under the same key. Raises InvalidRequest for a topic that has no address,
        Unavailable when nobody answers there, and what `Buckets.put_object` raises."""
        named = lesson.strategy["configuration"]["selfManagedConfiguration"]["invocationConfiguration"]
        topic, bucket = named["topicArn"], named["payloadDeliveryBucketName"]
        if topic not in self.topics:
            raise invalid("topicArn", f"the setting memory_topics has no address for {topic}")
        job = lesson.job
        key = f"memory/{job.key.memory}/{job.strategy}/{job.id}.json"
        body = json.dumps(_payload(lesson), ensure_ascii=False).encode()
        await self.buckets.put_object(job.key.account, bucket, key, body, _JSON)
        told = {
            "jobId": job.id,
            "s3PayloadLocation": f"s3://{bucket}/{key}",
            "memoryId": job.key.memory,
            "strategyId": job.strategy,
        }
        await self._notify(topic, job.id, told)

    async def _notify(self, topic: str, message_id: str, told: Document) -> None:
        notification = {
            "Type": "Notification",
            "MessageId": message_id,
            "TopicArn": topic,
            "Message": json.dumps(told),
            "Timestamp": self.clock.now().isoformat(),
        }
        headers = {"x-amz-sns-message-type": "Notification", "x-amz-sns-topic-arn": topic}
        timeout = aiohttp.ClientTimeout(total=_ANSWER_SECONDS)
        try:
            async with (
                aiohttp.ClientSession(timeout=timeout) as session,
                session.post(
                    self.topics[topic], json=notification, headers=headers, allow_redirects=False
                ) as answer,
            ):
                status = answer.status
        except (aiohttp.ClientError, TimeoutError, OSError):
            raise Unavailable(f"Nobody answers at the address of {topic}") from None
        if status // 100 != 2:
            raise Unavailable(f"The address of {topic} answered {status}")


def _payload(lesson: Lesson) -> Document:
    job = lesson.job
    times = [turn.happened_at for _, turn in lesson.said]
    return {
        "jobId": job.id,
        "requestId": job.id,
        "accountId": job.key.account,
        "memoryId": job.key.memory,
        "actorId": job.key.actor,
        "sessionId": job.key.session,
        "strategyId": job.strategy,
        "startingTimestamp": min(times).timestamp(),
        "endingTimestamp": max(times).timestamp(),
        "currentContext": _context([turn for _, turn in lesson.said]),
        "historicalContext": _context([turn for _, turn in lesson.before]),
    }


def _context(turns: Sequence[Turn]) -> list[Document]:
    return [{"role": turn.role, "content": {"text": turn.text}, "eventId": turn.event_id} for turn in turns]
