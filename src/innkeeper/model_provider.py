"""The settings of one model provider."""

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field


class ModelProvider(BaseModel):
    """Where a model is: `kind` is the protocol; the key may come from an environment variable instead."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Annotated[
        str, Field(description="The protocol it speaks: openai, anthropic, bedrock, or a driver's own name.")
    ]
    base_url: Annotated[str, Field(description="Endpoint; empty for the provider's own.")] = ""
    api_key: Annotated[str, Field(description="The key itself; prefer `api_key_variable`.", repr=False)] = ""
    api_key_variable: Annotated[str, Field(description="Environment variable that holds the key.")] = ""
    region: Annotated[str, Field(description="Bedrock only: its region.")] = ""
    profile: Annotated[str, Field(description="Bedrock only: AWS profile of this machine to sign with.")] = ""
    timeout_seconds: Annotated[float, Field(description="Longest wait for an answer.")] = 600.0
