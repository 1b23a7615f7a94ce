"""IAM policy documents: what is a valid one, and what it says about a request.

https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_evaluation-logic.html
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.conditions import conditions_hold, glob_match

Policy = Mapping[str, Any]


class Decision(StrEnum):
    """`NEUTRAL`: nothing in the policy speaks of the request."""

    ALLOW = "allow"
    DENY = "deny"
    NEUTRAL = "neutral"


class PolicyKind(StrEnum):
    """What a policy hangs on decides which elements it has."""

    IDENTITY = "identity"  # Resource, no Principal
    RESOURCE = "resource"  # Resource and Principal
    TRUST = "trust"  # Principal, no Resource


@dataclass(frozen=True, slots=True)
class AccessRequest:
    """One question put to a policy.

    `names` are the ARNs of the caller itself, `account_names` those that stand for its whole account.
    `context` has its condition keys in lower case.
    """

    action: str
    resource: str = ""
    names: frozenset[str] = frozenset()
    account_names: frozenset[str] = frozenset()
    context: Mapping[str, str] = field(default_factory=dict)

    @classmethod
    def of(
        cls, caller: Caller, action: str, resource: str, context: Mapping[str, str] | None = None
    ) -> "AccessRequest":
        account = frozenset({caller.account, f"arn:aws:iam::{caller.account}:root"})
        own = {
            CallerKind.ROOT: account,
            CallerKind.ROLE: frozenset({caller.principal, caller.role}),
            CallerKind.BEARER: frozenset[str](),
        }[caller.kind]
        known = {
            "aws:principalarn": caller.role or caller.principal,
            "aws:principalaccount": caller.account,
            "aws:requestedregion": caller.region,
        }
        bearer = caller.kind is CallerKind.BEARER
        return cls(
            action,
            resource,
            own,
            frozenset() if bearer else account,
            ({} if bearer else known) | dict(context or {}),
        )


def evaluate(policies: Iterable[Policy], request: AccessRequest, delegated: bool = False) -> Decision:
    """What valid policies say together: an explicit deny wins over any allow.

    An allow that names the whole account speaks for a role of it only when `delegated`, because the role's
    own policies must then allow the action too; a deny that names the account always holds. A condition
    that we do not know never allows and always denies.
    """
    decision = Decision.NEUTRAL
    for policy in policies:
        for statement in _many(policy["Statement"]):
            denies = statement["Effect"] == "Deny"
            if not _applies(statement, request, denies, delegated):
                continue
            if denies:
                return Decision.DENY
            decision = Decision.ALLOW
    return decision


def _applies(statement: Policy, request: AccessRequest, denies: bool, delegated: bool) -> bool:
    action = request.action.lower()
    if not _selects(statement, "Action", lambda pattern: glob_match(pattern.lower(), action)):
        return False
    if not _selects(statement, "Resource", lambda pattern: glob_match(pattern, request.resource)):
        return False
    if not _names_caller(statement, request, denies, delegated):
        return False
    held = conditions_hold(statement.get("Condition", {}), request.context)
    return denies if held is None else held


def _selects(statement: Policy, element: str, test: Callable[[str], bool]) -> bool:
    if element in statement:
        return any(map(test, _many(statement[element])))
    return not any(map(test, _many(statement.get(f"Not{element}", []))))


def _names_caller(statement: Policy, request: AccessRequest, denies: bool, delegated: bool) -> bool:
    negated = "NotPrincipal" in statement
    principal = statement.get("NotPrincipal" if negated else "Principal")
    if principal is None:
        return True
    names = request.names
    if denies != negated or (delegated and not denies):
        # The wider reading of who is named, wherever that makes the answer stricter.
        names = names | request.account_names
    listed = _many(principal) if principal == "*" else _listed(principal)
    return ("*" in listed or not names.isdisjoint(listed)) != negated


def _listed(principal: Policy) -> list[Any]:
    """Accounts, roles and services by name: a service's can be no ARN."""
    return [name for kind in ("AWS", "Service") for name in _many(principal.get(kind, []))]


def parse_policy(text: str, kind: PolicyKind) -> dict[str, Any]:
    """The document in a JSON text. Raises ValueError with all that is wrong with it."""
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise ValueError("the policy is not JSON") from error
    problems = validate_policy(document, kind)
    if problems:
        raise ValueError("; ".join(problems))
    return dict(document)


def validate_policy(document: object, kind: PolicyKind = PolicyKind.IDENTITY) -> list[str]:
    """What is wrong with a policy document; empty when it is valid."""
    if not isinstance(document, dict):
        return ["the policy must be a JSON object"]
    problems = [
        f"unknown element {name!r}" for name in document if name not in ("Version", "Id", "Statement")
    ]
    if document.get("Version", "2008-10-17") not in ("2012-10-17", "2008-10-17"):
        problems.append("Version must be 2012-10-17 or 2008-10-17")
    statements = _many(document.get("Statement", []))
    if not statements:
        problems.append("Statement must hold at least one statement")
    for number, statement in enumerate(statements, 1):
        found = _statement_problems(statement, kind) if isinstance(statement, dict) else ["must be an object"]
        problems += [f"statement {number}: {problem}" for problem in found]
    return problems


_ELEMENTS = {"Sid", "Effect", "Condition"} | {
    f"{prefix}{name}" for name in ("Action", "Resource", "Principal") for prefix in ("", "Not")
}


def _statement_problems(statement: Policy, kind: PolicyKind) -> list[str]:
    problems = [f"unknown element {name!r}" for name in statement if name not in _ELEMENTS]
    if statement.get("Effect") not in ("Allow", "Deny"):
        problems.append("Effect must be Allow or Deny")
    problems += _choice_problems(statement, "Action", True, _list_problem)
    problems += _choice_problems(statement, "Resource", kind is not PolicyKind.TRUST, _list_problem)
    problems += _choice_problems(statement, "Principal", kind is not PolicyKind.IDENTITY, _principal_problem)
    if not _is_condition(statement.get("Condition", {})):
        problems.append("Condition must map operators to condition keys to values")
    if "${" in json.dumps(statement):
        problems.append("policy variables (${...}) are not supported")
    return problems


def _choice_problems(statement: Policy, element: str, wanted: bool, check: Callable[[Any], str]) -> list[str]:
    present = [name for name in (element, f"Not{element}") if name in statement]
    if not wanted:
        return [f"{name} has no place in this kind of policy" for name in present]
    if len(present) != 1:
        return [f"exactly one of {element} and Not{element} is needed"]
    problem = check(statement[present[0]])
    return [f"{present[0]} {problem}"] if problem else []


def _list_problem(value: Any) -> str:
    values = _many(value)
    fine = values and all(isinstance(item, str) and item for item in values)
    return "" if fine else "must be a text or a list of texts"


def _principal_problem(value: Any) -> str:
    if value == "*":
        return ""
    if not isinstance(value, dict) or not value:
        return 'must be "*" or an object'
    unknown = [name for name in value if name not in ("AWS", "Service", "Federated", "CanonicalUser")]
    if unknown:
        return f"has an unknown kind {unknown[0]!r}"
    return next(filter(None, map(_list_problem, value.values())), "")


def _is_condition(block: Any) -> bool:
    return isinstance(block, dict) and all(
        isinstance(keys, dict)
        and all(
            isinstance(value, str | bool | int | float) for values in keys.values() for value in _many(values)
        )
        for keys in block.values()
    )


def _many(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]
