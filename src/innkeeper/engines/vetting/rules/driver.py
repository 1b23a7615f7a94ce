"""Vetting by rules: patterns that add up."""

import asyncio
import re
from collections.abc import Sequence

from innkeeper.engines.vetting.rules.folding import Folded, fold
from innkeeper.engines.vetting.rules.rule import Rule, read
from innkeeper.engines.vetting.rules.shapes import stuffed
from innkeeper.engines.vetting.vetting import Judgement, Statement, Voice

_ENGLISH = read("english")
_BOTH = (*_ENGLISH, *read("chinese"))
_HAN = re.compile("[\u4e00-\u9fff]")
_AT_ONCE = 4_000  # characters, some milliseconds; more would keep others waiting
_TRICK = {Voice.TOOL: 0.5, Voice.ASSISTANT: 0.5, Voice.USER: 0.5}
_STUFFED = {Voice.TOOL: 0.6, Voice.ASSISTANT: 0.6, Voice.USER: 0.5}
# Who speaks about attacks, and quotes one, makes none; what comes from outside is not given that benefit.
_ABOUT = re.compile(
    r"\b(?:prompt injections?|injection|attacks?|attackers?|phishing|jailbreak\w*|pentest\w*|red team|phrase|"
    r"tested|malicious|example of|says|paper|incident|means?|quote\w*|blog post|poison\w*|stopped working)\b|"
    "注入|攻击|钓鱼|研究"
)
_QUOTED = re.compile(r"\"[^\"\n]{1,300}\"|“[^”\n]{1,300}”|「[^」\n]{1,300}」|`[^`\n]{1,300}`")


class RuleVetting:
    """Knows nothing but the text: the same answer each time."""

    async def judge(self, statements: Sequence[Statement]) -> Sequence[Judgement]:
        if sum(len(one.text) for one in statements) <= _AT_ONCE:
            return _judge_all(statements)
        return await asyncio.to_thread(_judge_all, statements)

    async def close(self) -> None:
        pass


def _judge_all(statements: Sequence[Statement]) -> Sequence[Judgement]:
    return list(map(judge, statements))


def judge(statement: Statement) -> Judgement:
    voice, folded = statement.voice, fold(statement.text)
    if voice is not Voice.TOOL and _ABOUT.search(folded.text):
        folded = Folded(_QUOTED.sub(" ", folded.text), folded.tricks)
    weights: dict[str, float] = {}
    for one in _rules_for(folded.text):
        weight = one.weights[voice]
        if weight > weights.get(one.sign, 0.0) and one.found(folded.text):
            weights[one.sign] = weight
    weights |= dict.fromkeys(folded.tricks, _TRICK[voice])
    if stuffed(folded.text):
        weights["stuffed with keywords"] = _STUFFED[voice]
    signs = tuple(sorted(weights, key=lambda sign: -weights[sign]))
    return Judgement(round(min(1.0, sum(weights.values())), 3), signs)


def _rules_for(text: str) -> Sequence[Rule]:
    return _BOTH if _HAN.search(text) else _ENGLISH
