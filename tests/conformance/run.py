"""Runs the AgentCore SDK's own integration tests, unmodified, against a running Innkeeper, and the stories of
E2B's SDKs.

python -m tests.conformance.run [FILE...]     all files, or those whose path has one of the words

They ship in the SDK's source distribution, which pip fetches. Each file runs in a pytest of its own. Where
they ask a model of Bedrock, the model gateway has one that says again what the user has said. The exit status
is that of the files we promise in full (`REQUIRED`).
"""

import os
import subprocess
import sys
import tarfile
import tempfile
import uuid
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from xml.etree import ElementTree

from uv import find_uv_bin

from tests.engines.models.scripted.echoing import EchoingOpenAi
from tests.engines.models.scripted.threads import in_thread, settings_for
from tests.running import Agents, RunningServer
from tests.services.memory.remembering import Remembering

PACKAGE = "bedrock-agentcore"
FOLDER = Path(".innkeeper/conformance")
REQUIRED = (
    "runtime/test_runtime_passthrough.py",
    "services/test_resource_policy.py",
    "memory/test_controlplane.py",
    "memory/test_memory_client.py",
    "memory/integrations/test_memory_store.py",
    "memory/integrations/test_session_manager.py",
    "tools/test_code_interpreter_client.py",
)
FILES = (
    *REQUIRED,
    "runtime/test_middleware_integration.py",
    "identity/test_identity_client.py",
    "gateway/test_gateway_client.py",
    "policy/test_policy_engine_client.py",
    "evaluation/test_dataset_client.py",
    "evaluation/test_evaluation_passthrough.py",
)
E2B_STORIES = "tests/stories/test_e2b.py"
PROMISED = (*REQUIRED, E2B_STORIES)
SUMMARIES = "/summaries/{actorId}/{sessionId}/"
TEST_SECONDS = 120
FILE_SECONDS = 900


@dataclass(frozen=True, slots=True)
class Result:
    file: str
    passed: int
    failed: int
    skipped: int

    @property
    def total(self) -> int:
        return self.passed + self.failed + self.skipped

    @property
    def whole(self) -> bool:
        return self.passed == self.total > 0


def main(words: list[str]) -> int:
    files = [file for file in FILES if not words or any(word in file for word in words)]
    source = fetch()
    with tempfile.TemporaryDirectory() as data, in_thread(EchoingOpenAi()) as model:
        server = RunningServer(Path(data), settings_for(model)).start()
        try:
            environment = prepare(server)
            results = [run(source, f"tests_integ/{file}", environment) for file in files]
        finally:
            server.stop()
    if not words or any(word in E2B_STORIES for word in words):
        results.append(run(Path.cwd(), E2B_STORIES, dict(os.environ)))
    show(results)
    broken = [result.file for result in results if result.file in PROMISED and not result.whole]
    return 1 if broken else 0


def fetch() -> Path:
    """The unpacked source distribution of the SDK version that is installed here."""
    name = f"{PACKAGE.replace('-', '_')}-{version(PACKAGE)}"
    source = FOLDER / name
    if not source.exists():
        FOLDER.mkdir(parents=True, exist_ok=True)
        requirement = f"{PACKAGE}=={version(PACKAGE)}"
        pip = [find_uv_bin(), "tool", "run", "pip"]
        command = [*pip, "download", "--quiet", "--no-deps", "--no-binary", PACKAGE]
        subprocess.run([*command, "--dest", str(FOLDER), requirement], check=True)
        with tarfile.open(FOLDER / f"{name}.tar.gz") as archive:
            archive.extractall(FOLDER, filter="data")
    return source.absolute()


def prepare(server: RunningServer) -> dict[str, str]:
    """What AWS's own pipeline sets up before these tests, made here: an agent, its code, a role."""
    agents = Agents(server)
    agent = agents.deploy()
    code = agents.upload({"agent.py": "print('never invoked')"})["s3"]
    return {
        **server.environment,
        "BEDROCK_TEST_REGION": "us-west-2",
        "RUNTIME_ROLE_ARN": agents.role,
        "RUNTIME_S3_CODE_URI": f"s3://{code['bucket']}/{code['prefix']}",
        "RESOURCE_POLICY_TEST_ARN": agent["agentRuntimeArn"],
        "RESOURCE_POLICY_TEST_PRINCIPAL": f"arn:aws:iam::{agents.account}:root",
        "GATEWAY_ROLE_ARN": agents.role,
        "GATEWAY_LAMBDA_ARN": f"arn:aws:lambda:us-west-2:{agents.account}:function:tool",
        "EVAL_ROLE_ARN": agents.role,
        "EVAL_LOG_GROUP": "runtimes/test",
        "MEMORY_ROLE_ARN": agents.role,
        "MEMORY_KINESIS_ARN": f"arn:aws:kinesis:us-west-2:{agents.account}:stream/memory",
        "MEMORY_PREPOPULATED_ID": remembered(server),
        "COGNITO_POOL_ID": "us-west-2_pool",
        "COGNITO_CLIENT_ID": "client",
        "COGNITO_CLIENT_SECRET": uuid.uuid4().hex,
    }


def remembered(server: RunningServer) -> str:
    """A memory with what AWS's has learned from a conversation."""
    remembering = Remembering(server)
    memory = remembering.create(
        name="prepopulated",
        memoryStrategies=[
            {"semanticMemoryStrategy": {"name": "facts", "namespaceTemplates": ["/facts/{actorId}/"]}},
            {"summaryMemoryStrategy": {"name": "summaries", "namespaceTemplates": [SUMMARIES]}},
        ],
    )
    remembering.note(memory, "/facts/integ-test-actor/", "The developer works on distributed systems.")
    remembering.note(memory, "/preferences/integ-test-actor/", "Prefers Rust as programming language.")
    remembering.note(
        memory, "/summaries/integ-test-actor/integ-test-session/", "They spoke of distributed systems."
    )
    return memory


def run(folder: Path, path: str, environment: dict[str, str]) -> Result:
    file = path.removeprefix("tests_integ/")
    print(f"{file} ...", flush=True)
    with tempfile.TemporaryDirectory() as reports:
        report = Path(reports) / "report.xml"
        options = ["-q", "-p", "no:cacheprovider", "--order-scope=class", f"--timeout={TEST_SECONDS}"]
        command = [sys.executable, "-m", "pytest", *options, f"--junitxml={report}", path]
        try:
            subprocess.run(
                command,
                cwd=folder,
                env=environment,
                timeout=FILE_SECONDS,
                check=False,
                stdout=None if os.environ.get("VERBOSE") else subprocess.DEVNULL,
                stderr=None if os.environ.get("VERBOSE") else subprocess.DEVNULL,
            )
            suite = ElementTree.parse(report).getroot().find("testsuite")  # noqa: S314 (made here)
        except (subprocess.TimeoutExpired, FileNotFoundError, ElementTree.ParseError):
            suite = None
    if suite is None:
        return Result(file, 0, 1, 0)
    count = {name: int(suite.get(name, 0)) for name in ("tests", "failures", "errors", "skipped")}
    failed = count["failures"] + count["errors"]
    return Result(file, count["tests"] - failed - count["skipped"], failed, count["skipped"])


def show(results: list[Result]) -> None:
    print(f"\n{PACKAGE} {version(PACKAGE)}, tests_integ\n")
    print(f"{'file':48} {'passed':>10}  {'failed':>6}  {'skipped':>7}")
    for one in results:
        mark = "  required" if one.file in PROMISED else ""
        passed = f"{one.passed}/{one.total}"
        print(f"{one.file:48} {passed:>10}  {one.failed:>6}  {one.skipped:>7}{mark}")
    total = sum(one.total for one in results)
    print(f"{'all':48} {sum(one.passed for one in results):>6}/{total}")


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
