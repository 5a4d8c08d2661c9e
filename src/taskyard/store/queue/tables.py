"""The engine's table.

On PostgreSQL PgQueuer makes and upgrades it. On SQLite our migrations make this twin of it, with times as whole
microseconds since 1970.
"""

from sqlalchemy import BigInteger, Column, Index, Integer, LargeBinary, String, Table, text

from taskyard.store.tables import metadata

engine_queue = Table(
    "pgqueuer",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=True),
    Column("priority", Integer, nullable=False),
    Column("queue_manager_id", String(36)),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("heartbeat", BigInteger, nullable=False),
    Column("execute_after", BigInteger, nullable=False),
    Column("status", String(16), nullable=False),
    Column("entrypoint", String(64), nullable=False),
    Column("dedupe_key", String(64)),
    Column("attempts", Integer, nullable=False),
    Column("payload", LargeBinary),
    Index(
        "ix_pgqueuer_order",
        text("priority DESC"),
        "id",
        "execute_after",
        "entrypoint",
        sqlite_where=text("status = 'queued'"),
    ),
    Index("ix_pgqueuer_ready", "entrypoint", "execute_after", sqlite_where=text("status = 'queued'")),
    Index("ix_pgqueuer_picked", "heartbeat", sqlite_where=text("status = 'picked'")),
    Index("uq_pgqueuer_dedupe_key", "dedupe_key", unique=True),
    sqlite_autoincrement=True,
)
