"""A real server in a process of its own, and the clients that a user has."""

import contextlib
import io
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import boto3
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials

from tests.content import content

START_SECONDS = 110.0
STOP_SECONDS = 110.0
ANSWER_SECONDS = 100.0
SETTLE_SECONDS = 120.0
AGENT_ROLE = "InnkeeperAgentRole"
# Most tests are not about walls: they run where a sandbox starts in the shortest time and costs nothing while
# it is idle. `INNKEEPER_TEST_DRIVER=gvisor` runs them all behind the other wall.
DRIVER = {
    "sandbox_driver": os.environ.get("INNKEEPER_TEST_DRIVER", "bubblewrap"),
    "untrusted_code_in_namespaces": "true",
}


class RunningServer:
    """`innkeeper up` on a data folder. `stop` ends it as a user does, `kill` as a crash does."""

    def __init__(self, data_dir: Path, environment: Mapping[str, str] | None = None) -> None:
        self.data_dir = data_dir
        self.settings = {**DRIVER, **(environment or {})}
        self.process: subprocess.Popen[bytes] | None = None

    def start(self) -> "RunningServer":
        self.data_dir.mkdir(parents=True, exist_ok=True)
        (self.data_dir / "server.json").unlink(missing_ok=True)
        settings = {f"INNKEEPER_{name.upper()}": value for name, value in self.settings.items()}
        command = [sys.executable, "-m", "innkeeper", "up", "--data-dir", str(self.data_dir), "--port", "0"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**clean_environment(), **settings},
            )
        deadline = time.monotonic() + START_SECONDS
        while not (self.data_dir / "server.json").exists():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise AssertionError(f"the server did not start:\n{self.log.read_text()[-4000:]}")
            time.sleep(0.05)
        return self

    def stop(self) -> None:
        if self.process is not None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(STOP_SECONDS)
            finally:
                self.kill()  # nothing, unless it did not stop

    def kill(self) -> None:
        """kill -9"""
        if self.process is not None:
            self.process.kill()
            self.process.wait(STOP_SECONDS)
            self.process = None

    @property
    def log(self) -> Path:
        return self.data_dir / "server.log"

    @property
    def url(self) -> str:
        return str(json.loads((self.data_dir / "server.json").read_text())["url"])

    @property
    def environment(self) -> dict[str, str]:
        """What `innkeeper env` sets, on a clean environment."""
        access_key, secret = self.keys
        return {
            **clean_environment(),
            "AWS_ENDPOINT_URL": self.url,
            "AWS_ACCESS_KEY_ID": access_key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-west-2",
            "AWS_DEFAULT_REGION": "us-west-2",
            "AWS_EC2_METADATA_DISABLED": "true",
            "BEDROCK_AGENTCORE_DP_ENDPOINT": self.url,
            "BEDROCK_AGENTCORE_CP_ENDPOINT": self.url,
        }

    @property
    def keys(self) -> tuple[str, str]:
        lines = (self.data_dir / "credentials").read_text().splitlines()
        values = dict(line.split(" = ", 1) for line in lines if " = " in line)
        return values["aws_access_key_id"], values["aws_secret_access_key"]

    def sandboxes(self) -> Iterator[tuple[str, Any]]:
        """The id of each, and what its driver has noted of it."""
        folder = self.data_dir / "sandboxes"
        for path in (*folder.glob("sandboxes/*.json"), *folder.glob("*/sandboxes/*.json")):
            if noted := content(path):
                yield path.stem, json.loads(noted)

    def native(self, method: str, path: str, body: Any = None, keys: tuple[str, str] | None = None) -> Any:
        """A signed call below `/-/`; its JSON answer."""
        access_key, secret = keys or self.keys
        data = b"" if body is None else json.dumps(body).encode()
        request = AWSRequest(method, self.url + path, data=data, headers={"Content-Type": "application/json"})
        SigV4Auth(Credentials(access_key, secret), "bedrock-agentcore", "us-west-2").add_auth(request)
        prepared = urllib.request.Request(request.url, data, dict(request.headers), method=method)
        with urllib.request.urlopen(prepared, timeout=ANSWER_SECONDS) as answer:
            text = answer.read()
        return json.loads(text) if "/json" in answer.headers.get("Content-Type", "") else text.decode()

    def new_tenant(self) -> tuple[str, str]:
        """The root access key of another account."""
        made = self.native("POST", "/-/v1/accounts", {"name": "another"})
        return made["key"]["accessKeyId"], made["key"]["secretAccessKey"]

    def client(self, service: str, keys: tuple[str, str] | None = None, **config: Any) -> Any:
        """A boto3 client; without retries unless the config says otherwise."""
        access_key, secret = keys or self.keys
        config.setdefault("retries", {"total_max_attempts": 1})
        return boto3.client(
            service,
            endpoint_url=self.url,
            region_name="us-west-2",
            aws_access_key_id=access_key,
            aws_secret_access_key=secret,
            config=Config(**config),
        )


class Agents:
    """Deploys and calls agents through boto3 alone."""

    def __init__(self, server: RunningServer, keys: tuple[str, str] | None = None) -> None:
        self.server = server
        self.keys = keys
        self.control = server.client("bedrock-agentcore-control", keys)
        self.data = server.client("bedrock-agentcore", keys)
        self.account = server.client("sts", keys).get_caller_identity()["Account"]
        self.role = f"arn:aws:iam::{self.account}:role/{AGENT_ROLE}"

    def upload(self, files: Mapping[str, str], bucket: str = "code-of-tests") -> dict[str, Any]:
        """A zip in a bucket, as the `code` member of an artifact."""
        archive = io.BytesIO()
        with zipfile.ZipFile(archive, "w") as packed:
            for name, text in files.items():
                packed.writestr(name, text)
        s3 = self.server.client("s3", self.keys)
        with contextlib.suppress(s3.exceptions.BucketAlreadyOwnedByYou):
            s3.create_bucket(Bucket=bucket, CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
        key = f"{uuid.uuid4().hex}.zip"
        s3.put_object(Bucket=bucket, Key=key, Body=archive.getvalue())
        return {"s3": {"bucket": bucket, "prefix": key}}

    def configuration(self, files: Mapping[str, str] | None = None, **members: Any) -> dict[str, Any]:
        """The members that create and update share; the agent that does as it is told, unless `files`."""
        code = self.upload(files or {"main.py": behaving()})
        entry = {"code": code, "runtime": "PYTHON_3_11", "entryPoint": ["main.py"]}
        return {
            "agentRuntimeArtifact": {"codeConfiguration": entry},
            "roleArn": self.role,
            "networkConfiguration": {"networkMode": "PUBLIC"},
            **members,
        }

    def deploy(self, files: Mapping[str, str] | None = None, **members: Any) -> dict[str, Any]:
        """Create a runtime and wait until it is READY."""
        name = f"agent_{uuid.uuid4().hex[:12]}"
        made = self.control.create_agent_runtime(
            agentRuntimeName=name, **self.configuration(files, **members)
        )
        return self.settled(made["agentRuntimeId"])

    def settled(self, runtime_id: str, expected: str = "READY") -> dict[str, Any]:
        deadline = time.monotonic() + SETTLE_SECONDS
        while time.monotonic() < deadline:
            runtime: dict[str, Any] = self.control.get_agent_runtime(agentRuntimeId=runtime_id)
            if runtime["status"] not in ("CREATING", "UPDATING"):
                assert runtime["status"] == expected, runtime.get("failureReason")
                return runtime
            time.sleep(0.1)
        raise AssertionError(f"{runtime_id} did not settle")

    def ask(self, arn: str, session: str, **order: Any) -> Any:
        """Invoke the agent and give its JSON answer."""
        answer = self.data.invoke_agent_runtime(
            agentRuntimeArn=arn, runtimeSessionId=session, payload=json.dumps(order).encode()
        )
        return json.loads(answer["response"].read())


def new_session() -> str:
    return f"session-{uuid.uuid4()}"


def behaving() -> str:
    return (Path(__file__).parent / "agents" / "behaving.py").read_text()


def clean_environment() -> dict[str, str]:
    """Our own environment, without anything that leads to a server or an account; a server started with it
    fetches no packages before they are needed."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "INNKEEPER_", "BEDROCK_"))
    }
    unneeded = {"INNKEEPER_CODE_INTERPRETER_PREPARE": "nothing", "INNKEEPER_CODE_INTERPRETER_DENO": "none"}
    return {**kept, **unneeded}
