"""Amazon Bedrock itself: Converse documents pass through unchanged.

botocore finds the credentials, writes, signs and reads the messages, as the service model says; aiohttp
carries them. No botocore client is made, and endpoints set in the environment are ignored: there
`AWS_ENDPOINT_URL` means this very server.
"""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import asynccontextmanager
from functools import cached_property
from typing import Any

import aiohttp
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest, prepare_request_dict
from botocore.eventstream import EventStreamBuffer, ParserError
from botocore.exceptions import BotoCoreError
from botocore.model import OperationModel, ServiceModel
from botocore.parsers import EventStreamJSONParser, ResponseParserError, create_parser
from botocore.regions import EndpointResolver
from botocore.serialize import create_serializer
from botocore.session import Session
from yarl import URL

from innkeeper.engines.models.model import HOP_HEADER, Converse, ModelError, Provider, invalid_request
from innkeeper.engines.models.sdk import (
    broke_off,
    denied,
    keep_prompts_out_of_logs,
    malformed,
    timed_out,
    unreachable,
)

_CONNECT_SECONDS = 10.0
_SERVICE = "bedrock-runtime"
_SIGNING_NAME = "bedrock"


class BedrockModel:
    @classmethod
    def of(cls, provider: Provider, _api_key: str) -> "BedrockModel":
        return cls(provider.region, provider.profile, provider.timeout_seconds, provider.base_url)

    def __init__(
        self, region: str = "", profile: str = "", timeout_seconds: float = 600.0, base_url: str = ""
    ) -> None:
        """`region` and `profile` as in the AWS configuration of this machine; empty for its defaults."""
        keep_prompts_out_of_logs("botocore.parsers")
        self._profile = profile
        self._region_setting = region
        self._base_url = base_url
        self._timeout = aiohttp.ClientTimeout(
            total=None, sock_connect=min(timeout_seconds, _CONNECT_SECONDS), sock_read=timeout_seconds
        )
        self._http: aiohttp.ClientSession | None = None

    async def converse(self, model: str, request: Converse) -> Converse:
        async with self._send("Converse", model, request) as response:
            answer = self._parse("Converse", response.status, response.headers, await response.read())
        answer.pop("ResponseMetadata", None)
        if "output" not in answer:
            raise malformed()
        return answer

    async def converse_stream(self, model: str, request: Converse) -> AsyncGenerator[Converse, None]:
        ended = False
        async with self._send("ConverseStream", model, request) as response:
            buffer = EventStreamBuffer()
            async for chunk in response.content.iter_any():
                buffer.add_data(chunk)
                for frame in buffer:
                    if event := self._event(frame.to_response_dict()):
                        ended = ended or "messageStop" in event
                        yield event
        if not ended:
            raise broke_off()

    async def close(self) -> None:
        if self._http:
            await self._http.close()

    @asynccontextmanager
    async def _send(
        self, operation: str, model: str, request: Converse
    ) -> AsyncIterator[aiohttp.ClientResponse]:
        # Credentials may have to be fetched, from a file or over the network.
        signed = await asyncio.to_thread(self._sign, operation, {**request, "modelId": model})
        begun = False
        try:
            # The path is already encoded as it was signed.
            async with self._client().request(
                signed.method,
                URL(signed.url, encoded=True),
                headers=dict(signed.headers.items()),
                data=signed.body,
            ) as response:
                begun = True
                if response.status >= 300:
                    body = await response.read()
                    raise self._refused(self._parse(operation, response.status, response.headers, body))
                yield response
        except TimeoutError:
            raise timed_out() from None
        except aiohttp.ClientError:
            raise (broke_off() if begun else unreachable()) from None
        except (ParserError, ResponseParserError, KeyError, TypeError, ValueError):
            raise malformed() from None

    def _client(self) -> aiohttp.ClientSession:
        if self._http is None:
            self._http = aiohttp.ClientSession(timeout=self._timeout, trust_env=True)
        return self._http

    def _sign(self, operation: str, parameters: Converse) -> Any:
        """A `botocore.awsrequest.AWSPreparedRequest`. Blocks while credentials are looked for."""
        try:
            request = self._serializer.serialize_to_request(parameters, self._operation(operation))
            request["headers"][HOP_HEADER] = "1"
            prepare_request_dict(request, endpoint_url=self._endpoint)
            unsigned = AWSRequest(request["method"], request["url"], request["headers"], request["body"])
            SigV4Auth(self._credentials(), _SIGNING_NAME, self._region).add_auth(unsigned)
            return unsigned.prepare()
        except BotoCoreError as error:
            raise _no_credentials(type(error).__name__) from None

    def _credentials(self) -> Any:
        credentials = self._session.get_credentials()
        if credentials is None:
            raise _no_credentials("none found")
        return credentials.get_frozen_credentials()

    @cached_property
    def _session(self) -> Any:
        session = Session(profile=self._profile or None)
        # Fetching credentials may call STS or SSO; that must not reach this server either.
        session.set_config_variable("ignore_configured_endpoint_urls", True)
        return session

    @cached_property
    def _region(self) -> str:
        region: str = self._region_setting or self._session.get_config_variable("region") or ""
        if not region:
            raise ModelError(
                "The region of the Bedrock provider is not set", "ServiceUnavailableException", 503
            )
        return region

    @cached_property
    def _endpoint(self) -> str:
        if self._base_url:
            return self._base_url
        resolver = EndpointResolver(self._session.get_data("endpoints"))
        endpoint = resolver.construct_endpoint(_SERVICE, self._region)
        if endpoint is None:
            raise invalid_request(f"Bedrock has no endpoint in region '{self._region}'")
        return f"https://{endpoint['hostname']}"

    @cached_property
    def _service_model(self) -> ServiceModel:
        return self._session.get_service_model(_SERVICE)

    @cached_property
    def _serializer(self) -> Any:
        return create_serializer("rest-json", include_validation=False)

    def _operation(self, name: str) -> OperationModel:
        return self._service_model.operation_model(name)

    def _parse(self, operation: str, status: int, headers: Any, body: bytes) -> Converse:
        message = {"status_code": status, "headers": dict(headers), "body": body}
        shape = self._operation(operation).output_shape
        parsed: Converse = create_parser("rest-json").parse(message, shape)
        return parsed

    def _event(self, message: Converse) -> Converse:
        shape = self._operation("ConverseStream").output_shape.members["stream"]
        event: Converse = EventStreamJSONParser().parse(message, shape)
        if message["status_code"] != 200:
            raise self._refused(event)
        # Only what the service model knows can be passed on.
        return {name: value for name, value in event.items() if name in shape.members}

    def _refused(self, answer: Converse) -> ModelError:
        """`answer` is a parsed error: of a response, or of a stream, where codes begin in lower case."""
        code = answer["Error"].get("Code") or ""
        code = code[:1].upper() + code[1:]
        status = self._statuses.get(code)
        if code == "AccessDeniedException" or answer.get("ResponseMetadata", {}).get("HTTPStatusCode") == 403:
            # Bedrock's own words name the operator's account and role.
            return denied()
        message = answer["Error"].get("Message") or "no reason given"
        return ModelError(message[:500], code, status) if status else ModelError(message[:500])

    @cached_property
    def _statuses(self) -> dict[str, int]:
        shapes = self._operation("Converse").error_shapes
        return {shape.name: shape.metadata["error"]["httpStatusCode"] for shape in shapes}


def _no_credentials(reason: str) -> ModelError:
    message = f"The server has no AWS credentials for Bedrock ({reason}); set the provider's profile"
    return ModelError(message, "AccessDeniedException", 403)
