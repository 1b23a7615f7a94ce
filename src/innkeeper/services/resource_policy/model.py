"""What a resource policy must be."""

from innkeeper.kernel.errors import FieldError, InvalidRequest
from innkeeper.kernel.policies import PolicyKind, parse_policy


def check_policy(text: str) -> None:
    """Raises InvalidRequest naming `policy`."""
    try:
        parse_policy(text, PolicyKind.RESOURCE)
    except ValueError as error:
        message = f"policy is not a valid resource policy: {error}"
        raise InvalidRequest(message, (FieldError("policy", str(error)),)) from error
