"""Tables and queries of sandboxes and snapshots."""

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    Float,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
    delete,
    func,
    insert,
    literal,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.engine import RowMapping
from sqlalchemy.ext.asyncio import AsyncConnection

from innkeeper.engines.store.database import Moment, metadata
from innkeeper.engines.vault.columns import VaultSealed
from innkeeper.kernel.page import Cursor, PageRequest
from innkeeper.services.sandboxes.model import (
    OnTimeout,
    SandboxLimits,
    SandboxRecord,
    SandboxState,
    SnapshotKind,
    SnapshotRecord,
    TemplateRecord,
    TemplateSpec,
    TemplateState,
)

SEALED_ENVIRONMENT = VaultSealed("sandbox-environment/{account}")
SEALED_EGRESS = VaultSealed("sandbox-egress/{account}")

sandboxes = Table(
    "sandboxes",
    metadata,
    Column("account", String(12), nullable=False),
    Column("id", String(20), primary_key=True),
    Column("template", String(63), nullable=False),
    Column("ground", String(63), nullable=False),
    Column("state", String(16), nullable=False),
    Column("metadata", JSON, nullable=False),
    Column("network", String(16), nullable=False),
    Column("limits", JSON, nullable=False),
    Column("on_timeout", String(8), nullable=False),
    Column("timeout_seconds", Integer, nullable=False),
    Column("host", String(128), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ends_at", Moment, nullable=False),
    Column("changed_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("end_reason", Text),
    Column("image", String(32)),
    Column("image_bytes", BigInteger, nullable=False),
    Column("environment", SEALED_ENVIRONMENT),
    Column("egress", SEALED_EGRESS),
    Column("cpu_seconds", Float, nullable=False),
    Column("memory_peak_mib", Float, nullable=False),
    Index(None, "account", "started_at"),
    Index(None, "host", "state"),
)

snapshots = Table(
    "sandbox_snapshots",
    metadata,
    Column("account", String(12), nullable=False),
    Column("id", String(20), nullable=False),
    Column("name", String(63)),
    Column("sandbox", String(20), nullable=False),
    Column("template", String(63), nullable=False),
    Column("ground", String(63), nullable=False),
    Column("network", String(16), nullable=False),
    Column("kind", String(8), nullable=False),
    Column("size_bytes", BigInteger, nullable=False),
    Column("image", String(32), nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("egress", SEALED_EGRESS),
    PrimaryKeyConstraint("account", "id"),
    UniqueConstraint("account", "name"),
)

templates = Table(
    "sandbox_templates",
    metadata,
    Column("account", String(12), nullable=False),
    Column("name", String(63), nullable=False),
    Column("id", String(20), nullable=False),
    Column("spec", JSON, nullable=False),
    Column("ground", String(63), nullable=False),
    Column("state", String(16), nullable=False),
    Column("log", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("kind", String(8)),
    Column("image", String(32)),
    Column("image_bytes", BigInteger, nullable=False),
    Column("resolved", JSON, nullable=False),
    PrimaryKeyConstraint("account", "name"),
)

_LIVE = (SandboxState.RUNNING, SandboxState.PAUSED)

SANDBOXES = Cursor("sandboxes", datetime, str)
SNAPSHOTS = Cursor("snapshots", datetime, str)
TEMPLATES = Cursor("templates", str)


async def insert_sandboxes(connection: AsyncConnection, records: Sequence[SandboxRecord]) -> None:
    await connection.execute(insert(sandboxes), [asdict(record) for record in records])


async def find_sandbox(connection: AsyncConnection, account: str, id_: str) -> SandboxRecord | None:
    query = select(sandboxes).where(sandboxes.c.id == id_, sandboxes.c.account == account)
    row = (await connection.execute(query)).mappings().first()
    return _sandbox(row) if row else None


async def account_of(connection: AsyncConnection, id_: str) -> str | None:
    """Whose sandbox it is, unless it has ended."""
    query = select(sandboxes.c.account).where(
        sandboxes.c.id == id_, sandboxes.c.state != SandboxState.TERMINATED
    )
    return (await connection.execute(query)).scalar_one_or_none()


async def list_sandboxes(
    connection: AsyncConnection,
    account: str,
    states: Sequence[SandboxState],
    wanted: Mapping[str, str],
    page: PageRequest,
) -> Sequence[SandboxRecord]:
    """Newest first."""
    query = select(sandboxes).where(sandboxes.c.account == account, sandboxes.c.state.in_(states))
    for key, value in wanted.items():
        query = query.where(sandboxes.c.metadata[key].as_string() == value)
    if after := SANDBOXES.after(page):
        query = query.where(tuple_(sandboxes.c.started_at, sandboxes.c.id) < _last(after))
    query = query.order_by(sandboxes.c.started_at.desc(), sandboxes.c.id.desc()).limit(page.size + 1)
    return [_sandbox(row) for row in (await connection.execute(query)).mappings()]


async def update_sandbox(connection: AsyncConnection, id_: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(sandboxes).where(sandboxes.c.id == id_).values(values))


async def delete_ended(connection: AsyncConnection, before: datetime) -> int:
    """Those of all tenants; how many."""
    ended = sandboxes.c.state == SandboxState.TERMINATED, sandboxes.c.ended_at < before
    return (await connection.execute(delete(sandboxes).where(*ended))).rowcount


async def recover_host(connection: AsyncConnection, host: str, now: datetime, reason: str) -> None:
    """Its sandboxes died with it: those that have an image go back to it, the others have ended."""
    died = sandboxes.c.host == host, sandboxes.c.state.in_(_LIVE)
    back = {"state": SandboxState.HIBERNATED, "changed_at": now}
    await connection.execute(update(sandboxes).where(*died, sandboxes.c.image.is_not(None)).values(back))
    ended = {"state": SandboxState.TERMINATED, "changed_at": now, "ended_at": now, "end_reason": reason}
    await connection.execute(update(sandboxes).where(*died).values(ended))


async def images(connection: AsyncConnection) -> set[str]:
    """Those that something stands on, of all tenants."""
    found: set[str] = set()
    for column in (sandboxes.c.image, snapshots.c.image, templates.c.image):
        found.update((await connection.scalars(select(column).where(column.is_not(None)))).all())
    return found


async def grounds(connection: AsyncConnection) -> set[str]:
    """Those that something stands on, of all tenants."""
    ended = sandboxes.c.state == SandboxState.TERMINATED
    found = set((await connection.scalars(select(sandboxes.c.ground).where(~ended).distinct())).all())
    for column in (snapshots.c.ground, templates.c.ground):
        found.update((await connection.scalars(select(column).distinct())).all())
    return found


async def image_bytes(connection: AsyncConnection, account: str) -> int:
    """What an account's images take on disk."""
    total = 0
    for table, column in (
        (sandboxes, sandboxes.c.image_bytes),
        (snapshots, snapshots.c.size_bytes),
        (templates, templates.c.image_bytes),
    ):
        query = select(func.coalesce(func.sum(column), 0)).where(table.c.account == account)
        total += int((await connection.execute(query)).scalar_one())
    return total


async def insert_snapshot(connection: AsyncConnection, record: SnapshotRecord) -> None:
    """Raises IntegrityError when the name is taken."""
    await connection.execute(insert(snapshots).values(asdict(record)))


async def find_snapshot(connection: AsyncConnection, account: str, word: str) -> SnapshotRecord | None:
    """By its id or its name."""
    named = or_(snapshots.c.id == word, snapshots.c.name == word)
    row = (
        (await connection.execute(select(snapshots).where(snapshots.c.account == account, named)))
        .mappings()
        .first()
    )
    return _snapshot(row) if row else None


async def list_snapshots(
    connection: AsyncConnection, account: str, page: PageRequest
) -> Sequence[SnapshotRecord]:
    """Newest first."""
    query = select(snapshots).where(snapshots.c.account == account)
    if after := SNAPSHOTS.after(page):
        query = query.where(tuple_(snapshots.c.created_at, snapshots.c.id) < _last(after))
    query = query.order_by(snapshots.c.created_at.desc(), snapshots.c.id.desc()).limit(page.size + 1)
    return [_snapshot(row) for row in (await connection.execute(query)).mappings()]


async def count_snapshots(connection: AsyncConnection, account: str) -> int:
    query = select(func.count()).select_from(snapshots).where(snapshots.c.account == account)
    return int((await connection.execute(query)).scalar_one())


async def delete_snapshot(connection: AsyncConnection, account: str, id_: str) -> None:
    await connection.execute(delete(snapshots).where(snapshots.c.account == account, snapshots.c.id == id_))


async def insert_template(connection: AsyncConnection, record: TemplateRecord) -> None:
    """Raises IntegrityError when the name is taken."""
    await connection.execute(insert(templates).values(asdict(record)))


async def find_template(connection: AsyncConnection, account: str, name: str) -> TemplateRecord | None:
    query = select(templates).where(templates.c.account == account, templates.c.name == name)
    row = (await connection.execute(query)).mappings().first()
    return _template(row) if row else None


async def list_templates(
    connection: AsyncConnection, account: str, page: PageRequest
) -> Sequence[TemplateRecord]:
    query = select(templates).where(templates.c.account == account).order_by(templates.c.name)
    if after := TEMPLATES.after(page):
        query = query.where(templates.c.name > after[0])
    rows = (await connection.execute(query.limit(page.size + 1))).mappings()
    return [_template(row) for row in rows]


async def count_templates(connection: AsyncConnection, account: str) -> int:
    query = select(func.count()).select_from(templates).where(templates.c.account == account)
    return int((await connection.execute(query)).scalar_one())


async def update_template(connection: AsyncConnection, id_: str, values: Mapping[str, Any]) -> None:
    await connection.execute(update(templates).where(templates.c.id == id_).values(values))


async def delete_template(connection: AsyncConnection, account: str, id_: str) -> None:
    await connection.execute(delete(templates).where(templates.c.account == account, templates.c.id == id_))


async def delete_failed_template(connection: AsyncConnection, account: str, name: str) -> None:
    failed = templates.c.state == TemplateState.FAILED
    await connection.execute(
        delete(templates).where(templates.c.account == account, templates.c.name == name, failed)
    )


async def fail_templates(connection: AsyncConnection, reason: str) -> None:
    """Those that are being built."""
    values = {"state": TemplateState.FAILED, "log": reason}
    await connection.execute(
        update(templates).where(templates.c.state == TemplateState.BUILDING).values(values)
    )


def _last(after: tuple[datetime, str]) -> Any:
    return tuple_(literal(after[0], Moment), literal(after[1]))


def _sandbox(row: RowMapping) -> SandboxRecord:
    told = {
        "state": SandboxState(row["state"]),
        "limits": SandboxLimits(**row["limits"]),
        "on_timeout": OnTimeout(row["on_timeout"]),
    }
    return SandboxRecord(**{**row, **told})


def _snapshot(row: RowMapping) -> SnapshotRecord:
    return SnapshotRecord(**{**row, "kind": SnapshotKind(row["kind"])})


def _template(row: RowMapping) -> TemplateRecord:
    told = {
        "spec": TemplateSpec.of(row["spec"]),
        "state": TemplateState(row["state"]),
        "kind": SnapshotKind(row["kind"]) if row["kind"] else None,
    }
    return TemplateRecord(**{**row, **told})
