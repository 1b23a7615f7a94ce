"""From method and path to the operation that a REST service model gives them."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, unquote

from botocore.model import OperationModel, ServiceModel

from innkeeper.aws.models import operations


@dataclass(frozen=True, slots=True)
class Route:
    operation: OperationModel
    label_names: tuple[str, ...]
    ends_with_slash: bool
    query: dict[str, list[str]]  # literals of the template, such as `?list-type=2`

    @classmethod
    def of(cls, operation: OperationModel) -> "Route":
        path, _, query = operation.http["requestUri"].partition("?")
        labels = tuple(segment[1:-1] for segment in path.split("/") if _is_label(segment))
        return cls(operation, labels, path.endswith("/"), parse_qs(query, keep_blank_values=True))


@dataclass(slots=True)
class _Node:
    literals: dict[str, "_Node"] = field(default_factory=dict)
    label: "_Node | None" = None
    routes: dict[str, list[Route]] = field(default_factory=dict)  # by method


class Router:
    """The merged routes of several models.

    Paths are split while still encoded and decoded label by label, since labels carry ARNs with encoded
    slashes. A trailing slash is as modelled; where the model has only one of the two forms, both match.
    """

    def __init__(self, models: Iterable[ServiceModel]) -> None:
        self._root = _Node()
        for model in models:
            for operation in operations(model):
                self._add(Route.of(operation))

    def match(self, method: str, raw_path: str, query_string: bytes) -> tuple[Any, dict[str, str]] | None:
        """The operation and its decoded path labels, or None when nothing is there."""
        segments = raw_path.removeprefix("/").removesuffix("/").split("/")
        found = _find(self._root, method, segments, ())
        if found is None:
            return None
        routes, values = found
        route = _choose(routes, raw_path.endswith("/"), query_string)
        if route is None:
            return None
        return route.operation, dict(zip(route.label_names, map(unquote, values), strict=True))

    def _add(self, route: Route) -> None:
        path = route.operation.http["requestUri"].partition("?")[0]
        node = self._root
        for segment in path.removeprefix("/").removesuffix("/").split("/"):
            if _is_label(segment):
                node.label = node.label or _Node()
                node = node.label
            else:
                node = node.literals.setdefault(segment, _Node())
        node.routes.setdefault(route.operation.http["method"], []).append(route)


def _is_label(segment: str) -> bool:
    return segment.startswith("{")


def _find(
    node: _Node, method: str, segments: Sequence[str], values: tuple[str, ...]
) -> tuple[list[Route], tuple[str, ...]] | None:
    """A literal wins over a label, unless only the label leads to a route."""
    if not segments:
        return (node.routes[method], values) if method in node.routes else None
    head, rest = segments[0], segments[1:]
    if (literal := node.literals.get(head)) and (found := _find(literal, method, rest, values)):
        return found
    if node.label and head:
        return _find(node.label, method, rest, (*values, head))
    return None


def _choose(routes: list[Route], ends_with_slash: bool, query_string: bytes) -> Route | None:
    if len(routes) > 1 or routes[0].query:
        query = parse_qs(query_string.decode("latin-1"), keep_blank_values=True)
        routes = [route for route in routes if route.query.items() <= query.items()]
        routes.sort(key=lambda route: (len(route.query), route.ends_with_slash == ends_with_slash))
    return routes[-1] if routes else None
