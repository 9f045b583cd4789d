"""People may come from an OpenID provider: who they are there, once each."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("users", sa.Column("issuer", sa.Text))
    op.add_column("users", sa.Column("external_subject", sa.Text))
    op.create_index("users_identity", "users", ["issuer", "external_subject"], unique=True)
