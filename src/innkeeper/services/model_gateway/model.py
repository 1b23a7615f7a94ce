"""Which model answers for which id, and what a call took."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

# https://docs.aws.amazon.com/bedrock/latest/userguide/inference-profiles-support.html
_GEOGRAPHY = re.compile(r"^(us|us-gov|eu|apac|jp|au|ca|sa|me|af|global)\.")


@dataclass(frozen=True, slots=True)
class ModelRoute:
    """`pattern` is a Bedrock model id in which `*` stands for anything; so is `model` when it is `*`: the
    provider gets the id as it was asked for."""

    pattern: str
    provider: str
    model: str

    def answers(self, model_id: str) -> bool:
        expression = ".*".join(re.escape(part) for part in self.pattern.split("*"))
        return any(re.fullmatch(expression, name) for name in _names(model_id))

    def model_for(self, model_id: str) -> str:
        return model_id if self.model == "*" else self.model


@dataclass(frozen=True, slots=True)
class ModelCall:
    """`agent` and `session` are empty unless an agent's session made the call. `first_token_ms` is None
    for answers given whole; `error_code` is empty when the call succeeded."""

    account: str
    id: str
    at: datetime
    model_id: str
    provider: str
    provider_model: str
    principal: str
    agent: str
    session: str
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    first_token_ms: int | None
    latency_ms: int
    stop_reason: str
    error_code: str


@dataclass(frozen=True, slots=True)
class ModelUsage:
    """Calls of one agent (empty: of no agent) to one model, added up; times are means in milliseconds."""

    agent: str
    model_id: str
    provider: str
    provider_model: str
    calls: int
    errors: int
    input_tokens: int
    output_tokens: int
    cache_read_tokens: int
    cache_write_tokens: int
    first_token_ms: float | None
    latency_ms: float


def model_routes(model_ids: Mapping[str, str]) -> list[ModelRoute]:
    """Raises ValueError for a target that is not `PROVIDER/MODEL`."""
    routes = []
    for pattern, target in model_ids.items():
        provider, slash, model = target.partition("/")
        if not (provider and slash and model):
            raise ValueError(f"model_ids: '{pattern}' must name PROVIDER/MODEL, not '{target}'")
        routes.append(ModelRoute(pattern, provider, model))
    return routes


def _names(model_id: str) -> set[str]:
    """What a pattern may match: the id, the id in its ARN, and that without an inference profile's region."""
    bare = model_id.rpartition("/")[2] if model_id.startswith("arn:") else model_id
    return {model_id, bare, _GEOGRAPHY.sub("", bare)}
