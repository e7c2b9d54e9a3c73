"""How a provider's streams stand and how the last 30 days went: a few milliseconds, from indexes."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from sqlalchemy import DateTime, Engine, bindparam, text

from tasks.database import database_errors

DAYS = 30

STREAMS = text("""
    SELECT account, stream, latest.state, latest.started_at, coalesce(newest.until, whole.started_at) AS complete_up_to,
        (SELECT count(*) FROM sync_window w WHERE state = 'open' AND NOT filtered
         AND (w.provider, w.account, w.stream) = (s.provider, s.account, s.stream)) AS open_windows,
        (SELECT count(*) FROM rejected_row j WHERE resolved_at IS NULL
         AND (j.provider, j.account, j.stream) = (s.provider, s.account, s.stream)) AS rejected
    FROM sync_stream s
    CROSS JOIN LATERAL (
        SELECT state, started_at FROM sync_run r WHERE NOT filtered
        AND (r.provider, r.account, r.stream) = (s.provider, s.account, s.stream) ORDER BY started_at DESC LIMIT 1
    ) latest
    LEFT JOIN LATERAL (
        SELECT started_at FROM sync_run r WHERE NOT filtered AND state = 'completed'
        AND (r.provider, r.account, r.stream) = (s.provider, s.account, s.stream) ORDER BY started_at DESC LIMIT 1
    ) whole ON true
    LEFT JOIN LATERAL (
        SELECT until FROM sync_window w WHERE NOT filtered AND verdict = 'proven' AND until IS NOT NULL
        AND (w.provider, w.account, w.stream, w.scope) = (s.provider, s.account, s.stream, s.scope)
        ORDER BY until DESC LIMIT 1
    ) newest ON true
    WHERE provider = :provider ORDER BY account, stream
""")
# How far behind is looked at once an hour: at its end, or now.
LAST_DAYS = text("""
    WITH hours AS (
        SELECT hour, (hour AT TIME ZONE 'UTC')::date AS day FROM generate_series(:since, now(), '1 hour') AS hour
    ), calls AS (
        SELECT (started_at AT TIME ZONE 'UTC')::date AS day, count(*) AS calls
        FROM call WHERE provider = :provider AND started_at >= :since GROUP BY 1
    ), rejected AS (
        SELECT (first_seen_at AT TIME ZONE 'UTC')::date AS day, count(*) AS rejected
        FROM rejected_row WHERE provider = :provider AND first_seen_at >= :since GROUP BY 1
    ), proven AS MATERIALIZED (
        SELECT account, listing, date_trunc('hour', finished_at, 'UTC') AS hour, max(until) AS until
        FROM sync_window JOIN sync_stream USING (provider, account, stream, scope)
        WHERE provider = :provider AND stream = 'calls' AND verdict = 'proven' AND NOT filtered AND until >= :since
        GROUP BY 1, 2, 3
    ), waits AS (
        SELECT hour, least(hour + interval '1 hour', now()) - max(until) OVER earlier AS wait
        FROM (SELECT * FROM proven UNION ALL SELECT account, listing, hours.hour, NULL::timestamptz
              FROM (SELECT DISTINCT account, listing FROM proven) AS lists, hours) AS known
        WINDOW earlier AS (PARTITION BY account, listing ORDER BY hour)
    ), behind AS (
        SELECT (hour AT TIME ZONE 'UTC')::date AS day, extract(epoch FROM max(wait))::float / 60 AS minutes_behind
        FROM waits GROUP BY 1
    )
    SELECT day, coalesce(calls, 0) AS calls, coalesce(rejected, 0) AS rejected, minutes_behind
    FROM (SELECT DISTINCT day FROM hours) AS days
    LEFT JOIN calls USING (day) LEFT JOIN rejected USING (day) LEFT JOIN behind USING (day) ORDER BY day
""").bindparams(bindparam("since", type_=DateTime(timezone=True)))


class StreamHealth(NamedTuple):
    account: str
    stream: str
    state: str
    started_at: datetime
    """Of the latest run."""
    complete_up_to: datetime | None
    open_windows: int
    rejected: int


class Day(NamedTuple):
    day: date
    calls: int
    rejected: int
    minutes_behind: float | None


class Health(NamedTuple):
    """Of all accounts of one provider."""

    at: datetime
    streams: list[StreamHealth]
    days: list[Day]
    """The oldest first; the last is today."""


def health(engine: Engine, provider: str) -> Health:
    with database_errors(), engine.connect() as connection:
        at: datetime = connection.execute(text("SELECT now()")).scalar_one()
        since = datetime.combine(at.astimezone(UTC).date() - timedelta(days=DAYS - 1), time(), UTC)
        streams = connection.execute(STREAMS, {"provider": provider})
        days = connection.execute(LAST_DAYS, {"provider": provider, "since": since})
        return Health(at, [StreamHealth(*row) for row in streams], [Day(*row) for row in days])
