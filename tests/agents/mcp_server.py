"""A FastMCP server that keeps sessions, or none when `STATELESS` is set."""

import os

from mcp.server.fastmcp import FastMCP  # type: ignore[attr-defined,import-not-found,unused-ignore]

server = FastMCP("counter", host="0.0.0.0", port=8000, stateless_http=bool(os.environ.get("STATELESS")))
count = 0


@server.tool()  # type: ignore[untyped-decorator,unused-ignore]
def add_one() -> int:
    """Count the calls to this process."""
    global count
    count += 1
    return count


if __name__ == "__main__":
    server.run(transport="streamable-http")
