"""Real calls are stored: one narrow row each, kept current with every load and decision; their definition is a view.

Revision: 0016, after 0015.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import ARRAY

revision = "0016"
down_revision = "0015"
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
       g.talk_seconds, g.total_seconds, g.ring_seconds, g.agent, g.agents, g.contact_external_ids, g.hidden_number
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
           bool_and(c.remote_e164 IS NULL) AS hidden_number
    FROM call_member m JOIN call c ON c.id = m.call_id
    LEFT JOIN duration_meaning d ON (d.provider, d.account) = (c.provider, c.account)
    {SAID}
    WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL
    GROUP BY m.unified_call_id) g
JOIN call f ON f.id = g.fullest
"""  # noqa: S608 - our own words

KINDS: dict[str, Any] = {
    "unified_call_id": sa.BigInteger(),
    **dict.fromkeys(["direction", "outcome"], sa.Text()),
    **dict.fromkeys(["started_at", "answered_at", "ended_at"], sa.DateTime(timezone=True)),
    **dict.fromkeys(["remote_e164", "own_e164"], sa.Text()),
    "providers": ARRAY(sa.Text()),
    "record_count": sa.BigInteger(),
    "confidence": sa.Double(),
    "provisional": sa.Boolean(),
    "decided_at": sa.DateTime(timezone=True),
    "leg_count": sa.BigInteger(),
    **dict.fromkeys(["talk_seconds", "total_seconds", "ring_seconds"], sa.Integer()),
    "agent": sa.Text(),
    **dict.fromkeys(["agents", "contact_external_ids"], ARRAY(sa.Text())),
    "hidden_number": sa.Boolean(),
}
MAY_BE_NULL = {
    *("answered_at", "ended_at", "remote_e164", "own_e164", "outcome"),
    *("talk_seconds", "total_seconds", "ring_seconds", "agent"),
}
VALUES = ", ".join(name for name in KINDS if name != "unified_call_id")

# One look into the indexes for each of the ids: for thousands of them the planner would else read all calls.
EXCLUDED = ", ".join(f"excluded.{name}" for name in KINDS if name != "unified_call_id")
STANDING = ", ".join(f"u.{name}" for name in KINDS if name != "unified_call_id")
REFRESH = f"""
CREATE FUNCTION refresh_unified_calls(ids bigint[]) RETURNS bigint LANGUAGE sql
SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
WITH fresh AS MATERIALIZED (SELECT * FROM unified_call_definition WHERE unified_call_id = ANY (ids)),
gone AS (
    DELETE FROM unified_call u WHERE u.unified_call_id = ANY (ids)
      AND u.unified_call_id NOT IN (SELECT f.unified_call_id FROM fresh f) RETURNING 1),
written AS (
    INSERT INTO unified_call AS u SELECT * FROM fresh
    ON CONFLICT (unified_call_id) DO UPDATE SET ({VALUES}) = ROW ({EXCLUDED})
    WHERE ({STANDING}) IS DISTINCT FROM ({EXCLUDED}) RETURNING 1)
SELECT (SELECT count(*) FROM gone) + (SELECT count(*) FROM written)
$$
"""  # noqa: S608 - our own words
REFRESH_COMMENT = (
    "Makes the stored real calls among ids as unified_call_definition says; returns how many were otherwise. To be "
    "called under the lock of the change feed, so that writers follow each other"
)

UNIFIED_CALL = """
SELECT u.unified_call_id, u.direction, u.outcome, u.started_at, u.answered_at, u.ended_at, u.remote_e164, u.own_e164,
       p.person_id, u.providers, u.record_count, u.confidence, u.provisional, u.decided_at, u.leg_count,
       u.talk_seconds, u.total_seconds, u.ring_seconds, u.agent, u.agents, u.contact_external_ids, u.hidden_number
FROM unified_call u LEFT JOIN phone p ON p.e164 = u.remote_e164
"""
COMMENTS = {
    "talk_seconds": "Seconds that somebody talked, of answered calls: from the record that says so, by its answer and "
    "its end, or by its duration where that account counts talk (learnt, see docs/querying.md); null where none says",
    "total_seconds": "Seconds from the start to the end: by both times of one record, or by its duration where that "
    "account counts the whole call; null where none says",
    "ring_seconds": "Seconds from the start to the answer, by both times of one record, else what its whole length has "
    "more than its talk; null where none says",
    "agent": "Who took or made the call, by the record whose outcome is the call's, else by any that names somebody",
    "agents": "Everybody of ours whom a record of the call names",
    "contact_external_ids": "The contacts that its records name, each by its provider's id",
    "hidden_number": "No record of it shows the number of the other party",
}


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def execute(statement: str) -> None:
    op.execute(statement.replace(":", r"\:"))


# Forward only.
def upgrade() -> None:
    op.create_table(
        "duration_meaning",
        sa.Column("provider", sa.Text(), nullable=False),
        sa.Column("account", sa.Text(), nullable=False),
        sa.Column("counts", sa.Text(), nullable=False),
        sa.Column("evidence", sa.Text(), nullable=False),
        sa.Column("learnt_at", sa.DateTime(timezone=True), server_default=sa.text("now()"), nullable=False),
        sa.CheckConstraint("counts IN ('talk', 'total')", name="ck_duration_meaning_counts"),
        sa.PrimaryKeyConstraint("provider", "account", name="pk_duration_meaning"),
    )
    op.create_table(
        "unified_call",
        *(sa.Column(name, kind, nullable=name in MAY_BE_NULL, autoincrement=False) for name, kind in KINDS.items()),
        sa.PrimaryKeyConstraint("unified_call_id", name="pk_unified_call"),
    )
    execute(f"CREATE VIEW unified_call_definition AS {DEFINITION}")
    execute("COMMENT ON VIEW unified_call_definition IS 'What unified_call has to hold'")
    execute(REFRESH)
    execute(f"COMMENT ON FUNCTION refresh_unified_calls IS {quoted(REFRESH_COMMENT)}")
    execute("INSERT INTO unified_call SELECT * FROM unified_call_definition")
    op.create_index("ix_unified_call_started_at", "unified_call", ["started_at"])
    op.create_index("ix_unified_call_remote_e164_started_at", "unified_call", ["remote_e164", "started_at"])
    execute(f"CREATE OR REPLACE VIEW v1.unified_call AS {UNIFIED_CALL}")
    for column, meaning in COMMENTS.items():
        execute(f"COMMENT ON COLUMN v1.unified_call.{column} IS {quoted(meaning)}")
