"""Calls to the server: boto3 clients for the AWS operations, signed requests for everything else."""

import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from innkeeper.cli.failure import CommandFailed
from innkeeper.cli.server import Server, find

CONNECT_TIMEOUT_SECONDS = 5
READ_TIMEOUT_SECONDS = 3600
CHUNK_BYTES = 65_536


class Answer:
    """An HTTP answer whose body is read as it comes. Raises urllib3's exceptions when it breaks off."""

    def __init__(self, response: Any) -> None:
        self._raw = response.raw
        self.headers: Mapping[str, str] = response.headers

    def chunks(self) -> Iterator[bytes]:
        """Bytes as soon as there are any, not only once a buffer is full."""
        while chunk := self._raw.read1(CHUNK_BYTES):
            yield chunk

    def read(self) -> bytes:
        return b"".join(self.chunks())


class Api:
    def __init__(self, server: Server) -> None:
        self.server = server

    @classmethod
    def connect(cls, data_dir: Path | None) -> "Api":
        """To the server of this data folder. Raises CommandFailed when none answers."""
        return cls(find(data_dir))

    def client(self, service: str) -> Any:
        """A boto3 client of an AWS service, answered by this server."""
        import boto3
        from botocore.config import Config

        return boto3.client(
            service,
            endpoint_url=self.server.url,
            region_name=self.server.region,
            aws_access_key_id=self.server.access_key_id,
            aws_secret_access_key=self.server.secret_access_key,
            config=Config(
                proxies={},  # the server is near: never through a proxy of the environment
                connect_timeout=CONNECT_TIMEOUT_SECONDS,
                read_timeout=READ_TIMEOUT_SECONDS,
                s3={"addressing_style": "path"},
                request_checksum_calculation="when_required",
            ),
        )

    def account(self) -> str:
        account: str = self.client("sts").get_caller_identity()["Account"]
        return account

    def own_bucket(self, use: str) -> str:
        """This account's bucket for what we upload; made if need be."""
        from botocore.exceptions import ClientError

        s3 = self.client("s3")
        bucket = f"innkeeper-{use}-{self.account()}"
        try:
            s3.head_bucket(Bucket=bucket)
        except ClientError:
            s3.create_bucket(Bucket=bucket)
        return bucket

    def call(self, method: str, path: str, document: Any = None) -> Any:
        """A native operation: JSON in, JSON out."""
        body = b"" if document is None else json.dumps(document).encode()
        answer = self.send(method, path, body, {"content-type": "application/json"})
        return json.loads(answer.read() or b"null")

    def send(self, method: str, path: str, body: bytes, headers: Mapping[str, str]) -> Answer:
        """A signed request; `path` is percent-encoded. Raises CommandFailed with the server's message."""
        from botocore.auth import SigV4Auth
        from botocore.awsrequest import AWSRequest
        from botocore.credentials import Credentials
        from botocore.httpsession import URLLib3Session

        request = AWSRequest(method, self.server.url + path, dict(headers), body, stream_output=True)
        credentials = Credentials(self.server.access_key_id, self.server.secret_access_key)
        SigV4Auth(credentials, "bedrock-agentcore", self.server.region).add_auth(request)
        session = URLLib3Session(timeout=(CONNECT_TIMEOUT_SECONDS, READ_TIMEOUT_SECONDS))
        response = session.send(request.prepare())
        answer = Answer(response)
        if response.status_code >= 400:
            raise CommandFailed(_refusal(response.status_code, answer))
        return answer


def _refusal(status: int, answer: Answer) -> str:
    code = answer.headers.get("x-amzn-errortype", f"HTTP {status}").partition(":")[0]
    body = answer.read()
    try:
        document = json.loads(body)
        message = document.get("message") or document.get("Message") or body.decode()
    except (ValueError, AttributeError):
        message = body.decode(errors="replace")
    return f"{code}: {message[:2000]}"
