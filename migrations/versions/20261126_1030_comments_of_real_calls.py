"""Comments that say what a reader of the views needs, and when the call of an unmatched record began.

Revision: 0018, after 0017.
"""

from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

# Asked for a range, it then reads that range only.
UNMATCHED_CALL = """
SELECT provider, account, external_id, reason,
       CASE reason
           WHEN 'other_side_not_synced_yet' THEN jsonb_build_object('waiting_for', waiting_for)
           WHEN 'ambiguous' THEN jsonb_build_object('rivals', (
               SELECT jsonb_agg(jsonb_build_object('provider', o.provider, 'account', o.account,
                   'external_id', o.external_id) ORDER BY o.provider, o.account, o.external_id)
               FROM call_rival x JOIN call o ON o.id = x.rival_call_id WHERE x.call_id = u.id))
           ELSE '{}'::jsonb END AS detail,
       started_at
FROM unmatched_record u
"""

FULLEST = "of the fullest record: most of answered, ended and duration; ties by provider and id; never a leg"
COMMENTS = {
    ("unified_call", "unified_call_id"): "Stable id of the real call: the smallest of its records' own",
    ("unified_call", "outcome"): "The best over the records, from answered over voicemail, forwarded, rejected, busy, "
    "missed, cancelled, failed, in_progress and scheduled to unknown. Of legs only one counts that is the telephone "
    "behind an agent's own end of the call",
    ("unified_call", "started_at"): f"When it began, {FULLEST}",
    ("unified_call", "answered_at"): "When it was answered, of the same record as started_at",
    ("unified_call", "ended_at"): "When it ended, of the same record as started_at",
    ("unified_call", "direction"): "inbound, outbound or unknown, of the same record as started_at",
    ("unified_call", "remote_e164"): "The number of the other party, of the same record as started_at",
    ("unified_call", "own_e164"): "Our number, of the same record as started_at",
    ("unified_call", "confidence"): "The probability that its records are one call, of the weakest; 1 for one record",
    ("unmatched_call", "reason"): "The first that holds of not_final, outside_coverage, hidden_number, "
    "other_side_not_synced_yet, no_shared_calls_seen, ambiguous and only_here",
    ("unmatched_call", "started_at"): "When the call began, as in v1.call",
    ("person", "first_call_at"): "Start of the first real call with this person",
    ("person", "last_call_at"): "Start of the latest real call with this person",
}


# Forward only.
def upgrade() -> None:
    op.execute(f"CREATE OR REPLACE VIEW v1.unmatched_call AS {UNMATCHED_CALL}".replace(":", r"\:"))
    for (view, column), meaning in COMMENTS.items():
        text = meaning.replace("'", "''")
        op.execute(f"COMMENT ON COLUMN v1.{view}.{column} IS '{text}'".replace(":", r"\:"))
