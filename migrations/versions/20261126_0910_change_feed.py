"""The change feed: v1.change filled, v1.changes_since, and what announces and cuts it off.

Revision: 0015, after 0014.
"""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

CHANGE = """
CREATE OR REPLACE VIEW v1.change AS
SELECT sequence, entity, provider, account, external_id, unified_call_id, kind, changed_at FROM record_change
"""

COMMENTS = {
    "sequence": "Position in the feed, in the order of the commits: once a reader has seen one, no smaller one is "
    "added; there may be gaps",
    "entity": "call or contact: which view holds the record",
    "external_id": "The record: read its present state in v1.call or v1.contact",
    "unified_call_id": "The real call that the record belongs to from then on; only of kinds that matching writes",
    "kind": "inserted, updated, deleted or restored by a sync; matched, unmatched or rematched by matching",
    "changed_at": "When the transaction of the change began; of a sync the same as changed_at of the record then",
}

SINCE = """
CREATE FUNCTION v1.changes_since(sequence bigint, most bigint DEFAULT NULL) RETURNS SETOF v1.change
LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = public, pg_temp AS $$
DECLARE
    gone bigint := coalesce((SELECT max(pruned_up_to) FROM change_horizon), 0);
    newest bigint := greatest(gone, (SELECT max(c.sequence) FROM record_change c));
BEGIN
    IF $1 IS NULL OR $1 < gone THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the changes up to %s are no longer kept, and %s was asked for', gone, $1),
            HINT = 'Read v1.call and v1.contact again as a whole, then go on from the newest sequence of v1.change. '
                   'CALLWEAVE_CHANGE_RETENTION says how long changes are kept.';
    ELSIF $1 > newest THEN
        RAISE object_not_in_prerequisite_state USING
            MESSAGE = format('the feed ends at %s, and %s was asked for', newest, $1),
            HINT = 'The bookmark is of another database, or this one was restored from a backup: read v1.call and '
                   'v1.contact again as a whole, then go on from the newest sequence of v1.change.';
    END IF;
    RETURN QUERY SELECT * FROM v1.change c WHERE c.sequence > $1 ORDER BY c.sequence LIMIT most;
END $$;
COMMENT ON FUNCTION v1.changes_since IS 'The changes after a bookmark, at most so many, in order; an error where the '
    'bookmark is older than the retention or newer than the feed';
REVOKE ALL ON FUNCTION v1.changes_since FROM PUBLIC;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'callweave_reader') THEN
        GRANT SELECT ON v1.change TO callweave_reader;
        GRANT EXECUTE ON FUNCTION v1.changes_since TO callweave_reader;
    END IF;
END $$
"""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def execute(statement: str) -> None:
    op.execute(statement.replace(":", r"\:"))


# Forward only.
def upgrade() -> None:
    op.create_table(
        "record_change",
        sa.Column("sequence", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("entity", "provider", "account", "external_id")),
        sa.Column("unified_call_id", sa.BigInteger(), nullable=True),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("changed_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_record_change"),
    )
    op.create_table(
        "change_horizon",
        sa.Column("is_only", sa.Boolean(), server_default=sa.text("true"), nullable=False),
        sa.Column("pruned_up_to", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("is_only", name="pk_change_horizon"),
    )
    op.create_table(
        "change_notice",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("pending_since", sa.DateTime(timezone=True), nullable=True),
        sa.Column("notified_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("provider", "account", name="pk_change_notice"),
    )
    execute(CHANGE)
    for column, meaning in COMMENTS.items():
        execute(f"COMMENT ON COLUMN v1.change.{column} IS {quoted(meaning)}")
    execute(SINCE)
