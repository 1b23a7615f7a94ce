"""Initial."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    _access_keys()
    _accounts()
    _agent_runtime_endpoints()
    _agent_runtime_versions()
    _agent_runtimes()
    _buckets()
    _client_tokens()
    _managed_policies()
    _model_calls()
    _resource_policies()
    _role_attachments()
    _role_policies()
    _role_sessions()
    _roles()
    _runtime_sessions()
    _tags()
    _bucket_configurations()
    _bucket_objects()
    _bucket_uploads()
    _bucket_upload_parts()


def _access_keys() -> None:
    op.create_table(
        "access_keys",
        sa.Column("access_key_id", sa.String(length=20), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("sealed_secret", sa.LargeBinary(), nullable=False),
        sa.Column("description", sa.String(length=256), nullable=False),
        sa.Column("active", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", name=op.f("pk_access_keys")),
    )
    with op.batch_alter_table("access_keys", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_access_keys_account"), ["account"], unique=False)


def _accounts() -> None:
    op.create_table(
        "accounts",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("operator", sa.Boolean(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", name=op.f("pk_accounts")),
        sa.UniqueConstraint("operator", name=op.f("uq_accounts_operator")),
    )


def _agent_runtime_endpoints() -> None:
    op.create_table(
        "agent_runtime_endpoints",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("runtime_id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("runtime_arn", sa.Text(), nullable=False),
        sa.Column("live_version", sa.Integer(), nullable=True),
        sa.Column("target_version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "runtime_id", "name", name=op.f("pk_agent_runtime_endpoints")),
    )


def _agent_runtime_versions() -> None:
    op.create_table(
        "agent_runtime_versions",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("runtime_id", sa.String(length=128), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("configuration", sa.JSON(), nullable=False),
        sa.Column("environment", sa.LargeBinary(), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("build", sa.String(length=128), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "runtime_id", "number", name=op.f("pk_agent_runtime_versions")),
    )


def _agent_runtimes() -> None:
    op.create_table(
        "agent_runtimes",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=128), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("arn", sa.Text(), nullable=False),
        sa.Column("latest_version", sa.Integer(), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("failure_reason", sa.Text(), nullable=True),
        sa.Column("description", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "id", name=op.f("pk_agent_runtimes")),
        sa.UniqueConstraint("account", "name", name=op.f("uq_agent_runtimes_account_name")),
    )


def _buckets() -> None:
    op.create_table(
        "buckets",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=63), nullable=False),
        sa.Column("region", sa.String(length=32), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name=op.f("pk_buckets")),
    )


def _client_tokens() -> None:
    op.create_table(
        "client_tokens",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("operation", sa.String(length=64), nullable=False),
        sa.Column("token", sa.String(length=256), nullable=False),
        sa.Column("digest", sa.String(length=64), nullable=False),
        sa.Column("resource", sa.String(length=256), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "operation", "token", name=op.f("pk_client_tokens")),
    )
    with op.batch_alter_table("client_tokens", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_client_tokens_created_at"), ["created_at"], unique=False)


def _managed_policies() -> None:
    op.create_table(
        "managed_policies",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("arn", sa.String(length=2048), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("policy_id", sa.String(length=20), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "arn", name=op.f("pk_managed_policies")),
    )


def _model_calls() -> None:
    op.create_table(
        "model_calls",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("id", sa.String(length=32), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("model_id", sa.String(length=2048), nullable=False),
        sa.Column("provider", sa.String(length=256), nullable=False),
        sa.Column("provider_model", sa.String(length=2048), nullable=False),
        sa.Column("principal", sa.String(length=2048), nullable=False),
        sa.Column("agent", sa.String(length=256), nullable=False),
        sa.Column("session", sa.String(length=256), nullable=False),
        sa.Column("input_tokens", sa.BigInteger(), nullable=False),
        sa.Column("output_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_read_tokens", sa.BigInteger(), nullable=False),
        sa.Column("cache_write_tokens", sa.BigInteger(), nullable=False),
        sa.Column("first_token_ms", sa.Integer(), nullable=True),
        sa.Column("latency_ms", sa.Integer(), nullable=False),
        sa.Column("stop_reason", sa.String(length=64), nullable=False),
        sa.Column("error_code", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_model_calls")),
    )
    with op.batch_alter_table("model_calls", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_model_calls_account_agent_session"), ["account", "agent", "session"], unique=False
        )


def _resource_policies() -> None:
    op.create_table(
        "resource_policies",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("resource_arn", sa.String(length=1011), nullable=False),
        sa.Column("policy", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account", "resource_arn", name=op.f("pk_resource_policies")),
    )


def _role_attachments() -> None:
    op.create_table(
        "role_attachments",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("policy_arn", sa.String(length=2048), nullable=False),
        sa.PrimaryKeyConstraint("account", "role", "policy_arn", name=op.f("pk_role_attachments")),
    )


def _role_policies() -> None:
    op.create_table(
        "role_policies",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=128), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("account", "role", "name", name=op.f("pk_role_policies")),
    )


def _role_sessions() -> None:
    op.create_table(
        "role_sessions",
        sa.Column("access_key_id", sa.String(length=20), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("sealed", sa.LargeBinary(), nullable=False),
        sa.Column("role", sa.String(length=64), nullable=False),
        sa.Column("role_arn", sa.String(length=2048), nullable=False),
        sa.Column("session_name", sa.String(length=64), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("access_key_id", name=op.f("pk_role_sessions")),
    )
    with op.batch_alter_table("role_sessions", schema=None) as batch_op:
        batch_op.create_index(batch_op.f("ix_role_sessions_expires_at"), ["expires_at"], unique=False)


def _roles() -> None:
    op.create_table(
        "roles",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("name", sa.String(length=64), nullable=False),
        sa.Column("role_id", sa.String(length=20), nullable=False),
        sa.Column("path", sa.String(length=512), nullable=False),
        sa.Column("trust", sa.Text(), nullable=False),
        sa.Column("max_session_seconds", sa.Integer(), nullable=False),
        sa.Column("details", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("account", "name", name=op.f("pk_roles")),
    )


def _runtime_sessions() -> None:
    op.create_table(
        "runtime_sessions",
        sa.Column("id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("runtime_id", sa.String(length=128), nullable=False),
        sa.Column("endpoint", sa.String(length=64), nullable=False),
        sa.Column("session_id", sa.String(length=256), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("host", sa.String(length=128), nullable=False),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("cpu_seconds", sa.Float(), nullable=False),
        sa.Column("memory_peak_mib", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_runtime_sessions")),
    )
    with op.batch_alter_table("runtime_sessions", schema=None) as batch_op:
        batch_op.create_index(
            batch_op.f("ix_runtime_sessions_account_runtime_id_started_at"),
            ["account", "runtime_id", "started_at"],
            unique=False,
        )
        batch_op.create_index(batch_op.f("ix_runtime_sessions_host_status"), ["host", "status"], unique=False)


def _tags() -> None:
    op.create_table(
        "tags",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("resource_arn", sa.String(length=1011), nullable=False),
        sa.Column("key", sa.String(length=128), nullable=False),
        sa.Column("value", sa.String(length=256), nullable=False),
        sa.PrimaryKeyConstraint("account", "resource_arn", "key", name=op.f("pk_tags")),
    )


def _bucket_configurations() -> None:
    op.create_table(
        "bucket_configurations",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column("kind", sa.String(length=32), nullable=False),
        sa.Column("document", sa.Text(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account", "bucket"],
            ["buckets.account", "buckets.name"],
            name=op.f("fk_bucket_configurations_account_bucket_buckets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account", "bucket", "kind", name=op.f("pk_bucket_configurations")),
    )


def _bucket_objects() -> None:
    op.create_table(
        "bucket_objects",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column(
            "key",
            sa.String(length=1024).with_variant(sa.String(length=1024, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("blob", sa.String(length=128), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=False),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("checksums", sa.JSON(), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account", "bucket"],
            ["buckets.account", "buckets.name"],
            name=op.f("fk_bucket_objects_account_bucket_buckets"),
        ),
        sa.PrimaryKeyConstraint("account", "bucket", "key", name=op.f("pk_bucket_objects")),
    )


def _bucket_uploads() -> None:
    op.create_table(
        "bucket_uploads",
        sa.Column("upload_id", sa.String(length=64), nullable=False),
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("bucket", sa.String(length=63), nullable=False),
        sa.Column(
            "key",
            sa.String(length=1024).with_variant(sa.String(length=1024, collation="C"), "postgresql"),
            nullable=False,
        ),
        sa.Column("headers", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account", "bucket"],
            ["buckets.account", "buckets.name"],
            name=op.f("fk_bucket_uploads_account_bucket_buckets"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account", "upload_id", name=op.f("pk_bucket_uploads")),
    )


def _bucket_upload_parts() -> None:
    op.create_table(
        "bucket_upload_parts",
        sa.Column("account", sa.String(length=12), nullable=False),
        sa.Column("upload_id", sa.String(length=64), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("blob", sa.String(length=128), nullable=False),
        sa.Column("size", sa.BigInteger(), nullable=False),
        sa.Column("etag", sa.String(length=64), nullable=False),
        sa.Column("modified_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["account", "upload_id"],
            ["bucket_uploads.account", "bucket_uploads.upload_id"],
            name=op.f("fk_bucket_upload_parts_account_upload_id_bucket_uploads"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("account", "upload_id", "number", name=op.f("pk_bucket_upload_parts")),
    )
