"""What the `openai` and `anthropic` SDKs share: they are generated alike, down to their exceptions' names."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import httpx2

from innkeeper.engines.models.model import ModelError

# One retry of ours: callers' SDKs retry throttling and unavailability by themselves.
MAX_RETRIES = 1
_CONNECT_SECONDS = 10.0

_BY_STATUS = {
    400: ("ValidationException", 400),
    404: ("ResourceNotFoundException", 404),
    408: ("ModelTimeoutException", 408),
    413: ("ValidationException", 400),
    422: ("ValidationException", 400),
    429: ("ThrottlingException", 429),
    503: ("ModelNotReadyException", 429),
    504: ("ModelTimeoutException", 408),
    529: ("ServiceUnavailableException", 503),
}

# Errors inside a stream come after its status of 200; Anthropic names their kind.
_STATUS_BY_TYPE = {"rate_limit_error": 429, "overloaded_error": 529, "invalid_request_error": 400}


def keep_prompts_out_of_logs(sdk: str) -> None:
    """The SDKs write whole requests to their debug log."""
    logging.getLogger(sdk).setLevel(logging.INFO)


def sdk_timeout(seconds: float) -> httpx2.Timeout:
    return httpx2.Timeout(seconds, connect=min(seconds, _CONNECT_SECONDS))


@contextmanager
def sdk_failures(sdk: ModuleType, secret: str, *, streaming: bool = False) -> Iterator[None]:
    """Turn whatever an SDK raises into a ModelError; `secret` never shows in its message.

    Chained causes are cut, because they hold requests and headers.
    """
    try:
        yield
    except (sdk.APITimeoutError, httpx2.TimeoutException):
        raise timed_out() from None
    except (sdk.APIConnectionError, httpx2.HTTPError):
        raise (broke_off() if streaming else unreachable()) from None
    except sdk.APIResponseValidationError:
        raise malformed() from None
    except sdk.APIStatusError as error:
        raise _refused(error, secret) from None
    except sdk.APIError as error:
        raise ModelError(f"The model's provider failed: {_said(error, secret)}") from None
    except ValueError:
        # JSON that is none.
        raise malformed() from None


@contextmanager
def reading_answer() -> Iterator[None]:
    """The SDKs do not validate answers: one of an unexpected shape fails where it is read."""
    try:
        yield
    except (AttributeError, IndexError, KeyError, TypeError, ValueError):
        raise malformed() from None


def timed_out() -> ModelError:
    return ModelError("The model's provider did not answer in time", "ModelTimeoutException", 408)


def unreachable() -> ModelError:
    message = "The model's provider cannot be reached; check its base_url and that it runs"
    return ModelError(message, "ServiceUnavailableException", 503)


def broke_off() -> ModelError:
    return ModelError("The model's provider broke off its answer in the middle")


def malformed() -> ModelError:
    return ModelError("The model's provider gave an answer that does not follow its own protocol")


def denied() -> ModelError:
    message = "The model's provider refused the server's own credentials; its operator must check them"
    return ModelError(message, "AccessDeniedException", 403)


def _refused(error: Any, secret: str) -> ModelError:
    status = _STATUS_BY_TYPE.get(getattr(error, "type", None) or "", error.status_code)
    if status in (401, 403):
        return denied()
    code, own_status = _BY_STATUS.get(status, ("ModelErrorException", 424))
    return ModelError(f"The model's provider answered {status}: {_said(error, secret)}", code, own_status)


def _said(error: Any, secret: str) -> str:
    """The provider's own words, when it gave any in JSON."""
    body = error.body
    inner = body.get("error", body) if isinstance(body, dict) else None
    message = inner.get("message") if isinstance(inner, dict) else inner
    text = message if isinstance(message, str) else "no reason given"
    return (text.replace(secret, "***") if secret else text)[:500]
