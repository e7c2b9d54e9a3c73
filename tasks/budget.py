"""One request budget per account, in one row of Postgres, shared by every flow, thread and worker.

Slots are reserved ahead: a caller books the next free one and sleeps until it comes. A killed caller costs its slot and
nothing else.
"""

import threading
import time
from datetime import datetime, timedelta
from typing import NamedTuple

from sqlalchemy import Engine, text

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
PUSH = text("""
    UPDATE request_budget SET free_at = greatest(free_at, clock_timestamp() + :wait)
    WHERE provider = :provider AND account = :account
""")


class Slot(NamedTuple):
    """When a request may be sent, by the database's clock and by this process's."""

    at: datetime
    monotonic: float


class Budget:
    def __init__(self, engine: Engine, key: dict[str, str], requests_per_second: float) -> None:
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
            row = connection.execute(BOOK, self._key | {"length": self._gap * self._at_once}).one()
        here = time.monotonic() - (row.now - row.slot).total_seconds()
        gap = self._gap.total_seconds()
        return [Slot(row.slot + self._gap * i, here + gap * i) for i in reversed(range(self._at_once))]
