"""The page that says which operations are there."""

from innkeeper.aws.coverage import coverage_page


def test_every_operation_is_listed_and_what_is_implemented_is_ticked() -> None:
    page = coverage_page({"CreateAgentRuntime", "InvokeAgentRuntime"})
    lines = page.splitlines()
    assert "| ✓ | CreateAgentRuntime | `PUT /runtimes/` |" in lines
    assert "|  | UpdateAgentRuntime | `PUT /runtimes/{agentRuntimeId}/` |" in lines
    listed = [line for line in lines if line.startswith(("| ✓ |", "|  |"))]
    assert f"**2 of {len(listed)}** operations are implemented." in lines
