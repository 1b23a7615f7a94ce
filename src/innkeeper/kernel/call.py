"""One request as a service's operation sees it, beside its decoded parameters."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from innkeeper.kernel.caller import Caller

Document = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Call:
    """`headers` are the raw request headers, names in lower case; `request_id` is the `x-amzn-RequestId`."""

    caller: Caller
    request_id: str
    headers: Mapping[str, str]


Operation = Callable[[Call, Document], Awaitable[Document | None]]
