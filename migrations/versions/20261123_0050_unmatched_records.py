"""Unmatched records with their time, so that those of a stretch can be asked for without looking at all.

Revision: 0008, after 0007.
"""

from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

UNMATCHED_RECORD = """
WITH sides AS MATERIALIZED (
    SELECT provider, account, complete_up_to, covered FROM v1.sync_status WHERE stream = 'calls')
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
                WHEN EXISTS (SELECT FROM call_rival x WHERE x.call_id = c.id) THEN 'ambiguous'
                ELSE 'only_here' END AS reason) reason
WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL AND NOT EXISTS (
    SELECT FROM call_member o JOIN call k ON k.id = o.call_id
    WHERE o.unified_call_id = m.unified_call_id AND (o.provider, o.account) <> (m.provider, m.account)
      AND k.deleted_at IS NULL AND k.vanished_at IS NULL)
"""

UNMATCHED_CALL = """
SELECT provider, account, external_id, reason,
       CASE reason
           WHEN 'other_side_not_synced_yet' THEN jsonb_build_object('waiting_for', waiting_for)
           WHEN 'ambiguous' THEN jsonb_build_object('rivals', (
               SELECT jsonb_agg(jsonb_build_object('provider', o.provider, 'account', o.account,
                   'external_id', o.external_id) ORDER BY o.provider, o.account, o.external_id)
               FROM call_rival x JOIN call o ON o.id = x.rival_call_id WHERE x.call_id = u.id))
           ELSE '{}'::jsonb END AS detail
FROM unmatched_record u
"""


# Forward only. The code before this migration must still run after it: add nullable, fill by a script, enforce later.
def upgrade() -> None:
    op.execute(f"CREATE VIEW unmatched_record AS {UNMATCHED_RECORD}".replace(":", r"\:"))
    op.execute(f"CREATE OR REPLACE VIEW v1.unmatched_call AS {UNMATCHED_CALL}".replace(":", r"\:"))
