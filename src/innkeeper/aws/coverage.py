"""`docs/coverage.md`: every operation of AgentCore, and whether this server answers it.

python -m innkeeper.aws.coverage > docs/coverage.md
"""

from collections.abc import Collection

from botocore.model import ServiceModel

from innkeeper.aws.models import AGENTCORE, operations, service_model


def coverage_page(implemented: Collection[str]) -> str:
    """The page in Markdown; `implemented` holds AWS operation names, such as `CreateAgentRuntime`."""
    models = [service_model(name) for name in AGENTCORE]
    names = [name for model in models for name in model.operation_names]
    sections = [_section(model, implemented) for model in models]
    introduction = (
        "Every operation of the two AgentCore services, from botocore's models. All are routed:\n"
        "one without a tick answers 501 `NotImplementedException`. Made by `innkeeper.aws.coverage`."
    )
    total = f"**{_count(names, implemented)}** operations are implemented."
    return "\n\n".join(("# Coverage", introduction, total, *sections)) + "\n"


def _section(model: ServiceModel, implemented: Collection[str]) -> str:
    rows = [
        f"| {'✓' if operation.name in implemented else ''} | {operation.name} "
        f"| `{operation.http['method']} {operation.http['requestUri']}` |"
        for operation in sorted(operations(model), key=lambda operation: str(operation.name))
    ]
    title = f"## {model.service_name} ({_count(model.operation_names, implemented)})"
    return "\n".join((title, "", "| | operation | request |", "| --- | --- | --- |", *rows))


def _count(names: Collection[str], implemented: Collection[str]) -> str:
    return f"{sum(name in implemented for name in names)} of {len(names)}"


if __name__ == "__main__":
    print(coverage_page(frozenset()), end="")
