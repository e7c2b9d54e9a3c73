"""Keeps the table of real calls as its definition says, in the transaction of each load and each decision.

Under the lock of the change feed, which is taken last and kept until the commit: of two writers the later one sees all
that the earlier one wrote.
"""

from collections.abc import Sequence
from typing import Any

import psycopg

from tasks.database import scalar

REFRESH = "SELECT refresh_unified_calls(%s::bigint[])"
STALE = """
    SELECT refresh_unified_calls(array_agg(DISTINCT m.unified_call_id))
    FROM call c JOIN call_member m ON m.call_id = c.id
    WHERE c.changed_at >= (SELECT horizon FROM reconcile_run WHERE id = %s) AND c.changed_at <> m.changed_at
      AND m.unified_call_id = ANY (%s::bigint[])
    HAVING count(*) > 0
"""
OF_RECORDS = """
    SELECT refresh_unified_calls(array_agg(DISTINCT m.unified_call_id))
    FROM call c JOIN call_member m ON m.call_id = c.id
    WHERE c.provider = %s AND c.account = %s AND c.external_id = ANY (%s::text[])
    HAVING count(*) > 0
"""
REPAIR = """
    SELECT coalesce(refresh_unified_calls(array_agg(coalesce(u.unified_call_id, d.unified_call_id))), 0)
    FROM unified_call u FULL JOIN unified_call_definition d USING (unified_call_id)
    WHERE u IS DISTINCT FROM d
"""


def refresh(connection: psycopg.Connection[Any], ids: Sequence[int]) -> None:
    """Real calls that were decided upon: those that records are in now, and those that they were in before."""
    if ids:
        connection.execute(REFRESH, [list(ids)])


def refresh_stale(connection: psycopg.Connection[Any], ids: Sequence[int], run_id: int) -> None:
    """Of real calls that a run made and refreshed before the lock was taken: those with a record changed since."""
    connection.execute(STALE, [run_id, list(ids)])


def refresh_of_records(connection: psycopg.Connection[Any], provider: str, account: str, ids: Sequence[str]) -> None:
    """The real calls of records, by their external ids, that were changed."""
    connection.execute(OF_RECORDS, [provider, account, list(ids)])


def repair(connection: psycopg.Connection[Any]) -> int:
    """Compares all of the table with its definition and puts right what differs; how many that were."""
    found: int = scalar(connection, REPAIR)
    return found
