"""Start a session of the code interpreter with the editor in it, and print the session's id.

`eval "$(innkeeper env)"` first; then `innkeeper url "$(python start.py)" 8000` prints the browser's link.
"""

from pathlib import Path

import boto3

INTERPRETER = "aws.codeinterpreter.v1"
PORT = 8000


def main() -> str:
    client = boto3.client("bedrock-agentcore")
    session = client.start_code_interpreter_session(
        codeInterpreterIdentifier=INTERPRETER, sessionTimeoutSeconds=8 * 3600
    )["sessionId"]

    def invoke(tool: str, **arguments: object) -> None:
        answer = client.invoke_code_interpreter(
            codeInterpreterIdentifier=INTERPRETER, sessionId=session, name=tool, arguments=arguments
        )
        for event in answer["stream"]:
            assert not event["result"].get("isError"), event

    editor = (Path(__file__).parent / "editor.py").read_text()
    invoke("writeFiles", content=[{"path": ".editor.py", "text": editor}])
    invoke("startCommandExecution", command=f"python .editor.py {PORT}")
    invoke(
        "executeCommand", command=f"until true < /dev/tcp/127.0.0.1/{PORT}; do sleep 0.1; done 2> /dev/null"
    )
    return str(session)


if __name__ == "__main__":
    print(main())
