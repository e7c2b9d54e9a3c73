"""A call of several rows of one system: legs in the views, what speaks for a run, a reason where nothing is shared.

Revision: 0013, after 0012.
"""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

CALL = """
SELECT c.provider, c.account, c.external_id, c.direction, c.outcome, c.provider_status, c.started_at, c.answered_at,
       c.ended_at, c.duration_seconds, c.remote_e164, c.own_e164, c.remote_raw, c.own_raw,
       p.person_id AS remote_person_id, c.contact_external_id, c.parent_external_id, c.agent,
       c.is_final OR c.deleted_at IS NOT NULL OR c.vanished_at IS NOT NULL AS is_final,
       coalesce(c.deleted_at, c.vanished_at) AS deleted_at,
       CASE WHEN c.deleted_at IS NULL AND c.vanished_at IS NULL THEN m.unified_call_id END AS unified_call_id,
       c.first_seen_at, c.changed_at, c.payload, m.leg_of IS NOT NULL AS is_leg
FROM call c LEFT JOIN phone p ON p.e164 = c.remote_e164 LEFT JOIN call_member m ON m.call_id = c.id
"""

BEST_FIRST = (
    "ARRAY['answered', 'voicemail', 'forwarded', 'rejected', 'busy', 'missed', 'cancelled', 'failed', 'in_progress', "
    "'scheduled', 'unknown']"
)

UNIFIED_CALL = f"""
SELECT g.unified_call_id, f.direction, ({BEST_FIRST})[g.best] AS outcome, f.started_at, f.answered_at, f.ended_at,
       f.remote_e164, f.own_e164, p.person_id, g.providers, g.record_count, g.confidence, g.provisional,
       g.decided_at, g.leg_count
FROM (
    SELECT m.unified_call_id,
           (array_agg(c.id ORDER BY num_nonnulls(c.answered_at, c.ended_at, c.duration_seconds) DESC,
               c.provider, c.account, c.external_id) FILTER (WHERE m.leg_of IS NULL))[1] AS fullest,
           min(array_position({BEST_FIRST}, c.outcome)) FILTER (WHERE m.speaks) AS best,
           array_agg(DISTINCT c.provider ORDER BY c.provider) AS providers,
           count(*) AS record_count, min(m.confidence)::double precision AS confidence,
           bool_or(NOT c.is_final OR m.by_prior) AS provisional, max(m.decided_at) AS decided_at,
           count(*) FILTER (WHERE m.leg_of IS NOT NULL) AS leg_count
    FROM call_member m JOIN call c ON c.id = m.call_id
    WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL
    GROUP BY m.unified_call_id) g
JOIN call f ON f.id = g.fullest
LEFT JOIN phone p ON p.e164 = f.remote_e164
"""  # noqa: S608 - our own words

CALL_MATCH = """
SELECT l.provider AS left_provider, l.account AS left_account, l.external_id AS left_external_id,
       r.provider AS right_provider, r.account AS right_account, r.external_id AS right_external_id,
       x.unified_call_id, x.rule, x.score::double precision AS score,
       jsonb_build_object('prior', x.prior, 'start', x.start, 'length', x.length, 'outcome', x.outcome,
           'direction', x.direction, 'run', coalesce(x.run, 0), 'margin', x.margin, 'calibration', x.calibration_id)
           AS evidence,
       x.decided_at
FROM call_match x JOIN call l ON l.id = x.left_call_id JOIN call r ON r.id = x.right_call_id
"""

UNMATCHED_RECORD = """
WITH sides AS MATERIALIZED (
    SELECT provider, account, complete_up_to, covered FROM v1.sync_status WHERE stream = 'calls'),
newest AS MATERIALIZED (
    SELECT DISTINCT ON (left_provider, left_account, right_provider, right_account)
           left_provider, left_account, right_provider, right_account, is_prior
    FROM calibration ORDER BY left_provider, left_account, right_provider, right_account, version DESC),
sharing AS MATERIALIZED (
    SELECT left_provider AS provider, left_account AS account FROM newest WHERE NOT is_prior
    UNION SELECT right_provider, right_account FROM newest WHERE NOT is_prior)
SELECT c.id, c.started_at, c.provider, c.account, c.external_id, reason.reason, other.waiting_for
FROM call_member m
JOIN call c ON c.id = m.call_id
CROSS JOIN LATERAL (
    SELECT coalesce(bool_and(NOT s.covered @> c.started_at AND c.started_at < s.complete_up_to), true) AS outside,
           jsonb_agg(jsonb_build_object('provider', s.provider, 'account', s.account,
               'complete_up_to', s.complete_up_to) ORDER BY s.provider, s.account)
               FILTER (WHERE s.complete_up_to IS NULL OR c.started_at >= s.complete_up_to) AS waiting_for
    FROM sides s WHERE (s.provider, s.account) <> (c.provider, c.account)) other
CROSS JOIN LATERAL (
    SELECT CASE WHEN NOT c.is_final THEN 'not_final'
                WHEN other.outside THEN 'outside_coverage'
                WHEN c.remote_e164 IS NULL THEN 'hidden_number'
                WHEN other.waiting_for IS NOT NULL THEN 'other_side_not_synced_yet'
                WHEN (c.provider, c.account) NOT IN (SELECT provider, account FROM sharing) THEN 'no_shared_calls_seen'
                WHEN EXISTS (SELECT FROM call_rival x WHERE x.call_id = c.id) THEN 'ambiguous'
                ELSE 'only_here' END AS reason) reason
WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL AND NOT EXISTS (
    SELECT FROM call_member o JOIN call k ON k.id = o.call_id
    WHERE o.unified_call_id = m.unified_call_id AND (o.provider, o.account) <> (m.provider, m.account)
      AND k.deleted_at IS NULL AND k.vanished_at IS NULL)
"""

COMMENTS = {
    ("call", "is_leg"): "It is a part of another record of the same account, or of the same call written twice there",
    ("unified_call", "leg_count"): "Records that are parts of another record of their account",
}


def execute(statement: str) -> None:
    op.execute(statement.replace(":", r"\:"))


# Forward only. The code before this migration must still run after it: add nullable, fill by a script, enforce later.
def upgrade() -> None:
    op.add_column("call_match", sa.Column("run", sa.REAL(), nullable=True))
    op.create_index(
        "ix_call_hidden_started_at", "call", ["started_at"], postgresql_where=sa.text("remote_e164 IS NULL")
    )
    for name, query in (("v1.call", CALL), ("v1.unified_call", UNIFIED_CALL), ("v1.call_match", CALL_MATCH)):
        execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
    execute(f"CREATE OR REPLACE VIEW unmatched_record AS {UNMATCHED_RECORD}")
    for (view, column), meaning in COMMENTS.items():
        execute(f"COMMENT ON COLUMN v1.{view}.{column} IS '{meaning}'")
