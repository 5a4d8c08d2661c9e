"""All tables. Every row of a tenant carries `tenant_id`, and every query names it (see the query modules beside this).

The engine's own table is described in `store.queue.tables`, since PgQueuer owns it on PostgreSQL.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)

from taskyard.store.columns import JSON_VALUE, Moment

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s",
        "pk": "pk_%(table_name)s",
    }
)


def _id() -> Column[object]:
    return Column("id", Uuid, primary_key=True)


def _tenant() -> Column[object]:
    return Column("tenant_id", Uuid, ForeignKey("tenants.id", ondelete="CASCADE"), nullable=False)


tenants = Table(
    "tenants",
    metadata,
    _id(),
    Column("name", String(255), nullable=False),
    Column("is_operator", Boolean, nullable=False),
    Column("commands_allowed", Boolean, nullable=False),
    Column("private_network_allowed", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
)

users = Table(
    "users",
    metadata,
    _id(),
    Column("email", String(320), nullable=False, unique=True),
    Column("full_name", String(255), nullable=False),
    Column("password_hash", String(255)),
    Column("is_active", Boolean, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("last_login_at", Moment),
)

memberships = Table(
    "memberships",
    metadata,
    _tenant(),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("role", String(16), nullable=False),
    Column("created_at", Moment, nullable=False),
    UniqueConstraint("tenant_id", "user_id"),
)

identities = Table(
    "identities",
    metadata,
    Column("issuer", String(64), primary_key=True),
    Column("subject", String(255), primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("created_at", Moment, nullable=False),
)

api_keys = Table(
    "api_keys",
    metadata,
    _id(),
    _tenant(),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("name", String(255), nullable=False),
    Column("prefix", String(16), nullable=False),
    Column("key_hash", String(64), nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("last_used_at", Moment),
    Column("revoked_at", Moment),
    Index("ix_api_keys_tenant_id", "tenant_id"),
)

login_sessions = Table(
    "login_sessions",
    metadata,
    _id(),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("token_hash", String(64), nullable=False, unique=True),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False, index=True),
    Column("revoked_at", Moment),
)

revoked_tokens = Table(
    "revoked_tokens",
    metadata,
    Column("jti", String(64), primary_key=True),
    Column("expires_at", Moment, nullable=False, index=True),
)

jobs = Table(
    "jobs",
    metadata,
    _id(),
    _tenant(),
    Column("name", String(255), nullable=False),
    Column("kind", String(16), nullable=False),
    Column("type", BigInteger, nullable=False),
    Column("schedule", String(255)),
    Column("timezone", String(64), nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("command", Text),
    Column("queue", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("retry", JSON_VALUE),
    Column("timeout_seconds", Float),
    Column("overlap", String(16), nullable=False),
    Column("catch_up", String(16), nullable=False),
    Column("catch_up_window_seconds", Integer, nullable=False),
    Column("rerun_on_crash", Boolean),
    Column("next_run_at", Moment),
    Column("last_run_at", Moment),
    Column("created_by", Uuid),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("ix_jobs_tenant_id_created_at", "tenant_id", "created_at"),
    # The clock's only question: who is due? Rows without a next run are not in the index at all.
    Index(
        "ix_jobs_next_run_at",
        "next_run_at",
        sqlite_where=text("next_run_at IS NOT NULL"),
        postgresql_where=text("next_run_at IS NOT NULL"),
    ),
)

calls = Table(
    "calls",
    metadata,
    _id(),
    _tenant(),
    Column("job_id", Uuid, ForeignKey("jobs.id", ondelete="CASCADE"), nullable=False),
    Column("position", Integer, nullable=False),
    Column("method", String(8), nullable=False),
    # Address, headers, query and body may carry the receiver's keys, so they are sealed (see `store.vault`).
    Column("sealed", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("ix_calls_job_id_position", "job_id", "position"),
)

executions = Table(
    "executions",
    metadata,
    _id(),
    _tenant(),
    Column("run_id", Uuid, nullable=False),
    # No foreign key: history outlives a deleted job.
    Column("job_id", Uuid),
    Column("subscription_id", Uuid),
    Column("kind", String(16), nullable=False),
    Column("trigger", String(16), nullable=False),
    Column("queue", String(16), nullable=False),
    Column("priority", Integer, nullable=False),
    Column("attempt", Integer, nullable=False),
    Column("status", String(16), nullable=False),
    Column("held", Boolean, nullable=False),
    Column("dead", Boolean, nullable=False),
    Column("due_at", Moment),
    Column("created_at", Moment, nullable=False),
    Column("available_at", Moment, nullable=False),
    Column("started_at", Moment),
    Column("finished_at", Moment),
    Column("duration_ms", BigInteger),
    Column("worker_id", Uuid),
    Column("reason", Text),
    Column("error", Text),
    Column("response_code", Integer),
    Column("exit_code", Integer),
    Column("result", JSON_VALUE, nullable=False),
    Column("spec", Text, nullable=False),
    Column("cancel_requested_at", Moment),
    Column("replay_of", Uuid),
    Column("requested_by", Uuid),
    # A due time ends in exactly one row per attempt, whoever fires it. Rows without a due time do not collide.
    UniqueConstraint("job_id", "due_at", "attempt"),
    Index("ix_executions_tenant_id_id", "tenant_id", "id"),
    Index("ix_executions_job_id_id", "job_id", "id"),
    Index("ix_executions_run_id", "run_id"),
    Index(
        "ix_executions_subscription_id",
        "subscription_id",
        sqlite_where=text("subscription_id IS NOT NULL"),
        postgresql_where=text("subscription_id IS NOT NULL"),
    ),
    # Few rows are active at once; everything the engine, the overlap rule and the reaper ask is about those.
    Index(
        "ix_executions_active",
        "job_id",
        "status",
        sqlite_where=text("status IN ('queued', 'running')"),
        postgresql_where=text("status IN ('queued', 'running')"),
    ),
    Index(
        "ix_executions_running",
        "worker_id",
        sqlite_where=text("status = 'running'"),
        postgresql_where=text("status = 'running'"),
    ),
    Index(
        "ix_executions_dead",
        "tenant_id",
        "id",
        sqlite_where=text("dead"),
        postgresql_where=text("dead"),
    ),
    Index("ix_executions_created_at", "created_at"),
)

outputs = Table(
    "outputs",
    metadata,
    Column("execution_id", Uuid, ForeignKey("executions.id", ondelete="CASCADE"), primary_key=True),
    Column("position", BigInteger, primary_key=True),
    Column("tenant_id", Uuid, nullable=False),
    Column("stream", String(8), nullable=False),
    Column("content", LargeBinary, nullable=False),
    Column("created_at", Moment, nullable=False),
)

workers = Table(
    "workers",
    metadata,
    _id(),
    Column("host", String(255), nullable=False),
    Column("pid", Integer, nullable=False),
    Column("roles", String(64), nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("lease_until", Moment, nullable=False),
    Column("ended_at", Moment),
    Column("end_reason", String(64)),
    Index("ix_workers_lease_until", "lease_until"),
)

queues = Table(
    "queues",
    metadata,
    Column("name", String(16), primary_key=True),
    Column("paused_at", Moment),
    Column("paused_reason", Text),
)

event_counters = Table(
    "event_counters",
    metadata,
    Column("tenant_id", Uuid, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("tenant_id", Uuid, ForeignKey("tenants.id", ondelete="CASCADE"), primary_key=True),
    Column("seq", BigInteger, primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("type", String(48), nullable=False),
    Column("time", Moment, nullable=False),
    Column("actor", String(320)),
    Column("job_id", Uuid),
    Column("execution_id", Uuid),
    Column("data", JSON_VALUE, nullable=False),
    Index("ix_events_time", "time"),
)

subscriptions = Table(
    "subscriptions",
    metadata,
    _id(),
    _tenant(),
    Column("event_types", JSON_VALUE, nullable=False),
    Column("sealed", Text, nullable=False),
    Column("description", Text),
    Column("is_active", Boolean, nullable=False),
    Column("disabled_reason", Text),
    Column("failing_since", Moment),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Index("ix_subscriptions_tenant_id", "tenant_id"),
)
