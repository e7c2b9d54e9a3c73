"""What `callweave status` reads: streams, windows that are not proven, calls that never became final."""

from typing import Any

from sqlalchemy import text

from models.wording import counted
from tasks.database import database_errors, one_engine
from tasks.extract.lookup import GIVEN_UP_AFTER

STATUS = text("SELECT * FROM v1.sync_status ORDER BY provider, account, stream")
REASONS = text("""
    SELECT provider, account, stream, coalesce(reason, 'waiting to be read') AS reason, count(*) AS windows,
           min(since) AS since, max(until) AS until
    FROM sync_window WHERE NOT filtered AND (state = 'open' OR (state = 'done' AND verdict <> 'proven'))
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 5 DESC
""")
GIVEN_UP = text("""
    SELECT provider, account, 'calls' AS stream, count(*) AS calls, min(started_at) AS since, max(started_at) AS until,
           (array_agg(external_id ORDER BY started_at DESC))[\\:3] AS examples
    FROM call WHERE NOT is_final AND deleted_at IS NULL AND vanished_at IS NULL AND started_at <= now() - :age
    GROUP BY 1, 2 ORDER BY 1, 2
""").bindparams(age=GIVEN_UP_AFTER)


# By the index of changes: only what is newer than what a run has seen.
UNRECONCILED = text("""
    WITH last AS MATERIALIZED (
        SELECT coalesce(max(horizon), '-infinity') AS horizon FROM reconcile_run WHERE whole AND state = 'completed')
    SELECT count(*) AS records
    FROM call c WHERE c.changed_at >= (SELECT horizon FROM last) AND c.deleted_at IS NULL AND c.vanished_at IS NULL
      AND NOT EXISTS (SELECT FROM call_member m WHERE m.call_id = c.id)
""")


def unreconciled(url: str) -> str | None:
    """How many records are in no real call yet, and what to do about it; None where all are."""
    ((count,),) = (row.values() for row in read(url, UNRECONCILED))
    if not count:
        return None
    return (
        f"{counted(count, 'record')} of calls {'is' if count == 1 else 'are'} in no real call (v1.unified_call) yet: "
        "`callweave reconcile` recognises them, as `callweave up` does every five minutes."
    )


def read(url: str, query: Any) -> list[dict[str, Any]]:
    """The rows of a statement, as dictionaries."""
    with one_engine(url) as engine, database_errors(), engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
