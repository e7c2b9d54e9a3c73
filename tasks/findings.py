"""What is wrong now, as the database tells it: one statement for each cause, whatever became of the runs."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, TextClause, text

from models.findings import Freshness, Place, Rejections, Streak, of_runs, rejected, stale
from models.incidents import Cause, Finding, Key
from models.vocabulary import StreamName
from tasks.client import masked
from tasks.run import STOPPED
from tasks.silence import WEEKS

DEAD = "interval '2 minutes'"
"""Without a heartbeat for so long, a run's process is gone; `v1.sync_status` judges alike."""
UNPROVEN_FOR = timedelta(hours=6)
DRIFT_TOLD_FOR = timedelta(days=1)
"""A clock that stood still for so long has stopped moving."""
RECONCILED_WITHIN = timedelta(hours=1)
ALLOWED: Mapping[str, timedelta] = {
    StreamName.CALLS: timedelta(minutes=35),
    StreamName.CONTACTS: timedelta(hours=30),
}
"""How old a stream may be whose schedule is not known: its usual interval and some time to work."""

ENDED = f"""
    SELECT *, coalesce(finished_at, heartbeat_at) AS ended_at, state = 'running' AS killed,
           state = 'completed' OR (state = 'partial' AND held_back > 0 AND error_kind IS NULL) AS well
    FROM sync_run WHERE NOT filtered AND (state <> 'running' OR heartbeat_at <= statement_timestamp() - {DEAD})
      AND error_kind IS DISTINCT FROM '{STOPPED}'
"""  # noqa: S608 - a constant of ours
STREAKS = text(f"""
WITH ended AS NOT MATERIALIZED ({ENDED})
SELECT s.provider, s.account, s.stream, bad.runs, bad.since, bad.started_at AS began_at, bad.ended_at, bad.killed,
       CASE WHEN bad.killed THEN 'no sign of life since ' || to_char(bad.ended_at, 'YYYY-MM-DD HH24:MI') || 'Z'
            ELSE coalesce(bad.error, 'no reason was given') END AS error,
       bad.error_kind, bad.flow_run_id,
       (SELECT max(a.started_at) FROM sync_stream o JOIN ended a USING (provider, account, stream)
        WHERE (o.provider, o.account) = (s.provider, s.account) AND a.well
          AND a.started_at > bad.started_at - interval '1 day' AND a.ended_at > bad.started_at) AS completed_since
FROM sync_stream s
LEFT JOIN LATERAL (
    SELECT g.started_at, g.ended_at FROM ended g
    WHERE (g.provider, g.account, g.stream) = (s.provider, s.account, s.stream) AND g.well
      AND g.backfill = :backfill ORDER BY g.started_at DESC LIMIT 1) good ON true
JOIN LATERAL (
    SELECT e.*, count(*) OVER () AS runs, min(e.started_at) OVER () AS since FROM ended e
    WHERE (e.provider, e.account, e.stream) = (s.provider, s.account, s.stream) AND NOT e.well
      AND e.backfill = :backfill AND e.started_at > coalesce(good.started_at - interval '1 day', '-infinity')
      AND e.ended_at > coalesce(good.ended_at, '-infinity')
    ORDER BY e.ended_at DESC, e.id DESC LIMIT 1) bad ON true
WHERE s.provider = coalesce(CAST(:provider AS text), s.provider)
  AND s.account = coalesce(CAST(:account AS text), s.account)
""")  # noqa: S608 - constants of ours
UNREAD = text("""
SELECT count(*) AS windows, min(since) AS since, max(until) AS until FROM sync_window
WHERE (provider, account, stream) = (:provider, :account, :stream) AND NOT filtered AND origin = 'range'
  AND (state = 'open' OR (state = 'done' AND verdict <> 'proven'))
""")
HELD_BACK = text("""
SELECT h.provider, h.account, h.stream, h.held_back, h.held_since, h.held_until, h.finished_at, h.error, h.flow_run_id
FROM sync_stream s CROSS JOIN LATERAL (
    SELECT * FROM sync_run r WHERE (r.provider, r.account, r.stream) = (s.provider, s.account, s.stream)
      AND r.held_back > 0 ORDER BY r.started_at DESC LIMIT 1) h
WHERE s.provider = coalesce(CAST(:provider AS text), s.provider)
  AND s.account = coalesce(CAST(:account AS text), s.account)
  AND NOT CASE WHEN h.held_since IS NULL THEN EXISTS (
      SELECT FROM sync_run r WHERE (r.provider, r.account, r.stream) = (h.provider, h.account, h.stream)
        AND r.state = 'completed' AND NOT r.filtered AND r.started_at > h.started_at)
  ELSE (SELECT coalesce(range_agg(tstzrange(w.since, w.until)), '{}') FROM sync_window w
      WHERE (w.provider, w.account, w.stream, w.scope) = (s.provider, s.account, s.stream, s.scope) AND NOT w.filtered
        AND w.state = 'done' AND w.verdict = 'proven' AND w.finished_at > h.finished_at
        AND w.until > h.held_since AND w.since <= h.held_until)
    @> tstzrange(h.held_since, h.held_until, '[]') END
""")
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
SILENT = text("""
SELECT s.provider, s.account, s.complete_up_to, last.at AS since
FROM v1.sync_status s CROSS JOIN (VALUES (interval '1 hour'), (interval '1 day')) AS stretch (length)
CROSS JOIN LATERAL (SELECT max(started_at) AS at FROM call c
    WHERE (c.provider, c.account) = (s.provider, s.account)) last
WHERE s.stream = 'calls' AND s.complete_up_to > statement_timestamp() - interval '1 hour'
  AND last.at < s.complete_up_to - stretch.length
  AND (SELECT bool_and(EXISTS (SELECT FROM call c WHERE (c.provider, c.account) = (s.provider, s.account)
        AND c.started_at >= s.complete_up_to - stretch.length - week * interval '7 days'
        AND c.started_at < s.complete_up_to - week * interval '7 days'))
      FROM generate_series(1, :weeks) AS week)
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
SELECT newest.state, newest.error, newest.flow_run_id, newest.started_at, good.at AS completed_at,
       (SELECT count(*) FROM reconcile_run b WHERE b.id > coalesce(good.id, 0) AND b.state = 'failed') AS runs
FROM (SELECT * FROM reconcile_run
      WHERE state <> 'running' OR started_at < statement_timestamp() - CAST(:within AS interval)
      ORDER BY id DESC LIMIT 1) newest
LEFT JOIN LATERAL (SELECT id, finished_at AS at FROM reconcile_run WHERE state = 'completed'
    ORDER BY id DESC LIMIT 1) good ON true
WHERE newest.state <> 'completed' AND newest.id > coalesce(good.id, 0)
""")
FRESHNESS = text("""
SELECT provider, account, stream, complete_up_to FROM v1.sync_status WHERE complete_up_to IS NOT NULL
""")

Account = dict[str, str]
"""{"provider": …, "account": …}."""


def _rows(connection: Connection, query: TextClause, **values: Any) -> list[RowMapping]:
    return list(connection.execute(query, values).mappings())


def of_ended_runs(connection: Connection, account: Account | None = None) -> list[Finding]:
    """What the latest runs of each stream, of one account or of all, left to be told."""
    where: Mapping[str, Any] = account or {"provider": None, "account": None}
    streaks = [Streak(**_masked(row)) for row in _rows(connection, STREAKS, **where, backfill=False)]
    return [*of_runs(streaks), *_backfills(connection, where), *_held_back(connection, where)]


def _masked(row: RowMapping) -> dict[str, Any]:
    # The end of a dead run is told by us, and a date looks like a telephone number.
    return dict(row) if row["killed"] else dict(row) | {"error": masked(row["error"])}


def _backfills(connection: Connection, where: Mapping[str, Any]) -> list[Finding]:
    found = []
    for row in _rows(connection, STREAKS, **where, backfill=True):
        at = {name: row[name] for name in ("provider", "account", "stream")}
        (left,) = _rows(connection, UNREAD, **at)
        if left["windows"]:
            detail = f"{_masked(row)['error']} {_span(left)}"
            key = Key(Cause.BACKFILL, **at)
            found.append(
                Finding(key=key, since=row["since"], times=row["runs"], detail=detail, flow_run_id=row["flow_run_id"])
            )
    return found


def _span(row: RowMapping) -> str:
    if row["since"] is None:
        return f"({row['windows']:,} windows)"
    return f"({row['windows']:,} windows from {row['since']:%Y-%m-%d %H:%M}Z to {row['until']:%Y-%m-%d %H:%M}Z)"


def _held_back(connection: Connection, where: Mapping[str, Any]) -> list[Finding]:
    return [
        Finding(
            key=Key(Cause.HELD_BACK, row["provider"], row["account"], row["stream"]),
            since=row["finished_at"],
            detail=f"{row['held_back']:,} records are missing from the provider's lists{_between(row)}",
            flow_run_id=row["flow_run_id"],
        )
        for row in _rows(connection, HELD_BACK, **where)
    ]


def _between(row: RowMapping) -> str:
    """The range as the command line takes it."""
    if row["held_since"] is None:
        return ""
    until = row["held_until"] + timedelta(seconds=1)
    return f" (--since {row['held_since']:%Y-%m-%dT%H:%M:%SZ} --until {until:%Y-%m-%dT%H:%M:%SZ})"


def of_windows(connection: Connection) -> list[Finding]:
    return [
        Finding(
            key=Key(Cause.UNPROVEN, row["provider"], row["account"], row["stream"]),
            since=row["first_at"],
            detail=f"{row['reason']} {_span(row)}",
        )
        for row in _rows(connection, UNPROVEN, patience=UNPROVEN_FOR)
    ]


def of_rejected_records(connection: Connection) -> list[Finding]:
    rows = [Rejections(**row) for row in _rows(connection, REJECTIONS)]
    return rejected(rows)


def of_silence(connection: Connection) -> list[Finding]:
    """No calls where there always were some; once found, until one comes."""
    still = [
        Finding(
            key=Key(Cause.SILENCE, row["provider"], row["account"], StreamName.CALLS),
            since=row["since"],
            detail=row["detail"],
            opens=False,
        )
        for row in _rows(connection, STILL_SILENT)
    ]
    return still + [
        Finding(
            key=Key(Cause.SILENCE, row["provider"], row["account"], StreamName.CALLS),
            since=row["since"],
            detail=f"no call from {row['since']:%Y-%m-%d %H:%M}Z to {row['complete_up_to']:%Y-%m-%d %H:%M}Z, though "
            f"the same hours of each of the last {WEEKS} weeks had some",
        )
        for row in _rows(connection, SILENT, weeks=WEEKS)
    ]


def of_clocks(connection: Connection) -> list[Finding]:
    return [
        Finding(
            key=Key(Cause.DRIFT, stream=row["pair"]),
            since=row["adopted_at"],
            times=row["versions"],
            detail=row["reason"],
        )
        for row in _rows(connection, MOVED_CLOCKS, told_for=DRIFT_TOLD_FOR)
    ]


def of_reconciling(connection: Connection) -> list[Finding]:
    return [
        Finding(
            key=Key(Cause.RECONCILE),
            since=row["completed_at"] or row["started_at"],
            times=max(row["runs"], 1),
            detail=masked(row["error"] or "a run began more than an hour ago and has not ended"),
            flow_run_id=row["flow_run_id"],
        )
        for row in _rows(connection, RECONCILING, within=RECONCILED_WITHIN)
    ]


def of_freshness(
    connection: Connection, dues: Mapping[tuple[str, str], datetime], explained: set[Place], now: datetime
) -> list[Finding]:
    """`dues`: when a (provider, stream) was due by its schedule."""
    rows = _rows(connection, FRESHNESS)
    streams = [
        Freshness(**row, due=dues.get((row["provider"], row["stream"]), now - ALLOWED[row["stream"]])) for row in rows
    ]
    return stale(streams, explained)
