"""E2B keys and tokens of sandboxes, made from what the server alone knows."""

from innkeeper.kernel.caller import Caller, CallerKind, Credential
from innkeeper.services.e2b.keys import Keys

ANN = Caller("123456789012", "arn:aws:iam::123456789012:root", "us-west-2", CallerKind.ROOT)
ACCESS_KEY = "AKIA0123456789ABCDEF"


async def credential(access_key_id: str) -> Credential | None:
    return Credential(access_key_id, "secret", ANN) if access_key_id == ACCESS_KEY else None


async def test_they_hold_after_a_rotation_until_the_old_key_is_retired() -> None:
    before, between, after = (Keys(credential, some) for some in ([b"old"], [b"new", b"old"], [b"new"]))
    key, token = await before.make(ANN.account, ACCESS_KEY), before.token(ANN.account, "box", "envd")
    opens = [
        (await keys.account_of(key), keys.token_account(token, "box", "envd")) for keys in (between, after)
    ]
    assert opens == [(ANN.account, ANN.account), (None, None)]
    assert await after.account_of(await between.make(ANN.account, ACCESS_KEY)) == ANN.account
    assert after.token_account(between.token(ANN.account, "box", "envd"), "box", "envd") == ANN.account
    assert after.token_account(between.token(ANN.account, "box", "envd"), "another", "envd") is None
