"""The contract: schema v1, every view and column commented, and the role that may read it and nothing else.

Views of later work exist from the start and are empty.

Revision: 0002, after 0001.
"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

KEY = {
    "provider": "Which provider reported it",
    "account": "The account at the provider: an account or workspace id, or a name of ours",
}

CALL = """
SELECT c.provider, c.account, c.external_id, c.direction, c.outcome, c.provider_status, c.started_at, c.answered_at,
       c.ended_at, c.duration_seconds, c.remote_e164, c.own_e164, c.remote_raw, c.own_raw, p.id AS remote_person_id,
       c.contact_external_id, c.parent_external_id, c.agent, c.is_final OR c.deleted_at IS NOT NULL
       OR c.vanished_at IS NOT NULL AS is_final, coalesce(c.deleted_at, c.vanished_at) AS deleted_at,
       NULL::bigint AS unified_call_id, c.first_seen_at, c.changed_at, c.payload
FROM call c LEFT JOIN phone p ON p.e164 = c.remote_e164
"""

CALL_COMMENTS = KEY | {
    "external_id": "The provider's id of the record",
    "direction": "inbound, outbound or unknown, seen from the business",
    "outcome": "answered, voicemail, forwarded, rejected, busy, missed, cancelled, failed, in_progress, scheduled or "
    "unknown",
    "provider_status": "The provider's own word, untouched",
    "started_at": "When the call began at the provider; never null",
    "answered_at": "When it was answered, where the provider says so and the outcome agrees",
    "ended_at": "When it ended, as reported; never computed",
    "duration_seconds": "As reported, rounded half up; null when negative or not reported",
    "remote_e164": "The other party's number in E.164; null when hidden or no telephone number",
    "own_e164": "Our number in E.164",
    "remote_raw": "The other party as received",
    "own_raw": "Our side as received",
    "remote_person_id": "The person behind remote_e164 (v1.person); null when there is none",
    "contact_external_id": "The provider's contact; may name a record that is not held here",
    "parent_external_id": "The record this one is a leg of; may name a record that is not held here",
    "agent": "First and last name, else e-mail, else id",
    "is_final": "The provider's word is a terminal one, or the record is deleted",
    "deleted_at": "When the record was deleted at the provider, or found to be; null again when it is seen again",
    "unified_call_id": "The real call it belongs to (v1.unified_call); null until reconciled",
    "first_seen_at": "When the record was first stored here",
    "changed_at": "When a column of this row last changed, unified_call_id and remote_person_id aside",
    "payload": "The record as the provider's answer held it",
}

CONTACT = """
SELECT c.provider, c.account, c.external_id, c.first_name, c.last_name, c.email, c.e164s,
       (SELECT min(p.id) FROM phone p WHERE p.e164 = ANY (c.e164s)) AS person_id, c.opted_out, c.crm_ids,
       coalesce(c.deleted_at, c.vanished_at) AS deleted_at, c.first_seen_at, c.changed_at, c.payload
FROM contact c
"""

CONTACT_COMMENTS = KEY | {
    "external_id": "The provider's id of the contact",
    "first_name": "As received",
    "last_name": "As received",
    "email": "As received",
    "e164s": "Telephone numbers in E.164, in the provider's order; empty where there are none",
    "person_id": "The person (v1.person)",
    "opted_out": "Asked not to be contacted; null where the provider does not say",
    "crm_ids": "Ids of the contact in CRM systems, by CRM name",
    "deleted_at": "When the contact was deleted at the provider, or found to be",
    "first_seen_at": "When the contact was first stored here",
    "changed_at": "When a column of this row last changed",
    "payload": "The contact as the provider's answer held it",
}

PERSON = """
SELECT p.id AS person_id, named.display_name, ARRAY[p.e164] AS e164s, coalesce(held.emails, '{}') AS emails,
       ARRAY(SELECT DISTINCT provider FROM (
           SELECT provider FROM contact WHERE e164s @> ARRAY[p.e164]
           UNION SELECT provider FROM call WHERE remote_e164 = p.e164) seen ORDER BY provider) AS providers,
       held.contact_count, calls.call_count, held.opted_out,
       coalesce(named.provenance, '{}'::jsonb) AS provenance, calls.first_call_at, calls.last_call_at
FROM phone p
CROSS JOIN LATERAL (
    SELECT count(*) AS contact_count, bool_or(opted_out) AS opted_out,
           array_agg(DISTINCT email ORDER BY email) FILTER (WHERE email <> '') AS emails
    FROM contact WHERE e164s @> ARRAY[p.e164] AND deleted_at IS NULL AND vanished_at IS NULL) held
CROSS JOIN LATERAL (
    SELECT count(*) AS call_count, min(started_at) AS first_call_at, max(started_at) AS last_call_at
    FROM call WHERE remote_e164 = p.e164 AND deleted_at IS NULL AND vanished_at IS NULL) calls
LEFT JOIN LATERAL (
    SELECT concat_ws(' ', nullif(first_name, ''), nullif(last_name, '')) AS display_name,
           jsonb_build_object('display_name', jsonb_build_object(
               'provider', provider, 'account', account, 'external_id', external_id)) AS provenance
    FROM contact
    WHERE e164s @> ARRAY[p.e164] AND deleted_at IS NULL AND vanished_at IS NULL
      AND concat(first_name, last_name) <> ''
    ORDER BY changed_at DESC, provider, external_id LIMIT 1) named ON true
"""

PERSON_COMMENTS = {
    "person_id": "Stable id of the person",
    "display_name": "The freshest name a contact gives",
    "e164s": "Every telephone number of the person",
    "emails": "Every e-mail address of the person's contacts",
    "providers": "Which providers know the person",
    "contact_count": "Contacts that are this person, deleted ones aside",
    "call_count": "Calls with this person, deleted ones aside",
    "opted_out": "Whether any contact of the person asked not to be contacted",
    "provenance": "Which record each shown value comes from",
    "first_call_at": "Start of the first call with this person",
    "last_call_at": "Start of the latest call with this person",
}

STATUS = """
WITH scans AS (
    SELECT w.provider, w.account, w.stream, w.listing, w.scan_id, min(w.since) AS since, max(w.until) AS until,
           min(w.started_at) AS began_at, bool_and(w.state = 'done' AND w.verdict = 'proven') AS proven
    FROM sync_window w JOIN sync_stream s USING (provider, account, stream, scope)
    WHERE w.scan_id IS NOT NULL AND NOT w.filtered GROUP BY 1, 2, 3, 4, 5
), spans AS (
    SELECT w.provider, w.account, w.stream, w.listing, tstzrange(w.since, w.until) AS span,
           w.state = 'done' AND w.verdict = 'proven' AS proven
    FROM sync_window w JOIN sync_stream s USING (provider, account, stream, scope)
    WHERE w.scan_id IS NULL AND NOT w.filtered
    UNION ALL
    SELECT provider, account, stream, listing, tstzrange(since, until), proven FROM scans WHERE since IS NOT NULL
), listings AS (
    SELECT provider, account, stream, listing,
           coalesce(range_agg(span) FILTER (WHERE proven), '{}'::tstzmultirange) AS covered
    FROM spans GROUP BY 1, 2, 3, 4
), coverage AS (
    SELECT provider, account, stream, range_intersect_agg(covered) AS covered FROM listings GROUP BY 1, 2, 3
), contacts AS (
    SELECT provider, account, stream, max(began_at) AS complete_up_to
    FROM scans WHERE proven AND since IS NULL GROUP BY 1, 2, 3
), latest AS (
    SELECT DISTINCT ON (provider, account, stream) * FROM sync_run WHERE NOT filtered
    ORDER BY provider, account, stream, started_at DESC, id DESC
)
SELECT s.provider, s.account, s.stream,
       CASE WHEN latest.id IS NULL THEN 'never'
            WHEN latest.state = 'running' AND latest.heartbeat_at > now() - interval '2 minutes' THEN 'running'
            WHEN latest.state = 'running' THEN 'failed'
            WHEN latest.state = 'completed' THEN 'ok'
            ELSE latest.state END AS state,
       lower(newest.span) AS complete_from,
       coalesce(upper(newest.span), contacts.complete_up_to) AS complete_up_to,
       coalesce(coverage.covered, '{}'::tstzmultirange) AS covered,
       (SELECT max(finished_at) FROM sync_run r WHERE NOT r.filtered AND r.state = 'completed'
           AND (r.provider, r.account, r.stream) = (s.provider, s.account, s.stream)) AS last_success_at,
       latest.started_at AS last_attempt_at,
       (SELECT count(*) FROM sync_window w WHERE w.state = 'open' AND NOT w.filtered
           AND (w.provider, w.account, w.stream, w.scope) = (s.provider, s.account, s.stream, s.scope)) AS open_windows,
       (SELECT count(*) FROM rejected_row j WHERE j.resolved_at IS NULL
           AND (j.provider, j.account, j.stream) = (s.provider, s.account, s.stream)) AS rejected_rows,
       CASE WHEN latest.state = 'running' AND latest.heartbeat_at <= now() - interval '2 minutes'
            THEN 'the run ended without a word: its process was killed' ELSE latest.error END AS last_error
FROM sync_stream s
LEFT JOIN latest USING (provider, account, stream)
LEFT JOIN coverage USING (provider, account, stream)
LEFT JOIN contacts USING (provider, account, stream)
LEFT JOIN LATERAL (SELECT span FROM unnest(coverage.covered) AS span ORDER BY span DESC LIMIT 1) newest ON true
"""

STATUS_COMMENTS = KEY | {
    "stream": "calls or contacts",
    "state": "never, ok, partial, failed or running: how the latest run stands",
    "complete_from": "Start of the unbroken proven stretch that holds the newest window",
    "complete_up_to": "End of that stretch; for contacts, when the last proven full scan began",
    "covered": "Every stretch of time whose windows are proven",
    "last_success_at": "When a run last completed",
    "last_attempt_at": "When a run last started",
    "open_windows": "Windows still to be read",
    "rejected_rows": "Records set aside and not yet readable",
    "last_error": "What the latest run failed with",
}

REJECTED = """
SELECT provider, account, stream, external_id, reason, payload, first_seen_at, last_seen_at, resolved_at
FROM rejected_row
"""

REJECTED_COMMENTS = KEY | {
    "stream": "calls or contacts",
    "external_id": "The record's id, where it could be read",
    "reason": "Why the record could not become a row",
    "payload": "The record as received; null where Postgres cannot hold it as JSON (the bytes are kept inside)",
    "first_seen_at": "When it was first set aside",
    "last_seen_at": "When it was last received unreadable",
    "resolved_at": "When the record became readable",
}

UNLINKED_PHONE = {
    "e164": ("text", "A number that links nobody"),
    "reason": ("text", "shared, own or erased"),
    "names": ("text[]", "The names that share it"),
    "since": ("timestamptz", "Since when"),
}

UNIFIED_CALL = {
    "unified_call_id": ("bigint", "Stable id of the real call"),
    "direction": ("text", "As in v1.call"),
    "outcome": ("text", "The best over the records"),
    "started_at": ("timestamptz", "Of the fullest record"),
    "answered_at": ("timestamptz", "Of the fullest record"),
    "ended_at": ("timestamptz", "Of the fullest record"),
    "remote_e164": ("text", "Of the fullest record"),
    "own_e164": ("text", "Of the fullest record"),
    "person_id": ("bigint", "The other party (v1.person)"),
    "providers": ("text[]", "Which providers saw the call"),
    "record_count": ("bigint", "Live records, legs included"),
    "confidence": ("double precision", "0 to 1; 1 for a single record"),
    "provisional": ("boolean", "A member is not final, or the calibration is still a prior"),
    "decided_at": ("timestamptz", "When the members were last decided"),
}

CALL_MATCH = {
    "left_provider": ("text", "One record of the pair"),
    "left_account": ("text", "One record of the pair"),
    "left_external_id": ("text", "One record of the pair"),
    "right_provider": ("text", "The other record of the pair"),
    "right_account": ("text", "The other record of the pair"),
    "right_external_id": ("text", "The other record of the pair"),
    "unified_call_id": ("bigint", "The real call both belong to"),
    "rule": ("text", "Which rule found the pair"),
    "score": ("double precision", "Log-likelihood ratio in nats"),
    "evidence": ("jsonb", "The parts of the score"),
    "decided_at": ("timestamptz", "When it was decided"),
}

UNMATCHED_CALL = {
    "provider": ("text", KEY["provider"]),
    "account": ("text", KEY["account"]),
    "external_id": ("text", "The record"),
    "reason": (
        "text",
        "not_final, outside_coverage, hidden_number, other_side_not_synced_yet, ambiguous or only_here",
    ),
    "detail": ("jsonb", "What the reason rests on"),
}

CHANGE = {
    "sequence": ("bigint", "Position in the feed, in commit order"),
    "entity": ("text", "What changed"),
    "provider": ("text", KEY["provider"]),
    "account": ("text", KEY["account"]),
    "external_id": ("text", "The record"),
    "unified_call_id": ("bigint", "The real call, where it is one that changed"),
    "kind": ("text", "inserted, updated, deleted, restored, matched, unmatched or rematched"),
    "changed_at": ("timestamptz", "When"),
}

FILLED = {
    "call": (CALL, CALL_COMMENTS, "One row per call record of a provider"),
    "contact": (CONTACT, CONTACT_COMMENTS, "One row per contact record of a provider"),
    "person": (PERSON, PERSON_COMMENTS, "One row per person: a group of telephone numbers known to be one"),
    "sync_status": (STATUS, STATUS_COMMENTS, "How fresh and how complete each stream is"),
    "rejected_row": (REJECTED, REJECTED_COMMENTS, "Records that could not be read, with the reason"),
}

LATER = {
    "unlinked_phone": (UNLINKED_PHONE, "Telephone numbers that link nobody, with the reason"),
    "unified_call": (UNIFIED_CALL, "One row per real call, whoever recorded it"),
    "call_match": (CALL_MATCH, "Pairs of records held to be the same call"),
    "unmatched_call": (UNMATCHED_CALL, "Records whose call no other account holds, with the reason"),
    "change": (CHANGE, "What changed, in commit order; page by sequence > n"),
}

READER = """
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'callweave_reader') THEN
        CREATE ROLE callweave_reader NOLOGIN;
    END IF;
EXCEPTION WHEN insufficient_privilege OR duplicate_object OR unique_violation THEN
    NULL;
END $$;
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'callweave_reader') THEN
        GRANT USAGE ON SCHEMA v1 TO callweave_reader;
        GRANT SELECT ON ALL TABLES IN SCHEMA v1 TO callweave_reader;
    END IF;
END $$;
"""


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def create(name: str, query: str, columns: dict[str, str], comment: str) -> None:
    op.execute(f"CREATE VIEW v1.{name} AS {query}".replace(":", r"\:"))
    op.execute(f"COMMENT ON VIEW v1.{name} IS {quoted(comment)}")
    for column, meaning in columns.items():
        op.execute(f"COMMENT ON COLUMN v1.{name}.{column} IS {quoted(meaning)}")


def upgrade() -> None:
    op.execute("CREATE SCHEMA v1")
    op.execute("COMMENT ON SCHEMA v1 IS 'What downstream programs may rely on'")
    for name, (query, columns, comment) in FILLED.items():
        create(name, query, columns, comment)
    for name, (shape, comment) in LATER.items():
        select = ", ".join(f"NULL::{kind} AS {column}" for column, (kind, _) in shape.items())
        create(name, f"SELECT {select} WHERE false", {column: text for column, (_, text) in shape.items()}, comment)
    op.execute(READER)
