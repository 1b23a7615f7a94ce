"""Which model answers for which id."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.services.model_gateway.model import ModelRoute, model_routes

CLAUDE = "anthropic.claude-sonnet-4-20250514-v1:0"


@pytest.mark.parametrize(
    "model_id",
    [
        CLAUDE,
        f"us.{CLAUDE}",
        f"global.{CLAUDE}",
        f"arn:aws:bedrock:us-west-2::foundation-model/{CLAUDE}",
        f"arn:aws:bedrock:us-west-2:123456789012:inference-profile/eu.{CLAUDE}",
    ],
)
@pytest.mark.parametrize("pattern", [CLAUDE, "anthropic.*", "*claude*", "*"])
def test_a_pattern_answers_for_all_names_of_a_model(pattern: str, model_id: str) -> None:
    assert ModelRoute(pattern, "p", "m").answers(model_id)


@pytest.mark.parametrize("pattern", ["anthropic", "anthropic.claude", "amazon.*", "a?throp*", "eu.*"])
def test_other_patterns_do_not(pattern: str) -> None:
    assert not ModelRoute(pattern, "p", "m").answers(f"us.{CLAUDE}")


def test_a_star_as_model_keeps_the_id_that_was_asked_for() -> None:
    (route,) = model_routes({"anthropic.*": "bedrock/*"})
    assert route.model_for(f"us.{CLAUDE}") == f"us.{CLAUDE}"


def test_a_providers_model_may_hold_slashes() -> None:
    assert model_routes({"*": "hub/meta/llama-4"}) == [ModelRoute("*", "hub", "meta/llama-4")]


@pytest.mark.parametrize("target", ["gpt-5", "/gpt-5", "openai/", ""])
def test_targets_must_name_both(target: str) -> None:
    with pytest.raises(ValueError, match="PROVIDER/MODEL"):
        model_routes({"*": target})


@given(st.text(min_size=1))
def test_an_id_answers_for_itself(model_id: str) -> None:
    assert ModelRoute(model_id, "p", "m").answers(model_id)
