"""Clients manage their own registration (RFC 7592), remember what they registered with, and when they were last used."""

import sqlalchemy as sa
from alembic import op

from mcp_server.clock import wall_clock

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("clients", sa.Column("registration_access_token_digest", sa.Text))
    op.add_column("clients", sa.Column("registered_with", sa.Text))
    op.add_column("clients", sa.Column("instance", sa.Text))
    op.add_column("clients", sa.Column("last_used_at", sa.Double))
    # Nobody knows when the clients of before were last used: it counts as now, so that no sweep takes one that is in use.
    op.execute(sa.text("UPDATE clients SET last_used_at = :now").bindparams(now=wall_clock()))
