"""The engine's side of the store: PgQueuer on PostgreSQL as it is, on SQLite through our adapter of its port."""
