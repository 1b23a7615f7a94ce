"""Namespaces: what lies in a scope, and what a template makes."""

from hypothesis import given
from hypothesis import strategies as st

from innkeeper.services.memory.namespaces import Scope, instances, is_of, may_hold_records

WORDS = st.text("aB-_0", min_size=1, max_size=3)
PATHS = st.lists(WORDS, min_size=1, max_size=4).map(lambda words: "/" + "/".join(words))
SLASH = st.sampled_from(["", "/"])


@given(PATHS, PATHS, SLASH, SLASH)
def test_a_path_holds_itself_and_what_lies_below(path: str, other: str, slash: str, end: str) -> None:
    scope = Scope(path + slash, subtree=True)
    assert scope.contains(path + end)
    assert scope.contains(path + other + end)
    assert scope.contains(other) == (other == path or other.startswith(path + "/"))
    assert not scope.contains(path + "x" + end)
    assert Scope("/", subtree=True).contains(path + end)


@given(PATHS, PATHS, SLASH)
def test_a_namespace_holds_only_itself(path: str, other: str, end: str) -> None:
    assert Scope(path, subtree=False).contains(other + end) == (path == other + end)


@given(WORDS, WORDS, PATHS)
def test_a_template_makes_namespaces_for_each_actor_alone(actor: str, other: str, session: str) -> None:
    session = session[1:].replace("/", "-")
    template = "/of/{memoryStrategyId}/{actorId}/in/{sessionId}/"
    strategy = {"strategyId": "s-1", "namespaceTemplates": [template]}
    made = f"/of/s-1/{actor}/in/{session}/"
    assert instances(template, {}).fullmatch(made)
    assert may_hold_records([strategy], made)
    assert not may_hold_records([strategy], made.replace("s-1", "s-2"))
    assert not may_hold_records([strategy], made.removesuffix("/"))
    assert is_of([strategy], made, actor)
    assert is_of([strategy], made, actor, session)
    assert not is_of([strategy], made, actor, session + "x")
    assert is_of([strategy], made, other) == (actor == other)


def test_an_actor_may_have_slashes_and_a_shared_namespace_is_nobodys() -> None:
    facts = {"strategyId": "s-1", "namespaceTemplates": ["/facts/{actorId}/"]}
    shared = {"strategyId": "s-2", "namespaceTemplates": ["/shared/"]}
    assert is_of([facts, shared], "/facts/team/ann:1/", "team/ann:1")
    assert not is_of([facts, shared], "/facts/team/ann/", "ann")
    assert not is_of([facts, shared], "/shared/", "ann")
    assert not is_of([facts], "/facts/ann/", "ann", "first")
