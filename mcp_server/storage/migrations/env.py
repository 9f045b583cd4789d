"""Run by Alembic: apply the steps on the connection that `migrate()` has opened, inside its transaction."""

from alembic import context

from mcp_server.storage.registry_tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
