"""Alembic's entry: runs on the connection `store.migrate` hands in, so there is no alembic.ini."""

from alembic import context

from taskyard.store.queue.tables import engine_queue

# The engine's twin table shares the metadata of all others; importing it puts it there.
metadata = engine_queue.metadata

connection = context.config.attributes["connection"]
context.configure(
    connection=connection,
    target_metadata=metadata,
    render_as_batch=connection.dialect.name == "sqlite",
    transactional_ddl=True,
)
with context.begin_transaction():
    context.run_migrations()
