"""An agent that answers questions about a table of sales, and shows its work as it goes.

It plans with the model named in MODEL_ID; without one it follows a fixed plan, and says so. What a `person`
prefers it knows again in later sessions, by the memory of MEMORY_ID. Each answer is a stream of events:
`step`, `memory`, `finding`, `chart`, then `answer`.
"""

import base64
import os
import tempfile
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

from analysis import Sales, draw, summary
from bedrock_agentcore import BedrockAgentCoreApp, RequestContext
from botocore.exceptions import BotoCoreError, ClientError
from notebook import Entry, Notebook
from people import People
from plans import ModelPlan, as_result, fixed_steps

Event = dict[str, Any]

app = BedrockAgentCoreApp()
sales = Sales(Path(__file__).with_name("sales.csv"))
people = People(os.environ.get("MEMORY_ID", ""))
notebook = Notebook()  # a session has its own process, so this is the session's own memory
results = Path(os.environ.get("RESULTS_DIR") or tempfile.mkdtemp(prefix="data-analyst-"))


@app.entrypoint
async def analyse(payload: Event, context: RequestContext) -> AsyncIterator[Event]:
    question = str(payload.get("prompt") or "How did the shop do?")
    person = str(payload.get("person") or "")
    entry = notebook.open(question, await people.wishes(person, question))
    yield {
        "event": "step",
        "text": f"Question {entry.number} of this session, on {len(sales):,} orders: {question}",
    }
    for wish in entry.wishes:
        yield {"event": "memory", "text": f"{person} once said: {wish}"}
    async for event in respond(entry):
        if event["event"] == "answer":
            await people.keep(person, context.session_id or "local", question, event["text"])
        yield event


async def respond(entry: Entry) -> AsyncIterator[Event]:
    model_id = os.environ.get("MODEL_ID", "")
    if model_id:
        try:
            async for event in with_model(model_id, entry):
                yield event
            return
        except (ClientError, BotoCoreError) as error:
            yield {"event": "step", "text": f"Model {model_id} could not be used ({error})"}
    async for event in with_fixed_plan(entry, "no model answered" if model_id else "MODEL_ID is not set"):
        yield event


async def with_fixed_plan(entry: Entry, reason: str) -> AsyncIterator[Event]:
    yield {"event": "step", "text": f"Following a fixed plan: {reason}"}
    for step in fixed_steps(entry.question, entry.wishes):
        _, events = work(step, entry)
        for event in events:
            yield event
    yield answer(entry, "fixed plan", f"In short: {entry.findings[0]}.")


async def with_model(model_id: str, entry: Entry) -> AsyncIterator[Event]:
    plan = ModelPlan(model_id, entry.question, entry.wishes, notebook.earlier(entry))
    yield {"event": "step", "text": f"Planning with model {model_id}"}
    async for step in plan.steps():
        result, events = work(step, entry)
        plan.tell(step, result)
        for event in events:
            yield event
    yield answer(entry, f"model {model_id}", plan.answer)


def work(step: dict[str, str], entry: Entry) -> tuple[str, list[Event]]:
    """Do one step; gives the result in the model's words, and the events that show it."""
    by, measure = step.get("by", ""), step.get("measure", "revenue")
    try:
        groups = sales.group(by, measure)
    except ValueError as error:
        return str(error), [{"event": "step", "text": f"Skipped a step: {error}"}]
    finding = summary(by, measure, groups)
    entry.findings.append(finding)
    events: list[Event] = [{"event": "finding", "text": finding, "groups": groups}]
    if step["tool"] == "chart":
        path = results / f"question-{entry.number}-{by}.png"
        draw(by, measure, groups, path)
        encoded = base64.b64encode(path.read_bytes()).decode()
        events.append({"event": "chart", "path": str(path), "name": path.name, "png_base64": encoded})
    return as_result(groups), events


def answer(entry: Entry, planner: str, text: str) -> Event:
    earlier = notebook.earlier(entry)
    return {"event": "answer", "question": entry.number, "planner": planner, "text": text, "earlier": earlier}


if __name__ == "__main__":
    app.run()
