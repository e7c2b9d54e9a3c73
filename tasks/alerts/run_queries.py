"""What is wrong by the runs that have ended: of live streams, of backfills, of held-back deletes."""

from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, RowMapping, text

from models.alerts.incident import Cause, Finding, Key
from models.alerts.rules import Streak, of_runs
from models.wording import counted
from tasks.alerts.queries import rows
from tasks.client.redaction import outward
from tasks.ledger import verdicts
from tasks.ledger.receipt import STOPPED

DEAD = f"interval '{verdicts.DEAD.total_seconds():.0f} seconds'"
ENDED = f"""
    SELECT *, coalesce(finished_at, heartbeat_at) AS ended_at, state = 'running' AS killed,
           state = 'completed' OR (state = 'partial' AND held_back > 0 AND error_kind IS NULL) AS well
    FROM sync_run WHERE NOT filtered AND (state <> 'running' OR heartbeat_at <= statement_timestamp() - {DEAD})
      AND error_kind IS DISTINCT FROM '{STOPPED}'
"""  # noqa: S608 - a constant of ours
_STREAKS = f"""
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
      AND {{live}} ORDER BY g.started_at DESC LIMIT 1) good ON true
JOIN LATERAL (
    SELECT e.*, count(*) OVER () AS runs, min(e.started_at) OVER () AS since FROM ended e
    WHERE (e.provider, e.account, e.stream) = (s.provider, s.account, s.stream) AND NOT e.well
      AND {{live}} AND e.started_at > coalesce(good.started_at - interval '1 day', '-infinity')
      AND e.ended_at > coalesce(good.ended_at, '-infinity')
    ORDER BY e.ended_at DESC, e.id DESC LIMIT 1) bad ON true
WHERE s.provider = coalesce(CAST(:provider AS text), s.provider)
  AND s.account = coalesce(CAST(:account AS text), s.account)
"""  # noqa: S608 - constants of ours
# In the text and not as a parameter, so that the partial index of backfills serves.
STREAKS, BACKFILL_STREAKS = text(_STREAKS.format(live="NOT backfill")), text(_STREAKS.format(live="backfill"))
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
Account = dict[str, str]
"""{"provider": …, "account": …}."""


def of_ended_runs(connection: Connection, account: Account | None = None) -> list[Finding]:
    """What the latest runs of each stream, of one account or of all, show to be wrong."""
    where: Mapping[str, Any] = account or {"provider": None, "account": None}
    streaks = [Streak(**_masked(row)) for row in rows(connection, STREAKS, **where)]
    return [*of_runs(streaks), *_backfills(connection, where), *_held_back(connection, where)]


def _masked(row: RowMapping) -> dict[str, Any]:
    return dict(row) | {"error": outward(row["error"])}


def _backfills(connection: Connection, where: Mapping[str, Any]) -> list[Finding]:
    found = []
    for row in rows(connection, BACKFILL_STREAKS, **where):
        at = {name: row[name] for name in ("provider", "account", "stream")}
        (left,) = rows(connection, UNREAD, **at)
        if left["windows"]:
            windows = counted(left["windows"], "window")
            detail = f"{_masked(row)['error']} ({windows}{_between(left['since'], left['until'])})"
            key = Key(Cause.BACKFILL, **at)
            found.append(
                Finding(key=key, since=row["since"], times=row["runs"], detail=detail, flow_run_id=row["flow_run_id"])
            )
    return found


def _held_back(connection: Connection, where: Mapping[str, Any]) -> list[Finding]:
    return [
        Finding(
            key=Key(Cause.HELD_BACK, row["provider"], row["account"], row["stream"]),
            since=row["finished_at"],
            detail=f"{row['held_back']:,} records are missing from the provider's lists"
            f"{_between(row['held_since'], row['held_until'])}",
            flow_run_id=row["flow_run_id"],
        )
        for row in rows(connection, HELD_BACK, **where)
    ]


def _between(since: datetime | None, until: datetime | None) -> str:
    """The range as the command line takes it, to the next second."""
    if since is None or until is None:
        return ""
    return f": --since {since:%Y-%m-%dT%H:%M:%SZ} --until {until + timedelta(seconds=1):%Y-%m-%dT%H:%M:%SZ}"
