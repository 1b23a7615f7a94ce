"""An agent made with the public SDK: a WebSocket that echoes, and an entry point that streams."""

from collections.abc import AsyncIterator
from typing import Any

from bedrock_agentcore import BedrockAgentCoreApp

app = BedrockAgentCoreApp()


@app.entrypoint
async def invoke(payload: dict[str, Any]) -> AsyncIterator[dict[str, Any]]:
    for word in str(payload.get("prompt", "")).split():
        yield {"word": word}


@app.websocket
async def echo(websocket: Any, context: Any) -> None:
    await websocket.accept()
    while True:
        text = await websocket.receive_text()
        if text == "close":
            await websocket.close(4321)
            return
        await websocket.send_json({"echo": text, "session": context.session_id})


if __name__ == "__main__":
    app.run()
