"""One question to a model, as a Converse request."""

import json
from dataclasses import dataclass
from typing import Any

Document = dict[str, Any]

_TOOL = "report"


@dataclass(frozen=True, slots=True)
class Question:
    """`schema` is the JSON schema of the answer."""

    rules: str
    data: str
    schema: Document

    def request(self, answer_tokens: int, plain: bool, problem: str) -> Document:
        """By a tool that must be called or, `plain`, for JSON as text. `problem` is what was wrong with an
        earlier answer."""
        ask = f"Call the tool {_TOOL} with what you found."
        if plain:
            schema = json.dumps(self.schema, ensure_ascii=False)
            ask = f"Answer with one JSON object and nothing else. It must follow this JSON schema: {schema}"
        if problem:
            ask = f"An earlier answer could not be used: {problem}. Mind that now.\n\n{ask}"
        request: Document = {
            "system": [{"text": self.rules}],
            "messages": [{"role": "user", "content": [{"text": f"{self.data}\n\n{ask}"}]}],
            "inferenceConfig": {"maxTokens": answer_tokens},
        }
        if not plain:
            request["toolConfig"] = self._tools()
        return request

    def _tools(self) -> Document:
        tool = {
            "name": _TOOL,
            "description": "Takes what you found.",
            "inputSchema": {"json": self.schema},
        }
        return {"tools": [{"toolSpec": tool}], "toolChoice": {"tool": {"name": _TOOL}}}
