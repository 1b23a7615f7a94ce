"""The services that share one port, told apart by the credential scope of a request's signature."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal

from botocore.model import ServiceModel
from starlette.responses import Response

from innkeeper.aws.protocol import WireProtocol
from innkeeper.aws.query import QueryProtocol
from innkeeper.aws.request import RawRequest
from innkeeper.aws.restjson import RestJson
from innkeeper.kernel.call import Call, Operation


@dataclass(frozen=True)
class Plane:
    """A service described by models. `operations` are its handlers by AWS operation name."""

    scope: str
    protocol: Literal["rest-json", "query"]
    models: tuple[ServiceModel, ...]
    operations: Mapping[str, Operation]
    codec: WireProtocol = field(init=False, repr=False)

    def __post_init__(self) -> None:
        codec = RestJson(self.models) if self.protocol == "rest-json" else QueryProtocol(*self.models)
        object.__setattr__(self, "codec", codec)


@dataclass(frozen=True, slots=True)
class RawPlane:
    """A service that speaks a protocol of its own; its failures are shown as S3 shows them."""

    scope: str
    handler: Callable[[Call, RawRequest], Awaitable[Response]]
