"""Sentences that give orders to whoever reads them, instead of telling something."""

import re

from innkeeper.engines.extraction.model.legible import plainly_written
from innkeeper.engines.extraction.model.sentences import sentences

_AGENT = r"(the |an? |your )?(assistant|agent|ai|bot|model|chatbot)"

# Never a thing to remember, and no ground for one: turns that would take the reader over.
_TAKEOVER = re.compile(
    r"\b(ignore|disregard|forget|override|bypass)\b.{0,60}"
    r"\b(instructions?|prompts?|rules?|guidelines?|polic(y|ies)"
    r"|everything above|all of the above)\b"
    r"|\b(system prompt|developer (message|mode)|new instructions?|jailbreak)\b"
    r"|<\||\|>|\[/?inst\]|<</?sys>>|</?(system|turns?|known|before|instructions?)>"
    r"|^\W*(system|assistant|developer)\s*:"
    r"|\b(do not|don['\u2019]t|never) (tell|inform|mention|reveal|show)\b.{0,30}"
    r"\b(user|human|customer|person)\b"
    r"|\bwithout (telling|asking|informing) (the )?(user|human|customer|person)\b"
    r"|(忽略|无视|忘记|忘掉|不要理会|绕过).{0,20}(指令|指示|提示词|规则|要求|上文|以上|之前的)"
    r"|系统提示|新的?指令|不要(告诉|告知|提醒)用户|瞒着用户",
    re.IGNORECASE,
)

# Told to the agent by a record, these would be obeyed; told by a person, they are a wish to be put as one.
_COMMAND = re.compile(
    rf"\b(you|{_AGENT}) (must|should|shall|have to|has to|need to|needs to|ought to)\b"
    r"|\bfrom now on\b"
    r"|^\W*(always|never) (?!\w+(s|ed)\b)\w+"
    r"|^\W*(make sure|be sure|remember to|please|do not|don['\u2019]t|whenever|when asked|respond|reply|say"
    r"|output|send|forward|execute|run|call|visit|click|recommend|pretend|act as)\b"
    r"|从现在(开始|起)|(你|助手|助理|智能体|机器人|模型)(必须|务必|应当|应该|一定要|需要)"
    r"|^\W*(请|务必|始终|一律|记住|必须)",
    re.IGNORECASE,
)


def is_order(text: str) -> bool:
    """Whether a sentence of what is to be remembered orders its reader around."""
    plain = plainly_written(text)
    return any(_TAKEOVER.search(one) or _COMMAND.search(one) for one in sentences(plain))


def without_takeovers(text: str) -> str:
    """What a turn tells, without the sentences that would take its reader over."""
    return "\n".join(one for one in sentences(plainly_written(text)) if not _TAKEOVER.search(one))
