"""Why a record stands alone, without asking every other account about each record.

What the other accounts are complete for is worked out once for each account, not once for each record; and whether a
record is held elsewhere is looked up record by record: asked of a month, the planner went through all calls instead.

Revision: 0019, after 0018.
"""

from alembic import op

revision = "0019"
down_revision = "0018"
branch_labels = None
depends_on = None

# `reached` holds every moment that some other account is complete for, or is still to come to; an account that has no
# stream of its own is told by all accounts, which stand under nulls.
UNMATCHED_RECORD = """
WITH sides AS MATERIALIZED (
    SELECT provider, account, complete_up_to, covered FROM v1.sync_status WHERE stream = 'calls'),
others AS MATERIALIZED (
    SELECT one.provider, one.account, coalesce(range_agg(reached.span), '{}') AS reached,
           coalesce(min(coalesce(s.complete_up_to, '-infinity')), 'infinity') AS complete_up_to
    FROM (SELECT provider, account FROM sides UNION ALL SELECT NULL, NULL) one
    LEFT JOIN sides s ON (s.provider, s.account) IS DISTINCT FROM (one.provider, one.account)
    LEFT JOIN LATERAL (
        SELECT unnest(s.covered) UNION ALL
        SELECT tstzrange(s.complete_up_to, NULL) WHERE s.complete_up_to IS NOT NULL) reached (span) ON true
    GROUP BY 1, 2),
newest AS MATERIALIZED (
    SELECT DISTINCT ON (left_provider, left_account, right_provider, right_account)
           left_provider, left_account, right_provider, right_account, is_prior
    FROM calibration ORDER BY left_provider, left_account, right_provider, right_account, version DESC),
sharing AS MATERIALIZED (
    SELECT left_provider AS provider, left_account AS account FROM newest WHERE NOT is_prior
    UNION SELECT right_provider, right_account FROM newest WHERE NOT is_prior)
SELECT c.id, c.started_at, c.provider, c.account, c.external_id, reason.reason,
       (SELECT jsonb_agg(jsonb_build_object('provider', s.provider, 'account', s.account,
            'complete_up_to', s.complete_up_to) ORDER BY s.provider, s.account)
        FROM sides s WHERE (s.provider, s.account) <> (c.provider, c.account)
          AND (s.complete_up_to IS NULL OR c.started_at >= s.complete_up_to)) AS waiting_for
FROM call_member m
JOIN call c ON c.id = m.call_id
JOIN others anyone ON anyone.provider IS NULL
LEFT JOIN others ON (others.provider, others.account) = (c.provider, c.account)
CROSS JOIN LATERAL (
    SELECT CASE WHEN NOT c.is_final THEN 'not_final'
                WHEN NOT coalesce(others.reached, anyone.reached) @> c.started_at THEN 'outside_coverage'
                WHEN c.remote_e164 IS NULL THEN 'hidden_number'
                WHEN c.started_at >= coalesce(others.complete_up_to, anyone.complete_up_to)
                    THEN 'other_side_not_synced_yet'
                WHEN (c.provider, c.account) NOT IN (SELECT provider, account FROM sharing) THEN 'no_shared_calls_seen'
                WHEN EXISTS (SELECT FROM call_rival x WHERE x.call_id = c.id) THEN 'ambiguous'
                ELSE 'only_here' END AS reason) reason
CROSS JOIN LATERAL (
    SELECT EXISTS (
        SELECT FROM call_member o JOIN call k ON k.id = o.call_id
        WHERE o.unified_call_id = m.unified_call_id AND (o.provider, o.account) <> (m.provider, m.account)
          AND k.deleted_at IS NULL AND k.vanished_at IS NULL) AS elsewhere OFFSET 0) held
WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL AND NOT held.elsewhere
"""


# Forward only.
def upgrade() -> None:
    op.execute(f"CREATE OR REPLACE VIEW unmatched_record AS {UNMATCHED_RECORD}".replace(":", r"\:"))
