"""The services that share one port, told apart by the credential scope of a request's signature."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

from botocore.model import ServiceModel
from starlette.responses import Response

from innkeeper.aws.awsjson import AwsJson
from innkeeper.aws.protocol import WireProtocol
from innkeeper.aws.query import QueryProtocol
from innkeeper.aws.request import RawRequest
from innkeeper.aws.restjson import RestJson
from innkeeper.kernel.call import Call, Operation


@dataclass(frozen=True)
class Plane:
    """A service described by models. `operations` are its handlers by AWS operation name."""

    scope: str
    protocol: Literal["rest-json", "query", "json"]
    models: tuple[ServiceModel, ...]
    operations: Mapping[str, Operation]

    @cached_property
    def codec(self) -> WireProtocol:
        if self.protocol == "rest-json":
            return RestJson(self.models)
        return QueryProtocol(*self.models) if self.protocol == "query" else AwsJson(*self.models)


@dataclass(frozen=True, slots=True)
class RawPlane:
    """A service that speaks a protocol of its own; its failures are shown as S3 shows them."""

    scope: str
    handler: Callable[[Call, RawRequest], Awaitable[Response]]
