"""A window is a stretch of time; what it knows more as a part of a scan stands in a table of its own.

Columns go in the same step: stop the workers before, as docs/operating.md says of upgrades.

Revision: 0009, after 0008.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None

MOVED = ("position", "end_position", "exhaustive", "doubted", "in_order", "head_ids", "tail_ids")


# Forward only.
def upgrade() -> None:
    op.create_table(
        "scan_part",
        sa.Column("window_id", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("scan_id", sa.Text(), nullable=False),
        sa.Column("position", sa.Text(), nullable=False),
        sa.Column("end_position", sa.Text(), nullable=True),
        sa.Column("exhaustive", sa.Boolean(), nullable=False),
        sa.Column("doubted", sa.Boolean(), nullable=False),
        sa.Column("in_order", sa.Boolean(), nullable=True),
        sa.Column("head_ids", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.Column("tail_ids", postgresql.ARRAY(sa.Text()), nullable=True),
        sa.PrimaryKeyConstraint("window_id", name="pk_scan_part"),
    )
    op.execute(
        f"INSERT INTO scan_part (window_id, scan_id, {', '.join(MOVED)}) "  # noqa: S608 - our own names
        f"SELECT id, scan_id, {', '.join(MOVED)} FROM sync_window WHERE scan_id IS NOT NULL AND position IS NOT NULL"
    )
    op.create_index("ix_scan_part_scan_id", "scan_part", ["scan_id"], unique=False)
    for name in MOVED:
        op.drop_column("sync_window", name)
    op.add_column("sync_window", sa.Column("says_more", sa.Boolean(), server_default=sa.text("false"), nullable=False))
