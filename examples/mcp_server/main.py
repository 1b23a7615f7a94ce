"""A plain FastMCP server, as AgentCore hosts them: stateless streamable HTTP on port 8000 at /mcp."""

from mcp.server.fastmcp import FastMCP

mcp = FastMCP("arithmetic", host="0.0.0.0", port=8000, stateless_http=True)  # noqa: S104 - its own room


@mcp.tool()
def add(a: int, b: int) -> int:
    """Add two numbers."""
    return a + b


@mcp.tool()
def multiply(a: int, b: int) -> int:
    """Multiply two numbers."""
    return a * b


if __name__ == "__main__":
    mcp.run(transport="streamable-http")
