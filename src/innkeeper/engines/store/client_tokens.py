"""Idempotency tokens: a mutation repeated under the same `clientToken` is done once."""

import hashlib
import hmac
import json
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Column, PrimaryKeyConstraint, String, Table, delete
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata, upsert
from innkeeper.kernel.errors import FieldError, InvalidRequest

KEPT = timedelta(hours=24)

client_tokens = Table(
    "client_tokens",
    metadata,
    Column("account", String(12), nullable=False),
    Column("operation", String(64), nullable=False),
    Column("token", String(256), nullable=False),
    Column("digest", String(64), nullable=False),
    Column("resource", String(256), nullable=False),
    Column("created_at", Moment, nullable=False, index=True),
    PrimaryKeyConstraint("account", "operation", "token"),
)


async def claim(
    connection: AsyncConnection,
    account: str,
    operation: str,
    parameters: Mapping[str, Any],
    resource: str,
    now: datetime,
) -> str:
    """The resource that the request's `clientToken` stands for: `resource`, or the one it made before.

    Call it first in the transaction that makes the resource: a concurrent repeat waits for that to commit.
    Raises InvalidRequest when the token came with other parameters before.
    """
    token = parameters.get("clientToken")
    if not token:
        return resource
    digest = _digest(parameters, token)
    known_as = hashlib.sha256(token.encode()).hexdigest()
    await connection.execute(delete(client_tokens).where(client_tokens.c.created_at < now - KEPT))
    values = {
        "account": account,
        "operation": operation,
        "token": known_as,
        "digest": digest,
        "resource": resource,
        "created_at": now,
    }
    statement = upsert(connection, client_tokens).values(values)
    # In place of `do_nothing`, which returns nothing either: the token is the same anyway.
    kept = statement.on_conflict_do_update(
        index_elements=client_tokens.primary_key.columns, set_={"token": known_as}
    ).returning(client_tokens.c.digest, client_tokens.c.resource)
    kept_digest, kept_resource = (await connection.execute(kept)).one()
    if kept_digest != digest:
        message = "clientToken was used before with other parameters"
        raise InvalidRequest(
            message, (FieldError("clientToken", message),), "IdempotentParameterMismatchException"
        )
    return str(kept_resource)


def _digest(parameters: Mapping[str, Any], token: str) -> str:
    """Under the token, which is kept as a digest itself: who can't name it can't try a guess."""
    told = {name: value for name, value in parameters.items() if name != "clientToken"}
    plain = hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()
    return hmac.digest(token.encode(), plain.encode(), "sha256").hex()
