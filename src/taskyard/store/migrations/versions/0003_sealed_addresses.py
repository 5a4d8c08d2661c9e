"""Addresses of calls and subscribers are sealed: their path, query or user part may be a key."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import sqlalchemy as sa
from alembic import context, op

revision: str = "0003"
down_revision: str | Sequence[str] | None = "0002"
branch_labels: str | Sequence[str] | None = None
depends_on: str | Sequence[str] | None = None

calls = sa.table("calls", sa.column("id", sa.Uuid), sa.column("url", sa.Text), sa.column("sealed", sa.Text))
subscriptions = sa.table(
    "subscriptions", sa.column("id", sa.Uuid), sa.column("url", sa.Text), sa.column("sealed", sa.Text)
)


def upgrade() -> None:
    """Seal each address with what was sealed already, then drop it in clear."""
    op.alter_column("subscriptions", "sealed_secret", new_column_name="sealed")
    _seal(calls, lambda url, sealed: {"url": url} | sealed)
    _seal(subscriptions, lambda url, sealed: {"url": url, "secret": sealed})
    op.drop_column("calls", "url")
    op.drop_column("subscriptions", "url")


def _seal(table: sa.TableClause, together: Callable[[str, Any], Mapping[str, Any]]) -> None:
    connection, vault = op.get_bind(), context.config.attributes["vault"]
    rows = connection.execute(sa.select(table.c.id, table.c.url, table.c.sealed)).all()
    sealed = [{"key": ident, "secrets": vault.seal(together(url, vault.open(rest)))} for ident, url, rest in rows]
    if sealed:
        change = sa.update(table).where(table.c.id == sa.bindparam("key")).values(sealed=sa.bindparam("secrets"))
        connection.execute(change, sealed)
