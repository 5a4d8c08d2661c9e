"""Tickets by entrypoint and time, so that nobody looks through many delayed or foreign ones for the first."""

from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | Sequence[str] | None = "0001"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None


def upgrade() -> None:
    """Only our twin of the engine's table needs it; PgQueuer sees to its own."""
    if op.get_bind().dialect.name == "sqlite":
        op.create_index(
            "ix_pgqueuer_ready",
            "pgqueuer",
            ["entrypoint", "execute_after"],
            unique=False,
            sqlite_where=sa.text("status = 'queued'"),
        )
