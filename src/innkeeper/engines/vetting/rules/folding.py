"""Folding: a text as a model would understand it, whatever it was disguised as."""

import base64
import binascii
import re
import unicodedata
from dataclasses import dataclass

# Letters of other alphabets that look like Latin ones.
_LOOKALIKES = str.maketrans("авекмнорстухѕіјԁԛԝɡοαερτυνικ", "abekmhopctyxsijdqwgoaeptuvik")
_DIGITS = str.maketrans("013457@$", "oieastas")
_UNSEEN = re.compile(
    "[\u00ad\u200b\u200e\u200f\u2060-\u2064\ufeff\u202a-\u202e\u2066-\u2069\U000e0000-\U000e007f]"
)
_JOINERS = re.compile("(?<![\u0590-\u0fff\U0001f000-\U0001faff\ufe0f])[\u200c\u200d]")
_TAGS = re.compile("[\U000e0020-\U000e007e]")
_FLAG = re.compile("\U0001f3f4[\U000e0020-\U000e007f]+")
_FLIPPED = re.compile("\u202e([^\u202c]*)")
_APART = re.compile(r"\b(?:\w[-.·_*]){3,}\w\b")
_MIXED = re.compile(r"\b(?:[a-z]+[013457@$]+[a-z]|[013457@$]+[a-z]{2,}|[a-z][013457@$]{2})")
_ENCODED = re.compile(r"(?<![\w/+.])[A-Za-z0-9+/]{24,}={0,2}(?![\w/+])")
_READABLE = re.compile(r"[A-Za-z]+(?:[ ,.'-]+[A-Za-z]+){3,}[ .!]*")
_SHORT = re.compile(r"\b(dr|mr|mrs|ms|prof|st|no|e\.g|i\.e)\.(?= )")  # no ends of sentences
_HIDDEN_MIN = 3


@dataclass(frozen=True, slots=True)
class Folded:
    """`text` is in lower case. `tricks` are the names of the disguises."""

    text: str
    tricks: tuple[str, ...]


def fold(text: str) -> Folded:
    tricks = []
    if text.isascii():
        plain = text
    else:
        plain, hidden = _seen(text)
        tricks += ["hidden text"] if hidden else []
        latin = _latin(plain)
        tricks += ["look-alike letters"] if latin is not plain else []
        plain = latin
    if decoded := _decoded(plain):
        tricks.append("encoded text")
        plain = f"{plain}\n{decoded}"
    lower = _SHORT.sub(r"\1", plain.lower())
    joined = _APART.sub(lambda found: re.sub(r"[-.·_*]", "", found.group()), lower)
    tricks += ["letters apart"] if len(_APART.findall(lower)) > 1 else []
    if len(_MIXED.findall(joined)) > 1:
        joined = f"{joined}\n{joined.translate(_DIGITS)}"
    return Folded(joined, tuple(tricks))


def _seen(text: str) -> tuple[str, bool]:
    """Without what nobody sees, which is spelled out where it spells something; whether there was any."""
    text = _FLAG.sub("", text)
    tags = "".join(chr(ord(one) - 0xE0000) for one in _TAGS.findall(text))
    flipped = " ".join(part[::-1] for part in _FLIPPED.findall(text))
    unseen = len(_UNSEEN.findall(text)) + len(_JOINERS.findall(text))
    plain = unicodedata.normalize("NFKC", _JOINERS.sub("", _UNSEEN.sub("", text)))
    told = "\n".join(part for part in (plain, tags, flipped) if part)
    return told, unseen >= _HIDDEN_MIN or bool(flipped)


def _latin(text: str) -> str:
    """The same object unless a word mixes alphabets."""
    mixed = re.search(
        "[a-z][\u0370-\u04ff\u0500-\u052f]|[\u0370-\u04ff\u0500-\u052f][a-z]", text, re.IGNORECASE
    )
    return text.lower().translate(_LOOKALIKES) if mixed else text


def _decoded(text: str) -> str:
    """What base64 in it says, where it is prose."""
    said = []
    for found in _ENCODED.findall(text):
        try:
            plain = base64.b64decode(found + "=" * (-len(found) % 4), validate=True).decode("ascii")
        except (binascii.Error, ValueError):
            continue
        if _READABLE.fullmatch(plain):
            said.append(plain)
    return "\n".join(said)
