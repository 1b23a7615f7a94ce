"""`make demo`: a server, a real agent, two sessions side by side, and a third that knows what was said in the
first. Goes through the same command as a user."""

import base64
import json
import os
import signal
import subprocess
import sys
import threading
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[1]
FOLDER = ROOT / ".innkeeper" / "demo"
COMMAND_SECONDS = 900

FIRST = ("How did revenue go by month and region?", "Which product sells best, in units?")
SECOND = ("I prefer to see revenue by category.", "And which category, in units?")
THIRD = "How did the shop do?"
MEMORY = "shop"
PERSON = "Ann"
LEARNING_TRIES = 10

Answer = dict[str, Any]


def innkeeper(*words: str) -> list[str]:
    return [sys.executable, "-m", "innkeeper", *words, "--data-dir", str(FOLDER)]


def run(*words: str) -> None:
    print(f"\n$ innkeeper {' '.join(words)}", flush=True)
    subprocess.run(innkeeper(*words), check=True, timeout=COMMAND_SECONDS)


def told(*words: str) -> str:
    """What a command says."""
    command = innkeeper(*words)
    return subprocess.run(
        command, check=True, timeout=COMMAND_SECONDS, stdout=subprocess.PIPE, text=True
    ).stdout


class Guest:
    """One session, perhaps of somebody with a name: asks, prints each event as it comes, keeps the charts."""

    def __init__(self, label: str, person: str = "") -> None:
        self.label = label
        self.person = person
        self.known: list[str] = []
        self.session = f"demo-{label}-{uuid.uuid4().hex}"
        self.results = FOLDER / "results" / self.session

    def ask(self, question: str) -> Answer:
        """The agent's `answer` event. Raises RuntimeError when the stream ends without one."""
        payload = json.dumps({"person": self.person, "prompt": question})
        command = innkeeper("invoke", "data_analyst", payload, "--session", self.session, "--json")
        answer: Answer | None = None
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            timer = threading.Timer(COMMAND_SECONDS, process.kill)
            timer.start()
            for line in process.stdout or ():
                event: Answer = json.loads(line)["data"]
                self._show(event)
                if event.get("event") == "memory":
                    self.known.append(event["text"])
                answer = event if event.get("event") == "answer" else answer
            timer.cancel()
        if answer is None:
            raise RuntimeError(f"session {self.label} got no answer; see: innkeeper logs data_analyst")
        return answer

    def _show(self, event: Answer) -> None:
        text = event.get("text")
        if event.get("event") == "chart":
            self.results.mkdir(parents=True, exist_ok=True)
            path = self.results / Path(event["name"]).name
            path.write_bytes(base64.b64decode(event["png_base64"]))
            text = f"saved to {path.relative_to(ROOT)}"
        # One write, line end included: two sessions speak at once.
        print(f"  {self.label} | {event.get('event', 'event'):8} {text or event}\n", end="", flush=True)


def ask_side_by_side(guests: tuple[Guest, ...], questions: tuple[str, ...]) -> list[Answer]:
    with ThreadPoolExecutor(len(guests)) as pool:
        return list(pool.map(Guest.ask, guests, questions))


def check_memory(answers: list[Answer]) -> None:
    """Each session numbers its own questions and remembers its own findings, none of the other's."""
    own = [set(answer["earlier"]) for answer in answers]
    if [answer["question"] for answer in answers] != [2, 2] or not all(own) or own[0] & own[1]:
        raise RuntimeError(f"sessions do not keep their own state: {answers}")
    print("\nEach session remembered its own first question, and nothing of the other's:")
    for label, findings in zip("AB", own, strict=True):
        for finding in sorted(findings):
            print(f"  {label} | {finding}")


def open_memory() -> str:
    """The id of a memory that knows nothing of Ann yet, whatever an earlier demo has told it."""
    for one in json.loads(told("memory", "ls", "--json"))["memories"]:
        if one["name"] == MEMORY:
            run("memory", "erase", MEMORY, "--actor", PERSON, "--yes")
            return str(one["id"])
    print(f"\n$ innkeeper memory create {MEMORY}", flush=True)
    made = told("memory", "create", MEMORY)
    print(made, end="")
    return made.strip()


def check_preference(guest: Guest) -> None:
    """What was said in another session is known in this one, a second or two later."""
    print(f"\nA third session, of {guest.person}, who spoke in A:")
    for _ in range(LEARNING_TRIES):
        guest.ask(THIRD)
        if guest.known:
            return
    raise RuntimeError(f"session {guest.label} does not know what {guest.person} prefers")


def demonstrate() -> None:
    model = os.environ.get("MODEL_ID")
    settings = {"MEMORY_ID": open_memory(), **({"MODEL_ID": model} if model else {})}
    options = [word for name, value in settings.items() for word in ("--env", f"{name}={value}")]
    run("deploy", str(ROOT / "examples/data_analyst"), *options)
    guests = (Guest("A", PERSON), Guest("B"))
    print("\nTwo sessions at once, each in its own sandbox:")
    ask_side_by_side(guests, FIRST)
    print("\nA second question in each:")
    check_memory(ask_side_by_side(guests, SECOND))
    run("sessions", "data_analyst")
    check_preference(Guest("C", PERSON))
    planner = (
        ""
        if model
        else "\n  plan with a model    set a model (docs/guide/models.md) and MODEL_ID, then make demo"
    )
    print(
        f"\nDone.\n"
        f"  charts               {(FOLDER / 'results').relative_to(ROOT)}\n"
        f"  server log           {(FOLDER / 'server.log').relative_to(ROOT)}\n"
        f"  session logs         {(FOLDER / 'logs').relative_to(ROOT)}\n"
        f"  start your own       .venv/bin/innkeeper up --detach\n"
        f"  deploy your own      .venv/bin/innkeeper deploy PATH{planner}\n"
        f"  read on              docs/guide/getting-started.md",
        flush=True,
    )


def main() -> int:
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # stop the server then too
    FOLDER.mkdir(parents=True, exist_ok=True)
    os.environ.setdefault("INNKEEPER_CODE_INTERPRETER_PREPARE", "nothing")  # it would only take our time here
    try:
        run("up", "--detach", "--port", "0")  # when it fails, there is no server of ours to stop
        try:
            demonstrate()
        finally:
            run("down")
    except (subprocess.SubprocessError, RuntimeError) as error:
        print(f"\nerror: {error}\nserver log: {FOLDER / 'server.log'}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("\nStopped early.", file=sys.stderr)
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
