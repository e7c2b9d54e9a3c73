"""How a provider's streams stand and how the last 30 days went: a few milliseconds, from indexes."""

from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from sqlalchemy import DateTime, Engine, bindparam, text

from tasks.database import database_errors

DAYS = 30

STREAMS = text("""
    SELECT account, stream, state, last_attempt_at, complete_up_to, open_windows, rejected_rows
    FROM v1.sync_status WHERE provider = :provider AND last_attempt_at IS NOT NULL ORDER BY account, stream
""")
"""The same definition as everybody else's: `v1.sync_status` alone says up to when a stream is complete."""
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
