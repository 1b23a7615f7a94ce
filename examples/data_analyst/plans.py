"""Who decides the steps: a fixed plan that reads the question's words, or a language model with two tools."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import boto3
from analysis import GROUPS, MEASURES
from botocore.config import Config

MAX_TURNS = 6

INSTRUCTIONS = (
    "You are a data analyst with one table: a garden shop's orders of 2025. Use the group tool for numbers, "
    "the chart tool once for the most telling of them. Then answer in two or three sentences with numbers."
)


def fixed_steps(question: str, wishes: list[str]) -> Iterator[dict[str, str]]:
    """Group by what the question names, or a wish does, or by month, category and region; draw the first."""
    groups = _named(GROUPS, question) or _named(GROUPS, *wishes) or ["month", "category", "region"]
    measure = (_named(MEASURES, question) or _named(MEASURES, *wishes) or ["revenue"])[0]
    yield {"tool": "chart", "by": groups[0], "measure": measure}
    for group in groups[1:]:
        yield {"tool": "group", "by": group, "measure": measure}


def _named(words: tuple[str, ...], *texts: str) -> list[str]:
    return [word for word in words if any(word in text.lower() for text in texts)]


class ModelPlan:
    """A Converse conversation: the steps that the model asks for, then its answer."""

    def __init__(self, model_id: str, question: str, wishes: list[str], earlier: list[str]) -> None:
        self._client = boto3.client("bedrock-runtime", config=Config(read_timeout=120))
        self._model_id = model_id
        known = [f"Said once: {wish}" for wish in wishes] + [f"Found so far: {one}" for one in earlier]
        text = "\n".join([*known, question])
        self._messages: list[dict[str, Any]] = [{"role": "user", "content": [{"text": text}]}]
        self._results: list[dict[str, Any]] = []
        self.answer = ""

    async def steps(self) -> AsyncIterator[dict[str, str]]:
        for _ in range(MAX_TURNS):
            message = await asyncio.to_thread(self._turn)
            self.answer = " ".join(block["text"] for block in message["content"] if "text" in block)
            uses = [block["toolUse"] for block in message["content"] if "toolUse" in block]
            if not uses:
                return
            for use in uses:
                yield {**use["input"], "tool": use["name"], "use_id": use["toolUseId"]}
            self._messages.append({"role": "user", "content": self._results})
            self._results = []

    def tell(self, step: dict[str, str], result: str) -> None:
        """The result of a step goes back to the model with the next turn."""
        content = [{"text": result}]
        self._results.append({"toolResult": {"toolUseId": step["use_id"], "content": content}})

    def _turn(self) -> dict[str, Any]:
        answer = self._client.converse(
            modelId=self._model_id,
            system=[{"text": INSTRUCTIONS}],
            messages=self._messages,
            toolConfig={"tools": [_tool("group", "Sums of a measure."), _tool("chart", "The same, drawn.")]},
        )
        message: dict[str, Any] = answer["output"]["message"]
        self._messages.append(message)
        return message


def _tool(name: str, description: str) -> dict[str, Any]:
    schema = {
        "type": "object",
        "properties": {"by": {"enum": list(GROUPS)}, "measure": {"enum": list(MEASURES)}},
        "required": ["by", "measure"],
    }
    return {"toolSpec": {"name": name, "description": description, "inputSchema": {"json": schema}}}


def as_result(groups: dict[str, float]) -> str:
    return json.dumps(groups)
