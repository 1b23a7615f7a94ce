"""Which secrets a list shows (`Filters` of ListSecrets and BatchGetSecretValue).

https://docs.aws.amazon.com/secretsmanager/latest/userguide/manage_search-secret.html
"""

import re
from collections.abc import Iterator, Sequence

from innkeeper.kernel.call import Document
from innkeeper.services.secrets_manager.model import Secret

_WORD = re.compile(r"\w+")


def passes(secret: Secret, filters: Sequence[Document]) -> bool:
    """Whether it has one of the values of each filter, and none of those that begin with `!`."""
    return all(
        _passes(secret, one["Key"], one["Values"]) for one in filters if "Key" in one and "Values" in one
    )


def _passes(secret: Secret, key: str, values: Sequence[str]) -> bool:
    wanted = [value for value in values if not value.startswith("!")]
    refused = [value[1:] for value in values if value.startswith("!")]
    if any(_has(secret, key, value) for value in refused):
        return False
    return not wanted or any(_has(secret, key, value) for value in wanted)


def _has(secret: Secret, key: str, value: str) -> bool:
    match key:
        case "name":
            return secret.name.startswith(value)
        case "description":
            return secret.description.lower().startswith(value.lower())
        case "tag-key":
            return any(tag.startswith(value) for tag in secret.tags)
        case "tag-value":
            return any(tag.startswith(value) for tag in secret.tags.values())
        case "all":
            words = [word.lower() for text in _texts(secret) for word in _WORD.findall(text)]
            return all(any(has.startswith(word) for has in words) for word in _WORD.findall(value.lower()))
        case _:  # replicas' regions and managing services: no secret has them here
            return False


def _texts(secret: Secret) -> Iterator[str]:
    yield from (secret.name, secret.description)
    yield from secret.tags
    yield from secret.tags.values()
