"""One request budget per account, in one row of Postgres, shared by every flow, thread and worker.

Slots are reserved ahead: a caller books the next free one and sleeps until it comes. A killed caller costs its slot and
nothing else.
"""

import threading
import time
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Connection, Engine, Row, text

from tasks.database import database_errors

HEADROOM = 0.96
"""Requests leave late now and then; so spaced they still never arrive above the budget."""
BOOKINGS_PER_SECOND = 50
"""Above this rate several slots are booked at once, so that booking never costs more than the requests."""

BOOK = text("""
    INSERT INTO request_budget AS budget (provider, account, free_at)
    VALUES (:provider, :account, clock_timestamp() + :length)
    ON CONFLICT (provider, account)
    DO UPDATE SET free_at = greatest(budget.free_at, clock_timestamp()) + :length
    RETURNING free_at - :length AS slot, clock_timestamp() AS now
""")
BOOK_BEHIND = text("""
    INSERT INTO request_budget AS budget (provider, account, free_at)
    VALUES (:provider, :account, clock_timestamp() + :length)
    ON CONFLICT (provider, account)
    DO UPDATE SET free_at = greatest(budget.free_at, clock_timestamp()) + :length
    WHERE budget.free_at < clock_timestamp() + :length * 1.5
    RETURNING free_at - :length AS slot, clock_timestamp() AS now
""")
"""Only where nobody else is waiting."""
PATIENCE = 20
"""Slots that others may take before one who stands behind takes his all the same: nobody starves."""
PUSH = text("""
    UPDATE request_budget SET free_at = greatest(free_at, clock_timestamp() + :wait)
    WHERE provider = :provider AND account = :account
""")


class Slot(NamedTuple):
    """When a request may be sent, by the database's clock and by this process's."""

    at: datetime
    monotonic: float


class Budget:
    """`bulk`: stands behind everybody else, with one slot at a time."""

    def __init__(self, engine: Engine, key: dict[str, str], requests_per_second: float, *, bulk: bool = False) -> None:
        self._bulk = bulk
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._key = key
        self._gap = timedelta(seconds=1 / (requests_per_second * HEADROOM))
        self._at_once = max(1, round(requests_per_second / BOOKINGS_PER_SECOND))
        self._lock = threading.Lock()
        self._booked: list[Slot] = []

    def wait_for_slot(self) -> datetime:
        """Sleeps until this account may be asked again; returns that moment by the database's clock."""
        with self._lock:
            if not self._booked:
                self._booked = self._book()
            slot = self._booked.pop()
            if self._bulk:
                time.sleep(max(slot.monotonic - time.monotonic(), 0))
        if (delay := slot.monotonic - time.monotonic()) > 0:
            time.sleep(delay)
            return slot.at
        return slot.at - timedelta(seconds=delay)

    def push(self, seconds: float) -> None:
        """The provider asked everybody to wait."""
        with self._lock, database_errors(), self._engine.connect() as connection:
            self._booked.clear()
            connection.execute(PUSH, self._key | {"wait": timedelta(seconds=seconds)})

    def _book(self) -> list[Slot]:
        """The next slots, the earliest last."""
        with database_errors(), self._engine.connect() as connection:
            values = self._key | {"length": self._gap * self._at_once}
            row = self._book_behind(connection, values) if self._bulk else None
            row = row or connection.execute(BOOK, values).one()
        here = time.monotonic() - (row.now - row.slot).total_seconds()
        gap = self._gap.total_seconds()
        return [Slot(row.slot + self._gap * i, here + gap * i) for i in reversed(range(self._at_once))]

    def _book_behind(self, connection: Connection, values: dict[str, Any]) -> Row[Any] | None:
        for _ in range(PATIENCE):
            if (row := connection.execute(BOOK_BEHIND, values).one_or_none()) is not None:
                return row
            time.sleep(values["length"].total_seconds())
        return None
