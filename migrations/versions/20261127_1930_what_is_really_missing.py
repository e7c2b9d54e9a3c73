"""What a system lacks is said of calls that are known well enough; the outcomes are said in words.

Revision: 0021, after 0020.
"""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

# The lines of all accounts are few, and gathered once, as the rivals are: each call is then looked at without an index.
MISSING_IN = """
WITH side AS MATERIALIZED (
    SELECT l.own_e164, l.provider, l.account, l.provider || '/' || l.account AS name, s.covered
    FROM carried_line l JOIN v1.sync_status s ON (s.provider, s.account, s.stream) = (l.provider, l.account, 'calls'))
SELECT u.unified_call_id, s.provider, s.account, u.started_at, u.direction, u.outcome, u.remote_e164, u.own_e164,
       u.providers AS held_by
FROM unified_call u JOIN side s ON s.own_e164 = u.own_e164 AND s.name <> ALL (u.accounts) AND s.covered @> u.started_at
WHERE NOT u.hidden_number AND u.outcome NOT IN ('in_progress', 'scheduled', 'unknown')
  AND u.unified_call_id NOT IN (SELECT m.unified_call_id FROM call_rival r JOIN call_member m USING (call_id))
"""
OUTCOMES = (
    "What became of the call, in either direction: answered (somebody talked), voicemail (a message box took it), "
    "forwarded (passed on to another number), rejected (refused by the called side), busy, missed (it rang and was not "
    "answered), cancelled (given up before it was answered), failed (never reached the other side), in_progress, "
    "scheduled, or unknown (a word of the provider that is not known). The last three may still change"
)
MISSING = (
    "Real calls that an account should hold, being complete over their time and carrying their line, and does not. "
    "Without those whose number is hidden, that are not over, or that are ambiguous: they may be there unrecognised"
)

COLUMNS = {
    "direction": "As in v1.unified_call",
    "outcome": "As in v1.unified_call",
    "remote_e164": "The other party, as in v1.unified_call",
    "own_e164": "Our line, as in v1.unified_call",
    "held_by": "The providers that hold it",
}


# Forward only.
def upgrade() -> None:
    op.execute(f"CREATE OR REPLACE VIEW v1.missing_in AS {MISSING_IN}")
    op.execute(f"COMMENT ON VIEW v1.missing_in IS '{MISSING}'")
    for column, meaning in COLUMNS.items():
        op.execute(f"COMMENT ON COLUMN v1.missing_in.{column} IS '{meaning}'")
    op.execute(rf"COMMENT ON COLUMN v1.call.outcome IS '{OUTCOMES}'".replace(":", r"\:"))
