"""A program of the user's own learns: it is told, reads what was said from a bucket, and writes records."""

import json
import time
from collections.abc import Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.running import RunningServer
from tests.services.memory.remembering import Remembering

TOPIC = "arn:aws:sns:us-west-2:123456789012:learn"
NOWHERE = "arn:aws:sns:us-west-2:123456789012:nowhere"
BUCKET = "said-by-people"


class Subscriber(ThreadingHTTPServer):
    """Answers with the statuses in turn, then with 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.statuses = [500]
        self.heard: list[Any] = []


class _Handler(BaseHTTPRequestHandler):
    server: Subscriber

    def do_POST(self) -> None:
        self.server.heard.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        self.send_response(self.server.statuses.pop(0) if self.server.statuses else 200)
        self.end_headers()

    def log_message(self, format: str, *args: Any) -> None:
        """Nothing."""


@pytest.fixture
def subscriber() -> Iterator[Subscriber]:
    with Subscriber() as running:
        Thread(target=running.serve_forever, daemon=True).start()
        yield running
        running.shutdown()


@pytest.fixture
def teller(subscriber: Subscriber, tmp_path: Path) -> Iterator[Remembering]:
    url = f"http://127.0.0.1:{subscriber.server_address[1]}/learn"
    settings = {"memory_topics": json.dumps({TOPIC: url}), "memory_learning_retry_seconds": "0.1"}
    server = RunningServer(tmp_path / "inn", settings).start()
    yield Remembering(server)
    server.stop()


def managed(topic: str) -> dict[str, Any]:
    configuration = {
        "triggerConditions": [{"messageBasedTrigger": {"messageCount": 2}}],
        "invocationConfiguration": {"topicArn": topic, "payloadDeliveryBucketName": BUCKET},
        "historicalContextWindowSize": 1,
    }
    return {
        "customMemoryStrategy": {
            "name": "by_hand",
            "configuration": {"selfManagedConfiguration": configuration},
        }
    }


def wait_for(look: Callable[[], Any]) -> Any:
    end = time.monotonic() + 60
    while not (found := look()):
        assert time.monotonic() < end
        time.sleep(0.05)
    return found


def test_a_program_of_ones_own_learns(teller: Remembering, subscriber: Subscriber) -> None:
    s3 = teller.server.client("s3")
    s3.create_bucket(Bucket=BUCKET)
    memory = teller.create(memoryStrategies=[managed(TOPIC)])
    for text in ("one", "two", "three"):
        teller.say(memory, text)
    wait_for(lambda: len(subscriber.heard) == 2)  # the first was answered with an error
    teller.say(memory, "four")
    teller.say(memory, "five")
    wait_for(lambda: len(subscriber.heard) == 3)
    notes = [json.loads(one["Message"]) for one in subscriber.heard]
    assert notes[0] == notes[1]
    assert {one["Type"] for one in subscriber.heard} == {"Notification"}
    said = []
    for note in notes[1:]:
        assert note["memoryId"] == memory
        bucket, _, key = note["s3PayloadLocation"].removeprefix("s3://").partition("/")
        payload = json.loads(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
        assert (payload["actorId"], payload["sessionId"]) == ("ann", "first")
        said.append(
            [
                [one["content"]["text"] for one in payload[name]]
                for name in ("historicalContext", "currentContext")
            ]
        )
    heard = [*said[0][1], *said[1][1]]
    assert heard == ["one", "two", "three", "four", "five"][: len(heard)]
    assert len(heard) >= 4
    assert said[1][0] == said[0][1][-1:]


def test_a_topic_without_an_address_is_told_of(teller: Remembering) -> None:
    memory = teller.create(memoryStrategies=[managed(NOWHERE)])
    teller.say(memory, "one")
    teller.say(memory, "two")

    def failed() -> Any:
        return teller.data.list_memory_extraction_jobs(memoryId=memory)["jobs"]

    [job] = wait_for(failed)
    assert "memory_topics has no address for" in job["failureReason"]
