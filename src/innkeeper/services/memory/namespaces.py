"""Namespaces: where records lie, as paths. Templates of them, and scopes to look in."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from innkeeper.kernel.call import Document
from innkeeper.services.memory.model import invalid

OWN_VARIABLES = frozenset({"actorId", "sessionId", "memoryStrategyId"})
# Where an actor's notes lie in every memory: what an agent or the person itself asked to remember.
NOTES = "/notes/{actorId}/"
_VARIABLE = re.compile(r"\{([a-zA-Z][a-zA-Z0-9]*)\}")


@dataclass(frozen=True, slots=True)
class Scope:
    """One namespace exactly, or the namespace at a path and all below it."""

    path: str
    subtree: bool

    @classmethod
    def of(cls, params: Document) -> "Scope":
        """Raises InvalidRequest unless exactly one of `namespace` and `namespacePath` is there."""
        exact, path = params.get("namespace"), params.get("namespacePath")
        if (exact is None) == (path is None):
            raise invalid(
                "namespace",
                "give exactly one of namespace, for records that lie exactly there, and namespacePath, for "
                "those and all that lie below",
            )
        scope = cls(str(path), True) if exact is None else cls(str(exact), False)
        if "*" in scope.path:
            raise invalid(
                "namespace", "wildcards (*) are not supported; namespacePath finds all below a path"
            )
        return scope

    @property
    def base(self) -> str:
        """The path without the slashes at its end."""
        return self.path.rstrip("/")

    def contains(self, namespace: str) -> bool:
        """`/a/b/` and `/a/b` hold the same below them; `/a/bc` lies below neither."""
        if not self.subtree:
            return namespace == self.path
        return (namespace == self.base and namespace != "") or namespace.startswith(self.base + "/")


def variables(template: str) -> list[str]:
    return _VARIABLE.findall(template)


def check_template(member: str, template: str, keys: Iterable[str]) -> None:
    """Raises InvalidRequest for a variable that has no meaning."""
    known = OWN_VARIABLES | set(keys)
    if unknown := [name for name in variables(template) if name not in known]:
        allowed = ", ".join(sorted(known))
        raise invalid(member, f"there is no variable {{{unknown[0]}}}; there are: {allowed}")


def filled(template: str, values: Mapping[str, str]) -> str:
    """The namespace that a template makes. Raises InvalidRequest for a variable without a value."""
    if missing := [name for name in variables(template) if name not in values]:
        raise invalid(
            "extractionConfig.namespaceVariables",
            f"the namespace template {template} needs {missing[0]}, which the event does not give",
        )
    return _VARIABLE.sub(lambda found: values[found[1]], template)


def instances(template: str, known: Mapping[str, str]) -> re.Pattern[str]:
    """What matches the namespaces that a template makes, with these of its variables given. Only an actor's
    id may hold slashes."""
    parts = _VARIABLE.split(template)  # text, variable, text, variable, ..., text
    pattern = re.escape(parts[0])
    for name, text in zip(parts[1::2], parts[2::2], strict=True):
        anything = ".+" if name == "actorId" else "[^/]+"
        pattern += (re.escape(known[name]) if name in known else anything) + re.escape(text)
    return re.compile(pattern)


def templates(strategies: Iterable[Document]) -> list[tuple[str, str]]:
    """All templates of strategies, those of reflections too, each with its strategy's id."""
    found = []
    for strategy in strategies:
        found += [(template, strategy["strategyId"]) for template in strategy["namespaceTemplates"]]
        for kind in strategy.get("configuration", {}).get("reflection", {}).values():
            inner = kind.get("episodicReflectionOverride", kind)
            found += [(template, strategy["strategyId"]) for template in inner.get("namespaceTemplates", ())]
    return found


def _places(strategies: Iterable[Document]) -> list[tuple[str, str]]:
    """The templates of strategies, and that of notes, which has none."""
    return [(NOTES, ""), *templates(strategies)]


def may_hold_records(strategies: Iterable[Document], namespace: str) -> bool:
    """Whether one of the strategies could make a record in exactly this namespace."""
    return any(
        instances(template, {"memoryStrategyId": strategy_id}).fullmatch(namespace)
        for template, strategy_id in _places(strategies)
    )


def is_of(strategies: Iterable[Document], namespace: str, actor: str, session: str | None = None) -> bool:
    """Whether a strategy makes this namespace for the actor (and, if given, for the session) alone."""
    known, needed = {"actorId": actor}, {"actorId"}
    if session is not None:
        known["sessionId"], needed = session, {"actorId", "sessionId"}
    return any(
        needed <= set(variables(template))
        and instances(template, {**known, "memoryStrategyId": strategy_id}).fullmatch(namespace)
        for template, strategy_id in _places(strategies)
    )


def paths_of(strategies: Iterable[Document], actor: str) -> list[str]:
    """Paths below which lie all namespaces that strategies make for an actor, and perhaps others'; none lies
    below another."""
    paths = set()
    for template, strategy_id in _places(strategies):
        if "actorId" not in variables(template):
            continue
        known = {"actorId": actor, "memoryStrategyId": strategy_id}
        texts = _VARIABLE.split(template)  # text, variable, text, variable, ..., text
        path = texts[0]
        for name, text in zip(texts[1::2], texts[2::2], strict=True):
            if name not in known:
                path = path.rpartition("/")[0] + "/"
                break
            path += known[name] + text
        paths.add(path)
    kept: list[str] = []
    for path in sorted(paths, key=len):
        if not any(Scope(one, subtree=True).contains(path) for one in kept):
            kept.append(path)
    return kept
