"""A service that keeps resources, as far as tags and policies see it."""

from innkeeper.kernel.caller import Caller
from innkeeper.kernel.ids import Arn

ACCOUNT = "123456789012"
RUNTIME = f"arn:aws:bedrock-agentcore:us-west-2:{ACCOUNT}:runtime/agent-a1B2c3D4e5"
ENDPOINT = f"{RUNTIME}/runtime-endpoint/blue"
ROOT = Caller(ACCOUNT, f"arn:aws:iam::{ACCOUNT}:root", "us-west-2")
STRANGER = Caller("999999999999", "arn:aws:iam::999999999999:root", "us-west-2")

# ARNs that are none of ROOT's resources.
UNKNOWN = [
    RUNTIME + "x",
    f"{RUNTIME}/runtime-endpoint/green",
    RUNTIME.replace(ACCOUNT, STRANGER.account),
    RUNTIME.replace(":bedrock-agentcore:", ":s3:"),
    RUNTIME.replace("runtime/", "gateway/"),
    RUNTIME.replace("/agent-a1B2c3D4e5", ""),
]


class Shelf:
    def __init__(self, *arns: str) -> None:
        self.arns = set(arns)

    async def owns(self, account: str, arn: Arn) -> bool:
        return str(arn) in self.arns and arn.account == account


def owners() -> dict[str, Shelf]:
    return {"runtime": Shelf(RUNTIME), "runtime-endpoint": Shelf(ENDPOINT)}
