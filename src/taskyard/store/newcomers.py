"""Adding a row unless one with its key is there already, without spoiling the transaction when it is."""

from collections.abc import Mapping, Sequence
from typing import Any

from sqlalchemy import Table, literal
from sqlalchemy.dialects import postgresql, sqlite

from taskyard.store.database import Tx


async def add_new(tx: Tx, table: Table, key: Sequence[str], row: Mapping[str, Any]) -> bool:
    """Whether `row` was added; False when `key` (the columns of a unique constraint) is taken.

    A competitor's uncommitted row is waited for, so afterwards the winner's row can be read.
    """
    dialect = sqlite if tx.is_sqlite else postgresql
    statement = dialect.insert(table).values(dict(row)).on_conflict_do_nothing(index_elements=key)
    return (await tx.connection.execute(statement.returning(literal(1)))).first() is not None
