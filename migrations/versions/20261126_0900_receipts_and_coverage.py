"""Receipts and completeness in SQL: v1.sync_run, v1.coverage_by_hour, v1.complete and v1.complete_up_to.

Revision: 0014, after 0013.
"""

from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

PLACE = {
    "provider": "Which provider reported it",
    "account": "The account at the provider: an account or workspace id, or a name of ours",
}

# A run whose process was killed stays 'running' in the table; two minutes without a heartbeat say that it is over.
SYNC_RUN = """
SELECT coalesce(flow_run_id, id::text) AS run_id, provider, account, stream,
       CASE WHEN state = 'running' AND heartbeat_at <= now() - interval '2 minutes' THEN 'failed' ELSE state END
           AS state,
       round(extract(epoch FROM coalesce(finished_at, heartbeat_at) - started_at), 3)::double precision AS seconds,
       windows, requests, fetched, inserted, updated, unchanged, duplicate, rejected, deleted,
       CASE WHEN state = 'running' AND heartbeat_at <= now() - interval '2 minutes'
            THEN 'the run ended without a word: its process was killed' ELSE error END AS error,
       started_at, finished_at AS ended_at
FROM sync_run
"""

SYNC_RUN_COMMENTS = (
    {"run_id": "The flow run's id in Prefect, shared by the streams that one run read; else a number of ours"}
    | PLACE
    | {
        "stream": "calls or contacts",
        "state": "running, completed, partial or failed",
        "seconds": "Seconds from its start to its end, or to the last sign of life of a run that has not ended",
        "windows": "Windows that were read, failed ones included",
        "requests": "HTTP requests, tokens and retries included",
        "fetched": "Records received: the sum of the next five columns",
        "inserted": "Records whose key was new",
        "updated": "Records that were known and whose stored row changed",
        "unchanged": "Records that were known and whose stored row did not change",
        "duplicate": "Records that the same window had read before",
        "rejected": "Records set aside (v1.rejected_row)",
        "deleted": "Tombstones written; not part of fetched",
        "error": "Why the run failed or is partial, or what was odd about it",
        "started_at": "When the run began to read the stream",
        "ended_at": "When it ended; null while it runs, and for a run whose process was killed",
    }
)

# Counted hour by hour, so that a query for one day reads one day of calls.
COVERAGE = """
SELECT s.provider, s.account, hour,
       (SELECT count(*) FROM call c
        WHERE c.started_at >= hour AND c.started_at < hour + interval '1 hour'
          AND c.provider = s.provider AND c.account = s.account
          AND c.deleted_at IS NULL AND c.vanished_at IS NULL) AS calls,
       s.covered @> tstzrange(hour, hour + interval '1 hour') AS complete
FROM v1.sync_status s
CROSS JOIN LATERAL (
    SELECT min(w.since) AS since, max(w.until) AS until FROM sync_window w
    WHERE (w.provider, w.account, w.stream) = (s.provider, s.account, s.stream) AND NOT w.filtered) asked
CROSS JOIN LATERAL generate_series(
    date_trunc('hour', asked.since, 'UTC'), asked.until - interval '1 microsecond', interval '1 hour') AS hour
WHERE s.stream = 'calls'
"""

COVERAGE_COMMENTS = PLACE | {
    "hour": "Start of the hour; hours run from the first window of calls ever asked for to the last one",
    "calls": "Records of calls that began in the hour, deleted ones aside",
    "complete": "Every window over the hour is proven: what is not here was not at the provider. The hour that is "
    "going on is never complete",
}

FUNCTIONS = """
CREATE FUNCTION v1.complete(since timestamptz, until timestamptz) RETURNS boolean
LANGUAGE plpgsql STABLE AS $$
BEGIN
    IF since IS NULL OR until IS NULL OR since >= until THEN
        RAISE invalid_parameter_value USING MESSAGE = 'since must be before until';
    END IF;
    RETURN (SELECT coalesce(bool_and(covered @> tstzrange(since, until)), false)
            FROM v1.sync_status s WHERE s.stream = 'calls');
END $$;
COMMENT ON FUNCTION v1.complete IS 'Whether the calls of every account are proven complete from since (inclusive) to '
    'until (exclusive); false where no account was synced yet';
CREATE FUNCTION v1.complete_up_to() RETURNS timestamptz
LANGUAGE sql STABLE AS $$
    SELECT CASE WHEN bool_and(complete_up_to IS NOT NULL) THEN min(complete_up_to) END
    FROM v1.sync_status WHERE stream = 'calls'
$$;
COMMENT ON FUNCTION v1.complete_up_to IS 'The time up to which the calls of every account are complete: the earliest '
    'v1.sync_status.complete_up_to of calls; null where an account has none';
"""

GRANTS = """
DO $$
BEGIN
    IF EXISTS (SELECT FROM pg_roles WHERE rolname = 'callweave_reader') THEN
        GRANT SELECT ON v1.sync_run, v1.coverage_by_hour TO callweave_reader;
        GRANT EXECUTE ON FUNCTION v1.complete, v1.complete_up_to TO callweave_reader;
    END IF;
END $$
"""

VIEWS = {
    "sync_run": (SYNC_RUN, SYNC_RUN_COMMENTS, "The receipts: one row per run, account and stream"),
    "coverage_by_hour": (
        COVERAGE,
        COVERAGE_COMMENTS,
        "One row per account and hour: how many calls are here, and whether that is all",
    ),
}


def quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"


def execute(statement: str) -> None:
    op.execute(statement.replace(":", r"\:"))


# Forward only.
def upgrade() -> None:
    for name, (query, columns, comment) in VIEWS.items():
        execute(f"CREATE VIEW v1.{name} AS {query}")
        execute(f"COMMENT ON VIEW v1.{name} IS {quoted(comment)}")
        for column, meaning in columns.items():
            execute(f"COMMENT ON COLUMN v1.{name}.{column} IS {quoted(meaning)}")
    execute(FUNCTIONS)
    execute(GRANTS)
