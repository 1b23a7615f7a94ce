"""Policies say who may do what; a deny always wins, and what we do not understand never lets anyone in."""

import re
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from innkeeper.kernel.caller import Caller, CallerKind
from innkeeper.kernel.conditions import arn_match, glob_match
from innkeeper.kernel.policies import (
    AccessRequest,
    Decision,
    PolicyKind,
    evaluate,
    parse_policy,
    validate_policy,
)

ACCOUNT = "123456789012"
MEMORY = f"arn:aws:bedrock-agentcore:us-east-1:{ACCOUNT}:memory/notes-a1B2c3D4e5"
ROOT = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "us-east-1")
ROLE = Caller(
    ACCOUNT,
    f"arn:aws:sts::{ACCOUNT}:assumed-role/Agent/session-1",
    "us-east-1",
    CallerKind.ROLE,
    role=f"arn:aws:iam::{ACCOUNT}:role/Agent",
)
BEARER = Caller(ACCOUNT, "user-1", "us-east-1", CallerKind.BEARER)


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


def allow(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": "Allow", "Action": action, "Resource": resource, **more}


def deny(action: Any = "*", resource: Any = "*", **more: Any) -> dict[str, Any]:
    return allow(action, resource, **more) | {"Effect": "Deny"}


def decide(
    *policies: dict[str, Any],
    caller: Caller = ROLE,
    action: str = "bedrock-agentcore:CreateEvent",
    resource: str = MEMORY,
    context: dict[str, str] | None = None,
) -> Decision:
    return evaluate(policies, AccessRequest.of(caller, action, resource, context))


def test_what_no_statement_names_is_neutral() -> None:
    assert decide(policy(allow("s3:GetObject"))) is Decision.NEUTRAL
    assert decide() is Decision.NEUTRAL


def test_actions_match_in_any_case_and_resources_exactly() -> None:
    assert decide(policy(allow("Bedrock-AgentCore:create*", MEMORY))) is Decision.ALLOW
    assert decide(policy(allow("*", MEMORY.upper()))) is Decision.NEUTRAL


def test_an_explicit_deny_wins_wherever_it_stands() -> None:
    assert decide(policy(allow(), deny("bedrock-agentcore:CreateEvent"))) is Decision.DENY
    assert decide(policy(deny()), policy(allow())) is Decision.DENY


def test_not_action_and_not_resource_mean_all_others() -> None:
    others = {"Effect": "Allow", "NotAction": "iam:*", "NotResource": "arn:aws:s3:::*"}
    assert decide(policy(others)) is Decision.ALLOW
    assert decide(policy(others), action="iam:CreateRole") is Decision.NEUTRAL
    assert decide(policy(others), resource="arn:aws:s3:::b") is Decision.NEUTRAL


@pytest.mark.parametrize(
    "principal",
    ["*", {"AWS": "*"}, {"AWS": ["arn:aws:iam::999999999999:root", ROLE.role]}, {"AWS": ROLE.principal}],
)
def test_a_resource_policy_names_the_role_or_its_session_or_everyone(principal: Any) -> None:
    assert decide(policy(allow(Principal=principal))) is Decision.ALLOW


def test_a_service_principal_is_no_caller() -> None:
    assert decide(policy(allow(Principal={"Service": "bedrock-agentcore.amazonaws.com"}))) is Decision.NEUTRAL


@pytest.mark.parametrize("name", [ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root"])
def test_an_account_allows_its_root_and_leaves_roles_to_their_own_policies(name: str) -> None:
    document = policy(allow(Principal={"AWS": name}))
    assert decide(document, caller=ROOT) is Decision.ALLOW
    assert decide(document, caller=ROLE) is Decision.NEUTRAL
    request = AccessRequest.of(ROLE, "sts:AssumeRole", MEMORY)
    assert evaluate([document], request, delegated=True) is Decision.ALLOW
    assert decide(policy(deny(Principal={"AWS": name})), caller=ROLE) is Decision.DENY


def test_not_principal_spares_only_whom_it_names() -> None:
    document = policy(deny(NotPrincipal={"AWS": ROLE.role}))
    assert decide(document, caller=ROLE) is Decision.NEUTRAL
    assert decide(document, caller=ROOT) is Decision.DENY


def test_a_bearer_is_only_everyone() -> None:
    assert decide(policy(allow(Principal="*")), caller=BEARER) is Decision.ALLOW
    assert decide(policy(allow(Principal={"AWS": ACCOUNT})), caller=BEARER) is Decision.NEUTRAL


@pytest.mark.parametrize(
    ("condition", "held"),
    [
        ({"StringEquals": {"aws:PrincipalAccount": [ACCOUNT, "x"]}}, True),
        ({"StringEquals": {"AWS:principalaccount": "x"}}, False),
        ({"StringNotEquals": {"aws:PrincipalAccount": "x"}}, True),
        ({"StringLike": {"aws:RequestedRegion": "us-*"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": f"arn:aws:iam::{ACCOUNT}:role/*"}}, True),
        ({"ArnLike": {"aws:PrincipalArn": "arn:aws:*:role/Agent"}}, False),
        ({"ArnNotEquals": {"aws:PrincipalArn": "arn:aws:iam::*:role/Other"}}, True),
        ({"StringEquals": {"aws:Missing": "x"}}, False),
        ({"StringNotEquals": {"aws:Missing": "x"}}, True),
        ({"StringEqualsIfExists": {"aws:Missing": "x"}}, True),
        ({"Null": {"aws:Missing": "true"}}, True),
        ({"Null": {"aws:Missing": False}}, False),
        ({"Bool": {"test:flag": True}}, True),
        ({"Bool": {"test:flag": "false"}}, False),
        ({"StringEqualsIgnoreCase": {"test:flag": "TRUE"}}, True),
        ({"Bool": {"test:flag": True}, "StringLike": {"aws:RequestedRegion": "eu-*"}}, False),
    ],
)
def test_conditions(condition: dict[str, Any], held: bool) -> None:
    context = {"test:flag": "true"}
    allowed = decide(policy(allow(Condition=condition)), context=context)
    denied = decide(policy(deny(Condition=condition)), context=context)
    assert (allowed is Decision.ALLOW, denied is Decision.DENY) == (held, held)


def test_a_condition_that_we_do_not_know_never_allows_and_always_denies() -> None:
    unknown = {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}
    assert decide(policy(allow(Condition=unknown))) is Decision.NEUTRAL
    assert decide(policy(deny(Condition=unknown))) is Decision.DENY
    false_as_well = unknown | {"StringEquals": {"aws:PrincipalAccount": "x"}}
    assert decide(policy(deny(Condition=false_as_well))) is Decision.NEUTRAL


@pytest.mark.parametrize(
    ("document", "problem"),
    [
        ([], "must be a JSON object"),
        ({"Statement": []}, "at least one statement"),
        ({"Version": "2020-01-01", "Statement": allow()}, "Version must be"),
        ({"Version": ["2012-10-17"], "Statement": allow()}, "Version must be"),
        ({"Statement": allow(), "Extra": 1}, "unknown element 'Extra'"),
        ({"Statement": "x"}, "statement 1: must be an object"),
        ({"Statement": allow() | {"Effect": "Maybe"}}, "Effect must be"),
        ({"Statement": {"Effect": "Allow", "Resource": "*"}}, "exactly one of Action"),
        ({"Statement": allow(NotAction="x")}, "exactly one of Action"),
        ({"Statement": allow(action=[])}, "Action must be a text"),
        ({"Statement": allow(action=[1])}, "Action must be a text"),
        ({"Statement": allow(Principal="*")}, "Principal has no place"),
        ({"Statement": allow(Condition={"Bool": "x"})}, "Condition must map"),
        ({"Statement": allow(resource="arn:aws:s3:::${aws:username}")}, "policy variables"),
    ],
)
def test_an_invalid_identity_policy_says_what_is_wrong(document: Any, problem: str) -> None:
    assert any(problem in found for found in validate_policy(document))


@pytest.mark.parametrize("principal", [{}, "me", {"Aws": "x"}, {"AWS": []}, {"AWS": 5}, None, ["*"]])
def test_an_invalid_principal_is_found(principal: Any) -> None:
    assert validate_policy(policy(allow(Principal=principal)), PolicyKind.RESOURCE)


def test_a_trust_policy_has_no_resource() -> None:
    statement = {"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": {"AWS": ACCOUNT}}
    assert validate_policy(policy(statement), PolicyKind.TRUST) == []
    assert validate_policy(policy(statement | {"Resource": "*"}), PolicyKind.TRUST)


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "null", '"x"'])
def test_a_text_that_is_no_policy_is_a_value_error(text: str) -> None:
    with pytest.raises(ValueError, match="polic"):
        parse_policy(text, PolicyKind.RESOURCE)


@given(st.text("ab*?", max_size=12), st.text("ab", max_size=12))
def test_globs_match_as_a_regular_expression_does(pattern: str, text: str) -> None:
    regex = "".join({"*": ".*", "?": "."}.get(letter, letter) for letter in pattern)
    assert glob_match(pattern, text) == (re.fullmatch(regex, text) is not None)


def test_a_hostile_glob_ends_soon() -> None:
    assert not glob_match("*a" * 200 + "b", "a" * 2000)


def test_arn_patterns_do_not_reach_over_colons() -> None:
    assert arn_match("arn:aws:s3:::bucket/*", "arn:aws:s3:::bucket/a:b")
    assert not arn_match("arn:*", "arn:aws:s3:::bucket")


PATTERNS = st.lists(st.sampled_from(["*", "s:A", "s:B", "s:?"]), min_size=1, max_size=2)
RESOURCES = st.lists(st.sampled_from(["*", "r1", "r2", "r?"]), min_size=1, max_size=2)
STATEMENTS = st.builds(
    lambda effect, action, actions, resource, resources: {
        "Effect": effect,
        action: actions,
        resource: resources,
    },
    st.sampled_from(["Allow", "Deny"]),
    st.sampled_from(["Action", "NotAction"]),
    PATTERNS,
    st.sampled_from(["Resource", "NotResource"]),
    RESOURCES,
)
WORLD = {
    "*": {"s:A", "s:B", "r1", "r2"},
    "s:?": {"s:A", "s:B"},
    "r?": {"r1", "r2"},
}


def _covers(statement: dict[str, Any], element: str, value: str) -> bool:
    listed = statement.get(element, statement.get(f"Not{element}"))
    assert listed is not None
    return (value in set().union(*(WORLD.get(item, {item}) for item in listed))) == (element in statement)


@given(st.lists(STATEMENTS, min_size=1, max_size=5), st.sampled_from("AB"), st.sampled_from("12"))
def test_decisions_are_those_of_a_brute_force_reading(
    statements: list[dict[str, Any]], action: str, resource: str
) -> None:
    document = policy(*statements)
    assert validate_policy(document) == []
    effects = {
        statement["Effect"]
        for statement in statements
        if _covers(statement, "Action", f"s:{action}") and _covers(statement, "Resource", f"r{resource}")
    }
    expected = (
        Decision.DENY if "Deny" in effects else Decision.ALLOW if "Allow" in effects else Decision.NEUTRAL
    )
    assert evaluate([document], AccessRequest(f"s:{action}", f"r{resource}")) is expected


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                ["Version", "Statement", "Effect", "Action", "Resource", "Principal", "Condition", "AWS"]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON, st.sampled_from(PolicyKind))
def test_any_document_is_judged_and_every_valid_one_can_be_evaluated(document: Any, kind: PolicyKind) -> None:
    if not validate_policy(document, kind):
        evaluate([document], AccessRequest.of(ROLE, "s:A", "r1"))
