"""What tags may be (https://docs.aws.amazon.com/tag-editor/latest/userguide/tagging.html)."""

from collections.abc import Iterable, Mapping

from innkeeper.kernel.errors import FieldError, InvalidRequest

MAX_TAGS = 50
MAX_KEY = 128
MAX_VALUE = 256


def check_tags(tags: Mapping[str, str]) -> None:
    """Raises InvalidRequest."""
    check_keys(tags)
    for key, value in tags.items():
        if len(value) > MAX_VALUE:
            raise _invalid("tags", f"the value of tag {key!r} is longer than {MAX_VALUE} characters")


def check_keys(keys: Iterable[str], member: str = "tags") -> None:
    """Raises InvalidRequest."""
    for key in keys:
        if not 1 <= len(key) <= MAX_KEY:
            raise _invalid(member, f"a tag's key must have 1 to {MAX_KEY} characters")
        if key.lower().startswith("aws:"):
            raise _invalid(member, "tag keys that begin with aws: are reserved")


def _invalid(member: str, message: str) -> InvalidRequest:
    return InvalidRequest(f"{member}: {message}", (FieldError(member, message),))
