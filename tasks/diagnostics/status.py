"""What `callweave status` reads: streams, windows that are not proven, calls that never became final."""

from typing import Any

from sqlalchemy import text

from tasks.database import database_errors, one_engine
from tasks.extract.lookup import GIVEN_UP_AFTER

STATUS = text("SELECT * FROM v1.sync_status ORDER BY provider, account, stream")
REASONS = text("""
    SELECT provider, account, stream, coalesce(reason, 'waiting to be read') AS reason, count(*) AS windows,
           min(since) AS since, max(until) AS until
    FROM sync_window WHERE NOT filtered AND (state = 'open' OR (state = 'done' AND verdict <> 'proven'))
    GROUP BY 1, 2, 3, 4 ORDER BY 1, 2, 3, 5 DESC LIMIT 20
""")
GIVEN_UP = text("""
    SELECT provider, account, 'calls' AS stream, count(*) AS calls, min(started_at) AS since, max(started_at) AS until,
           (array_agg(external_id ORDER BY started_at DESC))[\\:3] AS examples
    FROM call WHERE NOT is_final AND deleted_at IS NULL AND vanished_at IS NULL AND started_at <= now() - :age
    GROUP BY 1, 2 ORDER BY 1, 2
""").bindparams(age=GIVEN_UP_AFTER)


def _rows(url: str, query: Any) -> list[dict[str, Any]]:
    with one_engine(url) as engine, database_errors(), engine.connect() as connection:
        return [dict(row) for row in connection.execute(query).mappings()]
