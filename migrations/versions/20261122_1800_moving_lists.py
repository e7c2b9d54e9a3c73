"""The ledger notes how a list moved while it was read.

Revision: 0003, after 0002.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    for column in (
        sa.Column("end_position", sa.Text(), nullable=True),
        sa.Column("doubted", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("total_before", sa.BigInteger(), nullable=True),
        sa.Column("head_ids", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("tail_ids", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("moved", sa.Boolean(), server_default=sa.text("false"), nullable=False),
        sa.Column("drifts", sa.BigInteger(), server_default=sa.text("0"), nullable=False),
    ):
        op.add_column("sync_window", column)
    for table in ("call", "contact"):
        op.add_column(table, sa.Column("lookup_digest", postgresql.BYTEA(), nullable=True))
    # Scans under way are begun anew: their windows know nothing of where they end.
    op.execute(
        "UPDATE sync_window SET state = 'split', reason = 'given up for a newer scan' "
        "WHERE scan_id IS NOT NULL AND state = 'open'"
    )
