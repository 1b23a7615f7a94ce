"""Random passwords (`GetRandomPassword`)."""

import secrets
import string

from innkeeper.kernel.call import Document
from innkeeper.services.secrets_manager.model import invalid

LENGTH = 32
LONGEST = 4096

_KINDS = {
    "ExcludeLowercase": string.ascii_lowercase,
    "ExcludeUppercase": string.ascii_uppercase,
    "ExcludeNumbers": string.digits,
    "ExcludePunctuation": string.punctuation,
}


def random_password(parameters: Document) -> str:
    """With at least one character of each kind that may be in it, unless `RequireEachIncludedType` is false.
    Raises InvalidRequest when it cannot be."""
    excluded = parameters.get("ExcludeCharacters", "")
    kinds = [kind for name, kind in _KINDS.items() if not parameters.get(name)]
    allowed = ["".join(one for one in kind if one not in excluded) for kind in kinds]
    if parameters.get("IncludeSpace") and " " not in excluded:
        allowed.append(" ")
    length = parameters.get("PasswordLength", LENGTH)
    if not 1 <= length <= LONGEST:
        raise invalid("PasswordLength", f"it must be from 1 to {LONGEST}")
    alphabet = "".join(allowed)
    if not alphabet:
        raise invalid("ExcludeCharacters", "no character is left to make a password of")
    each = [kind for kind in allowed if kind] if parameters.get("RequireEachIncludedType", True) else []
    if length < len(each):
        raise invalid("PasswordLength", f"it must be at least {len(each)}, to have each included type")
    drawn = [secrets.choice(kind) for kind in each]
    drawn += [secrets.choice(alphabet) for _ in range(length - len(each))]
    secrets.SystemRandom().shuffle(drawn)
    return "".join(drawn)
