"""A model server in a thread of its own, whose mind can be changed while it answers."""

import asyncio
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tests.engines.extraction.model.scribe import asked, diligent
from tests.engines.models.scripted.openai_server import ScriptedOpenAi
from tests.engines.models.scripted.script import Answer, Step


class Mind:
    """`answers` has what is said to questions about a text; what they do not name, the diligent scribe
    answers. `questions` are all that were asked."""

    def __init__(self) -> None:
        self.answers: dict[str, Step] = {}
        self.url = ""
        self._server = ScriptedOpenAi(self._answer)

    @property
    def questions(self) -> list[dict[str, Any]]:
        return [one.body for one in self._server.requests]

    def asked(self, text: str, block: str = "turns") -> list[dict[str, Any]]:
        """The questions that hold a text in a block."""
        found = [one for one in self.questions if f"<{block}>" in asked(one)[1]]
        return [one for one in found if text in asked(one)[1].partition(f"<{block}>")[2]]

    @contextmanager
    def serving(self) -> Iterator["Mind"]:
        started, ended = threading.Event(), asyncio.Event()
        loop = asyncio.new_event_loop()

        async def serve() -> None:
            async with self._server:
                self.url = self._server.url
                started.set()
                await ended.wait()

        thread = threading.Thread(target=loop.run_until_complete, args=[serve()])
        thread.start()
        started.wait(60)
        try:
            yield self
        finally:
            loop.call_soon_threadsafe(ended.set)
            thread.join(60)
            loop.close()

    def _answer(self, body: dict[str, Any]) -> Answer:
        _, data = asked(body)
        # What was said before is in later questions too.
        said = data.partition("<turns>")[2] or data
        for text, step in self.answers.items():
            if text in said:
                return step(body) if callable(step) else step
        return diligent(body)
