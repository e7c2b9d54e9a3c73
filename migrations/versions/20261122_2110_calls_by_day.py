"""Calls by day and provider from the index alone, for the status page.

Revision: 0007, after 0005.
"""

from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("ix_call_started_at_provider", "call", ["started_at", "provider"], unique=False)
    op.drop_index("ix_call_started_at", table_name="call")
