"""An interpreter with an execution role: its sessions reach the tenant's buckets, and no others."""

import json
import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.running import Agents, RunningServer
from tests.services.code_interpreter.coding import Coding
from tests.services.code_interpreter.conftest import SETTINGS
from tests.services.code_interpreter.test_sessions import custom, refused

SIZE = 120 << 20
ASK = "import boto3\ns3 = boto3.client('s3')\n"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    settings = {
        **SETTINGS,
        "code_interpreter_packages": '["awscli", "boto3"]',
        "code_interpreter_cell_timeout_seconds": "100",
    }
    running = RunningServer(tmp_path_factory.mktemp("roles"), settings).start()
    yield running
    running.stop()


@pytest.fixture(scope="module")
def bucket(server: RunningServer) -> str:
    name = f"artifacts-{uuid.uuid4().hex[:8]}"
    server.client("s3").create_bucket(
        Bucket=name, CreateBucketConfiguration={"LocationConstraint": "us-west-2"}
    )
    return name


@pytest.fixture(scope="module")
def interpreter(server: RunningServer, bucket: str) -> str:
    """One without a network, whose role may read and write that bucket."""
    agents = Agents(server)
    iam = server.client("iam")
    may = {
        "Effect": "Allow",
        "Action": ["s3:PutObject", "s3:GetObject"],
        "Resource": f"arn:aws:s3:::{bucket}/*",
    }
    document = json.dumps({"Version": "2012-10-17", "Statement": [may]})
    role = agents.role.rpartition("/")[2]
    iam.put_role_policy(RoleName=role, PolicyName="Artifacts", PolicyDocument=document)
    made: str = custom(agents.control, executionRoleArn=agents.role)["codeInterpreterId"]
    return made


def test_large_files_go_to_a_bucket_and_back(server: RunningServer, bucket: str, interpreter: str) -> None:
    with Coding(server, interpreter) as coding:
        coding.out(f"data = bytes(range(256)) * {SIZE // 256}\nopen('big.bin', 'wb').write(data)\nNone")
        coding.out(f"{ASK}s3.upload_file('big.bin', '{bucket}', 'out/big.bin')")
        assert server.client("s3").head_object(Bucket=bucket, Key="out/big.bin")["ContentLength"] == SIZE
        copied = coding.invoke(
            "executeCommand", command=f"aws s3 cp --no-progress s3://{bucket}/out/big.bin back.bin"
        )
        assert not copied["isError"], copied
        assert coding.out("open('back.bin', 'rb').read() == data") == "True\n"


def test_all_that_runs_in_a_session_has_its_role(server: RunningServer, interpreter: str) -> None:
    with Coding(server, interpreter) as coding:
        key = coding.out("import os\nprint(os.environ['AWS_ACCESS_KEY_ID'])").strip()
        assert key.startswith("ASIA")
        assert coding.invoke("executeCommand", command="echo $AWS_ACCESS_KEY_ID")["content"][0]["text"] == (
            f"{key}\n"
        )
        assert coding.out("console.log(process.env.AWS_ACCESS_KEY_ID)", language="javascript") == f"{key}\n"
        task = coding.invoke("startCommandExecution", command="echo $AWS_ACCESS_KEY_ID; sleep 100")
        assert not task["isError"]
        caller = coding.out("import boto3\nprint(boto3.client('sts').get_caller_identity()['Arn'])")
        assert caller.strip().endswith(f"/{coding.id}")


def test_a_role_leads_to_what_it_may_and_no_further(
    server: RunningServer, bucket: str, interpreter: str
) -> None:
    keys = server.new_tenant()
    theirs = server.client("s3", keys)
    theirs.create_bucket(Bucket="not-yours", CreateBucketConfiguration={"LocationConstraint": "us-west-2"})
    theirs.put_object(Bucket="not-yours", Key="secret.txt", Body=b"secret")
    with Coding(server, interpreter) as coding:
        for call in (
            "get_object(Bucket='not-yours', Key='secret.txt')",
            "put_object(Bucket='not-yours', Key='mine.txt', Body=b'mine')",
            f"delete_object(Bucket='{bucket}', Key='out/big.bin')",
            "list_buckets()",
        ):
            assert "AccessDenied" in coding.fails(f"{ASK}s3.{call}")
        reach = "import socket; socket.create_connection(('1.1.1.1', 443), 2)"
        assert "OSError" in coding.fails(reach)


def test_credentials_end_with_their_session(server: RunningServer, bucket: str, interpreter: str) -> None:
    with Coding(server, interpreter) as coding:
        names = ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN")
        told = coding.out(f"import json, os\nprint(json.dumps([os.environ[name] for name in {names}]))")
    key, secret, token = json.loads(told)
    s3 = server.client("s3", (key, secret))
    s3._request_signer._credentials.token = token
    with pytest.raises(ClientError) as caught:
        s3.put_object(Bucket=bucket, Key="late.txt", Body=b"late")
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 403


def test_without_a_role_there_are_no_credentials(server: RunningServer) -> None:
    with Coding(server) as coding:
        assert "NoCredentialsError" in coding.fails(f"{ASK}s3.list_buckets()")


def test_a_role_that_is_gone_is_named(server: RunningServer) -> None:
    agents = Agents(server)
    iam = server.client("iam")
    trust: dict[str, Any] = iam.get_role(RoleName=agents.role.rpartition("/")[2])["Role"]
    made = iam.create_role(
        RoleName="Passing", AssumeRolePolicyDocument=json.dumps(trust["AssumeRolePolicyDocument"])
    )
    interpreter = custom(agents.control, executionRoleArn=made["Role"]["Arn"])["codeInterpreterId"]
    iam.delete_role(RoleName="Passing")
    code, message = refused(agents.data.start_code_interpreter_session, codeInterpreterIdentifier=interpreter)
    assert code == "ResourceNotFoundException"
    assert "role/Passing" in message
