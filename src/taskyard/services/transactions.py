"""The words in which faces and loops speak of the database: they open transactions and hand them to services."""

from taskyard.store.database import Database, Tx

__all__ = ["Database", "Tx"]
