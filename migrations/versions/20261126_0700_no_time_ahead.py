"""Heals what a clock that ran ahead left behind: change times beyond the moment we asked, and proofs of the future.

Revision: 0011, after 0010.
"""

from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


# Forward only.
def upgrade() -> None:
    for table in ("call", "contact"):
        op.execute(
            f"UPDATE {table} SET source_updated_at = observed_at "  # noqa: S608 - our own table
            "WHERE source_updated_at > observed_at OR source_updated_at = '-infinity'"
        )
    op.execute(
        "UPDATE sync_window SET verdict = 'unproven', reason = 'read ahead of time by a wrong clock: read again' "
        "WHERE state = 'done' AND verdict = 'proven' AND until > coalesce(finished_at, clock_timestamp()) "
        "AND until > clock_timestamp()"
    )
    op.execute("DELETE FROM sync_window WHERE state = 'open' AND since > clock_timestamp() AND scan_id IS NULL")
