"""A model that says again what it was told and what the user has said: what of a conversation reaches it, is
seen."""

from tests.engines.models.scripted.openai_server import ScriptedOpenAi
from tests.engines.models.scripted.script import Says, Step
from tests.engines.models.scripted.server import Document, Received


class EchoingOpenAi(ScriptedOpenAi):
    def step(self, request: Received) -> Step:
        messages = request.body["messages"]
        told = [_text(message) for message in messages if message["role"] == "system"]
        said = [_text(message) for message in messages if message["role"] == "user"]
        return Says("\n".join([*told, f"You said: {'; '.join(said)}"]))


def _text(message: Document) -> str:
    content = message["content"]
    return content if isinstance(content, str) else " ".join(part.get("text", "") for part in content)
