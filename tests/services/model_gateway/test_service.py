"""Agents' model calls, from the operation to the ledger."""

import asyncio
import logging
from contextlib import aclosing
from typing import Any

import pytest

from innkeeper.engines.models.model import HOP_HEADER
from innkeeper.engines.store.database import Database
from innkeeper.kernel.clock import SystemClock
from innkeeper.kernel.errors import InnkeeperError, InvalidRequest, NotFound, Unavailable
from innkeeper.model_provider import ModelProvider
from innkeeper.services.model_gateway.operations import ModelGatewayOperations
from innkeeper.services.model_gateway.service import ModelGateway
from innkeeper.wiring.engines import open_model
from tests.engines.models.scripted.script import Fails, Fault, Says
from tests.services.model_gateway.conftest import ACCOUNT, CLAUDE, OpenGateway, call, caller

PARAMS: dict[str, Any] = {"modelId": CLAUDE, "messages": [{"role": "user", "content": [{"text": "Hello"}]}]}


async def stream(gateway: ModelGateway, **by: Any) -> list[dict[str, Any]]:
    answer = await ModelGatewayOperations(gateway).converse_stream(call(**by), PARAMS)
    async with aclosing(answer["stream"]) as events:
        return [event async for event in events]


async def test_an_agent_gets_its_answer_from_the_configured_model(opened: OpenGateway) -> None:
    async with opened(Says("Good morning")) as (gateway, server):
        answer = await ModelGatewayOperations(gateway).converse(call(), PARAMS)
        assert answer["output"]["message"]["content"] == [{"text": "Good morning"}]
        assert answer["stopReason"] == "end_turn"
    assert server.requests[0].body["model"] == "qwen3"
    assert "modelId" not in server.requests[0].body


async def test_what_agents_use_is_added_up_by_agent_and_model(opened: OpenGateway) -> None:
    async with opened(Says("ok", cached_tokens=3)) as (gateway, _):
        for session in ("s1", "s1", "s2"):
            await stream(gateway, by=caller(agent_session=f"guide-1@{session}"))
        await ModelGatewayOperations(gateway).converse(call(), PARAMS)
        await stream(gateway, by=caller("999999999999"))

        by_root, by_agent = await gateway.usage(ACCOUNT)
        assert (by_root.agent, by_root.calls, by_root.first_token_ms) == ("", 1, None)
        assert (by_agent.agent, by_agent.calls, by_agent.errors) == ("guide-1", 3, 0)
        assert (by_agent.model_id, by_agent.provider, by_agent.provider_model) == (CLAUDE, "local", "qwen3")
        assert (by_agent.input_tokens, by_agent.output_tokens, by_agent.cache_read_tokens) == (30, 15, 9)
        assert by_agent.first_token_ms is not None
        assert 0 <= by_agent.first_token_ms <= by_agent.latency_ms

        (one_session,) = await gateway.usage(ACCOUNT, "guide-1", "s1")
        assert one_session.calls == 2
        assert await gateway.usage(ACCOUNT, "guide-2") == []


async def test_records_are_written_when_the_gateway_closes(opened: OpenGateway, database: Database) -> None:
    async with opened(Says("ok")) as (gateway, _):
        await stream(gateway)
    later = ModelGateway(database, {}, {}, open_model, SystemClock())
    assert [usage.calls for usage in await later.usage(ACCOUNT)] == [1]
    assert [await later.forget_calls(days) for days in (1, 0, 0)] == [0, 1, 0]
    assert await later.usage(ACCOUNT) == []
    await later.close()


async def test_records_are_written_soon(opened: OpenGateway, database: Database) -> None:
    other = ModelGateway(database, {}, {}, open_model, SystemClock())
    async with opened(Says("ok")) as (gateway, _):
        await stream(gateway)
        async with asyncio.timeout(60):
            while not await other.usage(ACCOUNT):  # noqa: ASYNC110
                await asyncio.sleep(0.1)
    await other.close()


async def test_failures_are_raised_with_their_status_and_counted(opened: OpenGateway) -> None:
    async with opened(Fails(400, "prompt is too long")) as (gateway, _):
        for attempt in (ModelGatewayOperations(gateway).converse(call(), PARAMS), stream(gateway)):
            with pytest.raises(InnkeeperError, match="prompt is too long") as failure:
                await attempt
            assert (failure.value.code, failure.value.status) == ("ValidationException", 400)
        assert [(usage.calls, usage.errors) for usage in await gateway.usage(ACCOUNT)] == [(2, 2)]


@pytest.mark.parametrize("fault", [Fault.CUT, Fault.UNFINISHED, Fault.GARBAGE])
async def test_a_stream_that_breaks_says_so_in_the_stream(opened: OpenGateway, fault: Fault) -> None:
    async with opened(Says("a rather long answer", fault=fault)) as (gateway, _):
        answer = await ModelGatewayOperations(gateway).converse_stream(call(), PARAMS)
        with pytest.raises(InnkeeperError) as failure:
            _ = [event async for event in answer["stream"]]
        assert failure.value.code == "ModelStreamErrorException"
        assert [(usage.calls, usage.errors) for usage in await gateway.usage(ACCOUNT)] == [(1, 1)]


async def test_a_silent_model_times_out(opened: OpenGateway) -> None:
    async with opened(Says(fault=Fault.SILENT), timeout_seconds=0.2) as (gateway, _):
        for attempt in (ModelGatewayOperations(gateway).converse(call(), PARAMS), stream(gateway)):
            with pytest.raises(InnkeeperError, match="in time") as failure:
                await attempt
            assert (failure.value.code, failure.value.status) == ("ModelTimeoutException", 408)


async def test_an_agent_that_leaves_is_counted_as_cancelled(opened: OpenGateway) -> None:
    async with opened(Says("a rather long answer")) as (gateway, _):
        answer = await ModelGatewayOperations(gateway).converse_stream(call(), PARAMS)
        await anext(answer["stream"])
        await answer["stream"].aclose()
        assert [(usage.calls, usage.errors) for usage in await gateway.usage(ACCOUNT)] == [(1, 1)]


async def test_an_unknown_model_id_gets_told_what_to_set(opened: OpenGateway) -> None:
    async with opened(Says("ok"), model_ids={"amazon.*": "local/qwen3"}) as (gateway, _):
        for attempt in (ModelGatewayOperations(gateway).converse(call(), PARAMS), stream(gateway)):
            with pytest.raises(NotFound, match=r"claude.*model_ids.*innkeeper\.toml"):
                await attempt


async def test_a_call_that_comes_back_to_us_is_refused(opened: OpenGateway) -> None:
    async with opened(Says("ok")) as (gateway, _):
        with pytest.raises(InnkeeperError, match="loop"):
            await ModelGatewayOperations(gateway).converse(call(headers={HOP_HEADER: "1"}), PARAMS)


async def test_invoke_model_points_to_converse(opened: OpenGateway) -> None:
    async with opened(Says("ok")) as (gateway, _):
        operations = ModelGatewayOperations(gateway)
        for operation in (operations.invoke_model, operations.invoke_model_with_response_stream):
            with pytest.raises(InvalidRequest, match="Converse"):
                await operation(call(), {"modelId": CLAUDE, "body": b"{}"})


async def test_a_key_may_come_from_the_environment(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    provider = ModelProvider(kind="anthropic", base_url="http://127.0.0.1:9", api_key_variable="SOME_KEY")
    gateway = ModelGateway(database, {"claude": provider}, {"*": "claude/sonnet"}, open_model, SystemClock())
    monkeypatch.delenv("SOME_KEY", raising=False)
    with pytest.raises(Unavailable, match="SOME_KEY"):
        await stream(gateway)
    monkeypatch.setenv("SOME_KEY", "secret-key")
    with pytest.raises(InnkeeperError, match="cannot be reached"):
        await stream(gateway)
    await gateway.close()


async def test_settings_must_fit_together(database: Database) -> None:
    with pytest.raises(ValueError, match="'nowhere', not one of models"):
        ModelGateway(database, {}, {"*": "nowhere/qwen3"}, open_model, SystemClock())


async def test_prompts_and_keys_are_neither_logged_nor_stored(
    opened: OpenGateway, database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.INFO, "aiosqlite")
    async with opened(Says("Good morning"), Fails(401, "bad key secret-key")) as (gateway, _):
        await stream(gateway)
        with pytest.raises(InnkeeperError) as failure:
            await stream(gateway)
        stored = str(await gateway.usage(ACCOUNT))
    for text in (caplog.text, stored, failure.value.message):
        assert not any(secret in text for secret in ("Hello", "Good morning", "secret-key"))
