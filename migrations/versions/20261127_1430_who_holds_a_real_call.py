"""Which accounts hold a real call is stored with it, and which lines an account carries beside the records.

What one system has and another lacks is then answered from real calls alone, without a look at each of their records.

Revision: 0020, after 0019.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

BEST_FIRST = (
    "ARRAY['answered', 'voicemail', 'forwarded', 'rejected', 'busy', 'missed', 'cancelled', 'failed', 'in_progress', "
    "'scheduled', 'unknown']"
)
OWN_KEY = "c.provider, c.account, c.external_id"
FULLEST = f"said.fullness DESC, {OWN_KEY}"
SPOKEN_FIRST = f"m.speaks DESC, said.place, {FULLEST}"


def first(value: str, condition: str = "true") -> str:
    """`value` of the first record that has one, those first whose outcome is the call's."""
    return f"(array_agg({value} ORDER BY {SPOKEN_FIRST}) FILTER (WHERE {value} IS NOT NULL AND {condition}))[1]"


TALKED = "('answered', 'voicemail', 'forwarded')"


def seconds(start: str, end: str) -> str:
    """Times may lie more than a century apart: more than any call, and more seconds than an integer holds."""
    return (
        f"CASE WHEN {end} >= {start} AND {end} - {start} < interval '365 days' "
        f"THEN round(extract(epoch FROM {end} - {start}))::integer END"
    )


# OFFSET 0: worked out once for each record, not once for each of the aggregates, which can then share one sort.
SAID = f"""
CROSS JOIN LATERAL (
    SELECT array_position({BEST_FIRST}, c.outcome) AS place,
           num_nonnulls(c.answered_at, c.ended_at, c.duration_seconds) AS fullness,
           CASE WHEN c.outcome IN {TALKED} THEN
               CASE WHEN d.counts = 'talk' THEN c.duration_seconds ELSE {seconds("c.answered_at", "c.ended_at")} END
           END AS talk,
           coalesce({seconds("c.started_at", "c.ended_at")},
               CASE WHEN d.counts = 'total' THEN c.duration_seconds END) AS total OFFSET 0) said
CROSS JOIN LATERAL (
    SELECT CASE WHEN c.outcome IN {TALKED} THEN coalesce({seconds("c.started_at", "c.answered_at")},
               CASE WHEN said.total >= said.talk THEN said.total - said.talk END) END AS ring OFFSET 0) ringing
"""

DEFINITION = f"""
SELECT g.unified_call_id, f.direction, ({BEST_FIRST})[g.best] AS outcome, f.started_at, f.answered_at, f.ended_at,
       f.remote_e164, f.own_e164, g.providers, g.record_count, g.confidence, g.provisional, g.decided_at, g.leg_count,
       g.talk_seconds, g.total_seconds, g.ring_seconds, g.agent, g.agents, g.contact_external_ids, g.hidden_number,
       g.accounts
FROM (
    SELECT m.unified_call_id,
           (array_agg(c.id ORDER BY {FULLEST}) FILTER (WHERE m.leg_of IS NULL))[1] AS fullest,
           min(said.place) FILTER (WHERE m.speaks) AS best,
           array_agg(DISTINCT c.provider ORDER BY c.provider) AS providers,
           count(*) AS record_count, min(m.confidence)::double precision AS confidence,
           bool_or(NOT c.is_final OR m.by_prior) AS provisional, max(m.decided_at) AS decided_at,
           count(*) FILTER (WHERE m.leg_of IS NOT NULL) AS leg_count,
           {first("said.talk")} AS talk_seconds,
           {first("said.total", "m.leg_of IS NULL")} AS total_seconds,
           {first("ringing.ring")} AS ring_seconds,
           {first("c.agent")} AS agent,
           coalesce(array_agg(DISTINCT c.agent ORDER BY c.agent) FILTER (WHERE c.agent IS NOT NULL), '{{}}') AS agents,
           coalesce(array_agg(DISTINCT c.contact_external_id ORDER BY c.contact_external_id)
               FILTER (WHERE c.contact_external_id IS NOT NULL), '{{}}') AS contact_external_ids,
           bool_and(c.remote_e164 IS NULL) AS hidden_number,
           array_agg(DISTINCT c.provider || '/' || c.account ORDER BY c.provider || '/' || c.account) AS accounts
    FROM call_member m JOIN call c ON c.id = m.call_id
    LEFT JOIN duration_meaning d ON (d.provider, d.account) = (c.provider, c.account)
    {SAID}
    WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL
    GROUP BY m.unified_call_id) g
JOIN call f ON f.id = g.fullest
"""  # noqa: S608 - our own words

COLUMNS = (
    *("direction", "outcome", "started_at", "answered_at", "ended_at", "remote_e164", "own_e164", "providers"),
    *("record_count", "confidence", "provisional", "decided_at", "leg_count", "talk_seconds", "total_seconds"),
    *("ring_seconds", "agent", "agents", "contact_external_ids", "hidden_number", "accounts"),
)
VALUES = ", ".join(COLUMNS)
EXCLUDED = ", ".join(f"excluded.{name}" for name in COLUMNS)
STANDING = ", ".join(f"u.{name}" for name in COLUMNS)
# One look into the indexes for each of the ids: for thousands of them the planner would else read all calls.
REFRESH = f"""
CREATE OR REPLACE FUNCTION refresh_unified_calls(ids bigint[]) RETURNS bigint LANGUAGE sql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
WITH fresh AS MATERIALIZED (SELECT * FROM unified_call_definition WHERE unified_call_id = ANY (ids)),
gone AS (
    DELETE FROM unified_call u WHERE u.unified_call_id = ANY (ids)
      AND u.unified_call_id NOT IN (SELECT f.unified_call_id FROM fresh f) RETURNING 1),
carried AS (
    INSERT INTO carried_line (own_e164, provider, account)
    SELECT DISTINCT c.own_e164, c.provider, c.account FROM call_member m JOIN call c ON c.id = m.call_id
    WHERE m.unified_call_id = ANY (ids) AND c.own_e164 IS NOT NULL ON CONFLICT DO NOTHING),
written AS (
    INSERT INTO unified_call AS u SELECT * FROM fresh
    ON CONFLICT (unified_call_id) DO UPDATE SET ({VALUES}) = ROW ({EXCLUDED})
    WHERE ({STANDING}) IS DISTINCT FROM ({EXCLUDED}) RETURNING 1)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM written)
$$
"""  # noqa: S608 - our own words
ACCOUNTS = """
UPDATE unified_call u SET accounts = held.accounts
FROM (
    SELECT unified_call_id, array_agg(DISTINCT name ORDER BY name) AS accounts
    FROM (SELECT m.unified_call_id, m.provider || '/' || m.account AS name
          FROM call_member m JOIN call c ON c.id = m.call_id WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL) told
    GROUP BY 1) held
WHERE held.unified_call_id = u.unified_call_id
"""
LINES = """
INSERT INTO carried_line (own_e164, provider, account)
SELECT DISTINCT own_e164, provider, account FROM call WHERE own_e164 IS NOT NULL
"""

UNIFIED_CALL = """
SELECT u.unified_call_id, u.direction, u.outcome, u.started_at, u.answered_at, u.ended_at, u.remote_e164, u.own_e164,
       p.person_id, u.providers, u.record_count, u.confidence, u.provisional, u.decided_at, u.leg_count,
       u.talk_seconds, u.total_seconds, u.ring_seconds, u.agent, u.agents, u.contact_external_ids, u.hidden_number,
       u.accounts
FROM unified_call u LEFT JOIN phone p ON p.e164 = u.remote_e164
"""
MISSING_IN = """
WITH side AS MATERIALIZED (SELECT provider, account, covered FROM v1.sync_status WHERE stream = 'calls')
SELECT u.unified_call_id, l.provider, l.account, u.started_at
FROM unified_call u
JOIN carried_line l ON l.own_e164 = u.own_e164 AND l.provider || '/' || l.account <> ALL (u.accounts)
JOIN side ON (side.provider, side.account) = (l.provider, l.account) AND side.covered @> u.started_at
"""

# Looked up record by record, and judged only where it stands alone: asked of a month, the planner would go through all.
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
          AND (s.complete_up_to IS NULL OR c.started_at >= s.complete_up_to)) AS waiting_for,
       c.unified_call_id, c.direction, c.outcome
FROM (
    SELECT k.id, k.started_at, k.provider, k.account, k.external_id, k.is_final, k.remote_e164, k.direction, k.outcome,
           held.unified_call_id
    FROM call k CROSS JOIN LATERAL (
        SELECT u.unified_call_id, u.accounts FROM call_member m JOIN unified_call u USING (unified_call_id)
        WHERE m.call_id = k.id OFFSET 0) held
    WHERE k.deleted_at IS NULL AND k.vanished_at IS NULL AND cardinality(held.accounts) = 1) c
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
                ELSE 'only_here' END AS reason OFFSET 0) reason
"""
UNMATCHED_CALL = """
SELECT provider, account, external_id, reason,
       CASE reason
           WHEN 'other_side_not_synced_yet' THEN jsonb_build_object('waiting_for', waiting_for)
           WHEN 'ambiguous' THEN jsonb_build_object('rivals', (
               SELECT jsonb_agg(jsonb_build_object('provider', o.provider, 'account', o.account,
                   'external_id', o.external_id) ORDER BY o.provider, o.account, o.external_id)
               FROM call_rival x JOIN call o ON o.id = x.rival_call_id WHERE x.call_id = u.id))
           ELSE '{}'::jsonb END AS detail,
       started_at, unified_call_id, direction, outcome
FROM unmatched_record u
"""
COMMENTS = {
    ("unified_call", "accounts"): "The accounts that hold a record of it, each as provider/account",
    ("unmatched_call", "unified_call_id"): "The real call that it is a record of, see v1.unified_call",
    ("unmatched_call", "direction"): "As in v1.call",
    ("unmatched_call", "outcome"): "As in v1.call",
}


def execute(statement: str) -> None:
    op.execute(statement.replace(":", r"\:"))


# Forward only.
def upgrade() -> None:
    op.create_table(
        "carried_line",
        *(sa.Column(name, sa.Text(), nullable=False) for name in ("own_e164", "provider", "account")),
        sa.PrimaryKeyConstraint("own_e164", "provider", "account", name="pk_carried_line"),
    )
    op.add_column(
        "unified_call", sa.Column("accounts", ARRAY(sa.Text()), nullable=False, server_default=sa.text("'{}'"))
    )
    op.alter_column("unified_call", "accounts", server_default=None)
    execute(LINES)
    execute(ACCOUNTS)
    execute(f"CREATE OR REPLACE VIEW unified_call_definition AS {DEFINITION}")
    execute(REFRESH)
    views = {
        "v1.unified_call": UNIFIED_CALL,
        "v1.missing_in": MISSING_IN,
        "unmatched_record": UNMATCHED_RECORD,
        "v1.unmatched_call": UNMATCHED_CALL,
    }
    for name, query in views.items():
        execute(f"CREATE OR REPLACE VIEW {name} AS {query}")
    for (view, column), meaning in COMMENTS.items():
        execute(f"COMMENT ON COLUMN v1.{view}.{column} IS '{meaning}'")
