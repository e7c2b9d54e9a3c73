"""Whether a reconciliation left anything out, and whether runs of changes end where a run of everything does."""

from datetime import datetime
from typing import Any

import psycopg

from models.errors import DecisionsIncomplete
from tasks.change_feed import IN_ORDER
from tasks.database import lock, scalar
from tasks.matching.writer import Written
from tasks.unified_calls import repair

LEFT_OUT = """
    WITH left_out AS MATERIALIZED (
        SELECT c.id FROM call c
        WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL
          AND c.changed_at < %(horizon)s AND c.changed_at >= %(since)s::timestamptz
          AND NOT EXISTS (SELECT FROM call_member m WHERE m.call_id = c.id))
    SELECT c.provider, c.account, c.external_id, (SELECT count(*) FROM left_out)
    FROM call c WHERE c.id = (SELECT min(id) FROM left_out)
"""
HORIZON = "SELECT horizon FROM reconcile_run WHERE id = %s"


def every_record_is_decided(connection: psycopg.Connection[Any], run_id: int, since: datetime) -> None:
    """Raises `DecisionsIncomplete` where a live record that changed between `since` and the run is in no real call."""
    horizon = scalar(connection, HORIZON, [run_id])
    found = connection.execute(LEFT_OUT, {"horizon": horizon, "since": since}).fetchone()
    if found:
        provider, account, external_id, count = found
        raise DecisionsIncomplete(
            f"{count:,} live records have no real call after this run, the first of them {external_id!r} of "
            f"{provider}:{account}. `callweave reconcile --full` decides them; please report it."
        )


def real_calls_are_as_defined(connection: psycopg.Connection[Any]) -> None:
    """Raises `DecisionsIncomplete` where a stored real call was not what its records make it; puts it right."""
    lock(connection, IN_ORDER)
    wrong = repair(connection)
    connection.commit()
    if wrong:
        raise DecisionsIncomplete(
            f"{wrong:,} real calls were stored otherwise than their records say. They are put right; please report it."
        )


def nothing_changed(written: Written) -> None:
    """Raises `DecisionsIncomplete` where a run of everything right after one of changes wrote anything."""
    if written.changed or written.formed or written.dissolved:
        raise DecisionsIncomplete(
            f"Deciding everything again changed {written.changed:,} records, formed {written.formed:,} pairs and "
            f"dissolved {written.dissolved:,} that runs of changes had left. What stands now holds; please report it."
        )
