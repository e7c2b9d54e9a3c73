"""History, opt-outs with their time, persons that count real calls, and calls that an account should hold and does not.

Revision: 0017, after 0016.
"""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

MOST_TRUSTED_FIRST = "unknown_to_crm, source_updated_at DESC, key"
LEAST_TRUSTED_FIRST = "unknown_to_crm DESC, source_updated_at, key DESC"

# With v1.call it stays within the eight tables that Postgres puts in an order of its own (join_collapse_limit).
PERSON = f"""
SELECT p.id AS person_id, held.display_name, coalesce(p.person_e164s, ARRAY[p.e164]) AS e164s,
       ARRAY(SELECT email FROM (SELECT DISTINCT ON (lower(email)) email, place
                                FROM unnest(held.emails) WITH ORDINALITY AS told (email, place)
                                ORDER BY lower(email), place) best ORDER BY place) AS emails,
       ARRAY(SELECT unnest(held.providers) UNION
             SELECT c.provider FROM phone m JOIN call c ON c.remote_e164 = m.e164
             WHERE m.person_id = p.id AND c.deleted_at IS NULL AND c.vanished_at IS NULL ORDER BY 1) AS providers,
       held.contact_count, calls.call_count, held.opted_out,
       jsonb_strip_nulls(jsonb_build_object('display_name', held.named_by, 'emails', held.emails_by,
                                            'e164s', numbers.numbers_by, 'merges', log.merges)) AS provenance,
       calls.first_call_at, calls.last_call_at
FROM phone p
LEFT JOIN LATERAL (
    SELECT count(*) AS contact_count, bool_or(opted_out) AS opted_out, array_agg(DISTINCT c.provider) AS providers,
           (array_agg(name ORDER BY {MOST_TRUSTED_FIRST}) FILTER (WHERE name IS NOT NULL))[1] AS display_name,
           (array_agg(source ORDER BY {MOST_TRUSTED_FIRST}) FILTER (WHERE name IS NOT NULL))[1] AS named_by,
           array_agg(email ORDER BY {MOST_TRUSTED_FIRST}) FILTER (WHERE email IS NOT NULL) AS emails,
           jsonb_object_agg(email, source ORDER BY {LEAST_TRUSTED_FIRST}) FILTER (WHERE email IS NOT NULL) AS emails_by
    FROM phone m JOIN contact_of_phone c ON c.phone_id = m.id AND c.leads WHERE m.person_id = p.id) held ON true
LEFT JOIN LATERAL (
    SELECT count(*) AS call_count, min(u.started_at) AS first_call_at, max(u.started_at) AS last_call_at
    FROM phone m JOIN unified_call u ON u.remote_e164 = m.e164 WHERE m.person_id = p.id) calls ON true
LEFT JOIN LATERAL (
    SELECT jsonb_object_agg(m.e164, coalesce(best.source, jsonb_build_object('calls', true)) || jsonb_build_object(
               'linked_by', CASE WHEN best.others THEN coalesce(m.linked_by, 'name') END)) AS numbers_by
    FROM phone m LEFT JOIN LATERAL (
        SELECT source, count(*) OVER () > 1 AS others FROM contact_of_phone WHERE phone_id = m.id
        ORDER BY {MOST_TRUSTED_FIRST} LIMIT 1) best ON true
    WHERE m.person_id = p.id) numbers ON true
LEFT JOIN LATERAL (
    SELECT jsonb_agg(g.id ORDER BY g.id) AS merges
    FROM phone m JOIN person_change g ON g.person_id = m.id AND g.kind = 'merge' AND g.undone_at IS NULL
    WHERE m.person_id = p.id) log ON true
WHERE p.person_id = p.id
"""  # noqa: S608 - our own words

CONTACT = """
SELECT c.provider, c.account, c.external_id, c.first_name, c.last_name, c.email, c.e164s, p.person_id, c.opted_out,
       c.crm_ids, coalesce(c.deleted_at, c.vanished_at) AS deleted_at, c.first_seen_at, c.changed_at, c.payload,
       CASE WHEN c.opted_out THEN coalesce(c.opted_out_since, c.first_seen_at) END AS opted_out_at
FROM contact c LEFT JOIN contact_phone l ON l.contact_id = c.id AND l.leads LEFT JOIN phone p ON p.id = l.phone_id
"""

MISSING_IN = """
WITH RECURSIVE side AS MATERIALIZED (
    SELECT provider, account, covered FROM v1.sync_status WHERE stream = 'calls'),
own AS (
    (SELECT own_e164 FROM call WHERE own_e164 IS NOT NULL ORDER BY own_e164 LIMIT 1)
    UNION ALL
    SELECT next.own_e164 FROM own, LATERAL (
        SELECT own_e164 FROM call WHERE own_e164 > own.own_e164 ORDER BY own_e164 LIMIT 1) next),
line AS MATERIALIZED (
    SELECT own.own_e164, side.provider, side.account, side.covered FROM own CROSS JOIN side WHERE EXISTS (
        SELECT FROM call carried WHERE carried.own_e164 = own.own_e164
          AND (carried.provider, carried.account) = (side.provider, side.account)
          AND carried.deleted_at IS NULL AND carried.vanished_at IS NULL))
SELECT u.unified_call_id, l.provider, l.account, u.started_at
FROM unified_call u JOIN line l ON l.own_e164 = u.own_e164 AND l.covered @> u.started_at
WHERE NOT EXISTS (
    SELECT FROM call_member m JOIN call c ON c.id = m.call_id
    WHERE m.unified_call_id = u.unified_call_id AND (m.provider, m.account) = (l.provider, l.account)
      AND c.deleted_at IS NULL AND c.vanished_at IS NULL)
"""

SAID = (
    *("provider", "account", "external_id", "direction", "outcome", "provider_status", "started_at", "answered_at"),
    *("ended_at", "duration_seconds", "remote_e164", "own_e164", "remote_raw", "own_raw", "contact_external_id"),
    *("parent_external_id", "agent", "is_final", "deleted_at"),
)
"""What a former version keeps of a call: all but its payload."""
COLUMNS = ", ".join(SAID)
OLD = ", ".join(f"old.{name}" for name in SAID).replace("old.deleted_at", "coalesce(old.deleted_at, old.vanished_at)")
CALL_HISTORY = f"SELECT {COLUMNS}, valid_from, valid_to FROM call_history"  # noqa: S608 - our own words

KEEP = f"""
CREATE FUNCTION keep_call_history() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF current_setting('callweave.keep_history', true) = '1' THEN
        INSERT INTO call_history ({COLUMNS}, valid_from, valid_to)
        VALUES ({OLD}, old.changed_at, new.changed_at);
    END IF;
    RETURN NULL;
END $$;
CREATE TRIGGER keep_call_history AFTER UPDATE ON call FOR EACH ROW
WHEN (old.changed_at IS DISTINCT FROM new.changed_at) EXECUTE FUNCTION keep_call_history();
"""  # noqa: S608 - our own words

DECISION_HISTORY = """
SELECT l.provider AS left_provider, l.account AS left_account, l.external_id AS left_external_id,
       r.provider AS right_provider, r.account AS right_account, r.external_id AS right_external_id,
       x.unified_call_id, x.score::double precision AS score, x.happened_at AS valid_from, x.ended_at AS valid_to,
       x.cause AS why, x.ended_by AS why_ended
FROM (SELECT *, lead(happened_at) OVER pair AS ended_at, lead(cause) OVER pair AS ended_by
      FROM match_log WINDOW pair AS (PARTITION BY left_call_id, right_call_id ORDER BY id)) x
JOIN call l ON l.id = x.left_call_id JOIN call r ON r.id = x.right_call_id
WHERE x.kind = 'formed'
"""

RECORD = {
    "provider": "Which provider reported it",
    "account": "The account at the provider: an account or workspace id, or a name of ours",
}
TIMES = {
    "valid_from": "Since when this was so, by our clock",
    "valid_to": "Until when; from then on something else was, or is",
}
SAID_COMMENTS = {
    "external_id": "The record's id at the provider",
    "direction": "inbound, outbound, unknown: seen from the business",
    "outcome": "How the call ended, as in v1.call",
    "provider_status": "The provider's own word",
    "started_at": "When the call began",
    "answered_at": "When it was answered, where the provider says so",
    "ended_at": "When it ended, where the provider says so",
    "duration_seconds": "As reported",
    "remote_e164": "The other party's number",
    "own_e164": "Our number",
    "remote_raw": "The other party's number as received",
    "own_raw": "Our number as received",
    "contact_external_id": "The contact that the record named",
    "parent_external_id": "The record that it named as its parent",
    "agent": "Who of ours took or made the call",
    "is_final": "Whether the provider's word was a terminal one",
    "deleted_at": "Tombstone",
}
VIEWS = {
    "missing_in": (
        MISSING_IN,
        "Real calls that an account should hold, being complete over their time and carrying their line, and does not",
        {"unified_call_id": "The real call, see v1.unified_call"}
        | RECORD
        | {"started_at": "When the call began, as in v1.unified_call"},
    ),
    "call_history": (
        CALL_HISTORY,
        "What each record of a call said before, without payloads; kept where CALLWEAVE_KEEP_HISTORY=1 is set",
        RECORD | SAID_COMMENTS | TIMES,
    ),
    "decision_history": (
        DECISION_HISTORY,
        "Which records were held to be one call, from when to when, and why",
        {f"{side}_{name}": meaning for side in ("left", "right") for name, meaning in RECORD.items()}
        | {f"{side}_external_id": f"The {side} record's id at its provider" for side in ("left", "right")}
        | {
            "unified_call_id": "The real call that both were held to be",
            "score": "What spoke for it, in nats (log-likelihood ratio)",
            "valid_from": TIMES["valid_from"],
            "valid_to": "Until when; null where it is still held",
            "why": "What led to the decision: a new or changed record, a calibration, a whole run, a judgement",
            "why_ended": "What led to its end; null where it is still held",
        },
    ),
}
GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'callweave_reader') THEN
        GRANT SELECT ON v1.missing_in, v1.call_history, v1.decision_history TO callweave_reader;
    END IF;
END $$
"""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def execute(statement: str) -> None:
    op.execute(statement.replace(":", r"\:"))


# Forward only. The code before this migration must still run after it.
def upgrade() -> None:
    op.add_column("contact", sa.Column("opted_out_since", sa.DateTime(timezone=True), nullable=True))
    execute("UPDATE contact SET opted_out_since = changed_at WHERE opted_out AND changed_at <> first_seen_at")
    kinds: dict[str, Any] = {"is_final": sa.Boolean(), "duration_seconds": sa.Integer()}
    needed = {"provider", "account", "external_id", "direction", "outcome", "started_at", "is_final"}
    op.create_table(
        "call_history",
        sa.Column("id", sa.BigInteger(), sa.Identity(always=False), nullable=False),
        *(
            sa.Column(
                name,
                kinds.get(name, sa.DateTime(timezone=True) if name.endswith("_at") else sa.Text()),
                nullable=name not in needed,
            )
            for name in SAID
        ),
        *(sa.Column(name, sa.DateTime(timezone=True), nullable=False) for name in TIMES),
        sa.PrimaryKeyConstraint("id", name="pk_call_history"),
    )
    op.create_index("ix_call_history_record", "call_history", ["provider", "account", "external_id", "valid_from"])
    op.create_index("ix_call_history_valid_to", "call_history", ["valid_to"])
    execute(KEEP)
    for name, query in (("person", PERSON), ("contact", CONTACT)):
        execute(f"CREATE OR REPLACE VIEW v1.{name} AS {query}")
    comment = "Since when: our first sight of it, as no provider says when"
    execute(f"COMMENT ON COLUMN v1.contact.opted_out_at IS {quoted(comment)}")
    execute("COMMENT ON COLUMN v1.person.call_count IS 'Real calls with this person (v1.unified_call)'")
    for name, (query, meaning, columns) in VIEWS.items():
        execute(f"CREATE VIEW v1.{name} AS {query}")
        execute(f"COMMENT ON VIEW v1.{name} IS {quoted(meaning)}")
        for column, told in columns.items():
            execute(f"COMMENT ON COLUMN v1.{name}.{column} IS {quoted(told)}")
    execute(GRANTS)
