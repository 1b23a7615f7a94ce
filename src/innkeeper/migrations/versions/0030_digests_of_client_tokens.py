"""Digests of client tokens, and those of their requests keyed by them."""

import hashlib
import hmac

import sqlalchemy as sa
from alembic import op

revision = "0030"
down_revision = "0029"

_TOKENS = sa.table(
    "client_tokens", *(sa.column(name) for name in ("account", "operation", "token", "digest"))
)


def upgrade() -> None:
    connection = op.get_bind()
    for account, operation, token, digest in connection.execute(sa.select(*_TOKENS.c)).all():
        of_account = (_TOKENS.c.account == account) & (_TOKENS.c.operation == operation)
        keyed = hmac.digest(token.encode(), digest.encode(), "sha256").hex()
        known_as = hashlib.sha256(token.encode()).hexdigest()
        connection.execute(
            sa.update(_TOKENS)
            .where(of_account, _TOKENS.c.token == token)
            .values(token=known_as, digest=keyed)
        )
