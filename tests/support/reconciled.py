"""A database whose calls are reconciled, for tests."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

from tasks.matching.run import Ask, Reconciliation
from tasks.matching.writer import Written
from tests.support.calls import known_clocks, stored

DECIDED = ("call_member", "call_match", "call_rival", "match_log", "reconcile_run", "unified_call", "record_change")
UNEQUAL = """
    SELECT u, d FROM unified_call u FULL JOIN unified_call_definition d USING (unified_call_id)
    WHERE u IS DISTINCT FROM d
"""
MISTOLD = """
    WITH told AS (
        SELECT DISTINCT ON (provider, account, external_id) provider, account, external_id, kind FROM record_change
        WHERE kind IN ('matched', 'rematched', 'unmatched') ORDER BY provider, account, external_id, sequence DESC)
    SELECT c.external_id, t.kind FROM call c LEFT JOIN told t USING (provider, account, external_id)
    WHERE c.deleted_at IS NULL AND c.vanished_at IS NULL AND coalesce(t.kind, 'unmatched') <> 'unmatched'
        IS DISTINCT FROM EXISTS (SELECT FROM call_match x WHERE c.id IN (x.left_call_id, x.right_call_id))
"""
EVERYTHING = (*DECIDED, "call", "calibration", "verdict")
MEMBERS = "SELECT c.external_id, m.unified_call_id FROM call c JOIN call_member m ON m.call_id = c.id"


def reconcile(url: str, **ask: Any) -> Written:
    """A run as the flow makes it, without Prefect."""
    run = Reconciliation(url, Ask(**ask))
    with run.begun():
        run.calibrate()
        knowledge = run.knowledge()
        pieces, touched = run.pieces()
        with ThreadPoolExecutor(2) as pool:
            for written in pool.map(lambda piece: run.work(piece, touched, knowledge), pieces):
                run.written += written
    return run.written


class Base:
    """A database whose calls are reconciled."""

    def __init__(self, url: str) -> None:
        self.url = url
        self.connection = psycopg.connect(url, autocommit=True)

    def put(self, provider: str, seconds: float, length: float | None = None, **own: Any) -> str:
        return stored(self.connection, provider, seconds, length, **own)

    def reconcile(self, **ask: Any) -> Written:
        written = reconcile(self.url, **ask)
        assert self.rows(UNEQUAL) == [], "a stored real call is not as its records make it"
        assert self.rows(MISTOLD) == [], "the newest word of the change feed about a record is not true"
        return written

    def rows(self, query: str, *values: Any) -> list[Any]:
        return self.connection.execute(query, values).fetchall()

    def calls(self) -> list[list[str]]:
        """The ids of the records of each real call."""
        found: dict[int, list[str]] = {}
        for external_id, call in self.rows(MEMBERS):
            found.setdefault(call, []).append(external_id)
        return sorted(sorted(ids) for ids in found.values())

    def reasons(self) -> dict[str, str]:
        return dict(self.rows("SELECT external_id, reason FROM v1.unmatched_call"))

    def empty(self, tables: tuple[str, ...] = EVERYTHING) -> None:
        """Deleted rather than truncated: of a few rows that is ten times faster."""
        self.connection.execute("; ".join(f"DELETE FROM {table}" for table in tables))
        if "calibration" in tables:
            known_clocks(self.connection)
