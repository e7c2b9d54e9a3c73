"""What is wrong now, by the database alone: one statement for each cause, also where a run was killed."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, TextClause, text

from models.alerts.incident import Cause, Finding, Key
from models.alerts.rules import Freshness, Place, Rejections, rejected, stale
from models.vocabulary import StreamName
from models.wording import counted, minute
from tasks.client.redaction import outward
from tasks.ledger.silence import WEEKS
from tasks.matching.sql import LOCK

UNPROVEN_FOR = timedelta(hours=6)
DRIFT_TOLD_FOR = timedelta(days=1)
"""A clock that stood still for so long has stopped moving."""
CHANGE_SHOWN_FOR = timedelta(days=1)
RECONCILED_WITHIN = timedelta(hours=1)
ALLOWED: Mapping[str, timedelta] = {
    StreamName.CALLS: timedelta(minutes=35),
    StreamName.CONTACTS: timedelta(hours=30),
}
"""How old a stream may be whose schedule is not known: its usual interval and some time to work."""

UNPROVEN = text("""
SELECT w.provider, w.account, w.stream, count(*) AS windows, min(w.since) AS since, max(w.until) AS until,
       min(first.at) AS first_at,
       mode() WITHIN GROUP (ORDER BY coalesce(w.reason, 'waiting to be read again')) AS reason
FROM sync_window w JOIN sync_stream s USING (provider, account, stream, scope)
CROSS JOIN LATERAL (
    SELECT min(p.finished_at) FILTER (WHERE p.verdict <> 'proven') AS at,
           max(p.finished_at) FILTER (WHERE p.verdict = 'proven') AS proven_at
    FROM sync_window p
    WHERE (p.provider, p.account, p.stream, p.scope, p.listing)
        = (w.provider, w.account, w.stream, w.scope, w.listing) AND NOT p.filtered AND p.finished_at IS NOT NULL
      AND p.verdict IS NOT NULL AND (w.since IS NULL OR (p.since < w.until AND p.until > w.since))
      AND NOT EXISTS (SELECT FROM sync_window o WHERE o.scan_id = p.scan_id AND o.state = 'open')) first
WHERE NOT w.filtered AND (w.state = 'open' OR (w.state = 'done' AND w.verdict <> 'proven'))
  AND first.at > coalesce(first.proven_at, '-infinity')
GROUP BY 1, 2, 3 HAVING min(first.at) < statement_timestamp() - CAST(:patience AS interval)
""")
REJECTIONS = text("""
SELECT s.provider, s.account, s.stream, j.records, j.since, j.reason,
       CAST(coalesce(day.rejected, 0) AS bigint) AS rejected,
       CAST(coalesce(day.fetched, 0) AS bigint) AS fetched
FROM sync_stream s CROSS JOIN LATERAL (
    SELECT count(*) AS records, min(first_seen_at) AS since, mode() WITHIN GROUP (ORDER BY reason) AS reason
    FROM rejected_row r WHERE (r.provider, r.account, r.stream) = (s.provider, s.account, s.stream)
      AND r.resolved_at IS NULL AND r.last_seen_at > statement_timestamp() - interval '1 day') j
CROSS JOIN LATERAL (
    SELECT sum(rejected) AS rejected, sum(fetched) AS fetched FROM sync_run r
    WHERE (r.provider, r.account, r.stream) = (s.provider, s.account, s.stream) AND NOT r.filtered
      AND r.started_at > statement_timestamp() - interval '1 day') day
WHERE j.records > 0
""")
# IS NOT DISTINCT FROM and the upper bound are for the planner: only the index by time serves, and little of it. By
# account, all calls were read several times where Postgres had not yet counted them. The hours before and after count
# too: where the clocks were changed in between, the same hour of a day is one of those.
SILENT = text("""
WITH fresh AS MATERIALIZED (
    SELECT provider, account, complete_up_to AS until FROM v1.sync_status
    WHERE stream = 'calls' AND complete_up_to > statement_timestamp() - interval '1 hour')
SELECT DISTINCT f.provider, f.account, f.until, (SELECT max(started_at) FROM call c
       WHERE (c.provider, c.account) IS NOT DISTINCT FROM (f.provider, f.account)
         AND c.started_at > f.until - (:weeks + 1) * interval '7 days') AS since
FROM fresh f CROSS JOIN (VALUES (interval '1 hour'), (interval '1 day')) AS stretch (length)
WHERE NOT EXISTS (
    SELECT FROM call c WHERE (c.provider, c.account) IS NOT DISTINCT FROM (f.provider, f.account)
      AND c.started_at >= f.until - stretch.length AND c.started_at < f.until + interval '1 day')
  AND (SELECT bool_and(EXISTS (
        SELECT FROM call c WHERE (c.provider, c.account) IS NOT DISTINCT FROM (f.provider, f.account)
          AND c.started_at >= f.until - stretch.length - week * interval '7 days' + shift * interval '1 hour'
          AND c.started_at < f.until - week * interval '7 days' + shift * interval '1 hour'))
      FROM generate_series(1, :weeks) AS week CROSS JOIN generate_series(-1, 1) AS shift)
""")
STILL_SILENT = text("""
SELECT i.provider, i.account, i.since, i.detail FROM incident i
WHERE i.cause = 'silence' AND i.closed_at IS NULL AND NOT EXISTS (
    SELECT FROM call c WHERE (c.provider, c.account) = (i.provider, i.account) AND c.started_at > i.since)
""")
MOVED_CLOCKS = text("""
SELECT DISTINCT ON (pair) pair, adopted_at, reason, count(*) OVER (PARTITION BY pair) AS versions
FROM calibration CROSS JOIN LATERAL (SELECT left_provider || ':' || left_account || ' and '
    || right_provider || ':' || right_account AS pair) AS named
WHERE reason LIKE 'the clock moved%' AND adopted_at > statement_timestamp() - CAST(:told_for AS interval)
ORDER BY pair, adopted_at DESC
""")
RECONCILING = text("""
WITH last AS MATERIALIZED (SELECT coalesce(max(id), 0) AS good FROM reconcile_run WHERE state = 'completed'),
bad AS (
    SELECT *, state = 'running' AND (id < (SELECT max(id) FROM reconcile_run) OR NOT EXISTS (
        SELECT FROM pg_locks l JOIN pg_database d ON d.oid = l.database AND d.datname = current_database()
        WHERE l.locktype = 'advisory' AND l.classid = 0 AND l.objid = :lock AND l.granted)) AS is_dead
    FROM reconcile_run WHERE id > (SELECT good FROM last) AND state IN ('failed', 'running'))
SELECT error, is_dead, flow_run_id, started_at, count(*) OVER () AS runs,
       (SELECT finished_at FROM reconcile_run WHERE id = (SELECT good FROM last)) AS completed_at
FROM bad WHERE state = 'failed' OR is_dead OR started_at < statement_timestamp() - CAST(:within AS interval)
ORDER BY id DESC LIMIT 1
""")
FRESHNESS = text("""
SELECT provider, account, stream, complete_up_to FROM v1.sync_status WHERE complete_up_to IS NOT NULL
""")


BEHAVIOUR = text("""
SELECT provider, account, stream, min(since) AS since, string_agg(DISTINCT words, '; ') AS words
FROM observed_behaviour
WHERE standing = 'unclear' OR (previous IS NOT NULL AND since > statement_timestamp() - CAST(:shown_for AS interval))
GROUP BY 1, 2, 3
""")


def rows(connection: Connection, query: TextClause, **values: Any) -> list[RowMapping]:
    return list(connection.execute(query, values).mappings())


def span(row: RowMapping) -> str:
    """How many windows, and over which time."""
    if row["since"] is None:
        return f"({counted(row['windows'], 'window')})"
    return f"({counted(row['windows'], 'window')} from {minute(row['since'])} to {minute(row['until'])})"


def of_windows(connection: Connection) -> list[Finding]:
    return [
        Finding(
            key=Key(Cause.UNPROVEN, row["provider"], row["account"], row["stream"]),
            since=row["first_at"],
            detail=f"{row['reason']} {span(row)}",
        )
        for row in rows(connection, UNPROVEN, patience=UNPROVEN_FOR)
    ]


def of_rejected_records(connection: Connection) -> list[Finding]:
    return rejected(Rejections(**row) for row in rows(connection, REJECTIONS))


def of_silence(connection: Connection) -> list[Finding]:
    """No calls where there always were some; once found, until one comes."""
    still = [_silent(row, row["detail"], opens=False) for row in rows(connection, STILL_SILENT)]
    return still + [_silent(row, _silence(row)) for row in rows(connection, SILENT, weeks=WEEKS)]


def _silent(row: RowMapping, detail: str, *, opens: bool = True) -> Finding:
    key = Key(Cause.SILENCE, row["provider"], row["account"], StreamName.CALLS)
    return Finding(key=key, since=row["since"], detail=detail, opens=opens)


def _silence(row: RowMapping) -> str:
    stretch = f"from {minute(row['since'])} to {minute(row['until'])}"
    return f"no call {stretch}, though the same hours of each of the last {WEEKS} weeks had some"


def of_behaviour(connection: Connection) -> list[Finding]:
    """Lists that changed their ways in the last day, or that are not understood."""
    return [
        Finding(
            key=Key(Cause.BEHAVIOUR, row["provider"], row["account"], row["stream"]),
            since=row["since"],
            detail=row["words"],
        )
        for row in rows(connection, BEHAVIOUR, shown_for=CHANGE_SHOWN_FOR)
    ]


def of_clocks(connection: Connection) -> list[Finding]:
    return [
        Finding(
            key=Key(Cause.DRIFT, stream=row["pair"]),
            since=row["adopted_at"],
            times=row["versions"],
            detail=row["reason"],
        )
        for row in rows(connection, MOVED_CLOCKS, told_for=DRIFT_TOLD_FOR)
    ]


def of_reconciling(connection: Connection) -> list[Finding]:
    return [
        Finding(
            key=Key(Cause.RECONCILE),
            since=row["completed_at"] or row["started_at"],
            times=row["runs"],
            detail=_not_reconciled(row),
            flow_run_id=row["flow_run_id"],
        )
        for row in rows(connection, RECONCILING, within=RECONCILED_WITHIN, lock=LOCK)
    ]


def _not_reconciled(row: RowMapping) -> str:
    if row["is_dead"]:
        return "a run ended without a word: its process was killed, or its machine stopped"
    return outward((row["error"] or "a run began more than an hour ago and has not ended").partition("\n")[0])


def of_freshness(
    connection: Connection, dues: Mapping[tuple[str, str], datetime], explained: set[Place], now: datetime
) -> list[Finding]:
    """`dues`: when a (provider, stream) was due by its schedule."""
    streams = [
        Freshness(**row, due=dues.get((row["provider"], row["stream"]), now - ALLOWED[row["stream"]]))
        for row in rows(connection, FRESHNESS)
    ]
    return stale(streams, explained)
