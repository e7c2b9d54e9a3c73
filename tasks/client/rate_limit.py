"""One request budget per account, in one row of Postgres, shared by every flow, thread and worker.

Slots are reserved ahead: a caller books the next free one and sleeps until it comes. A killed caller costs its slot and
nothing else.
"""

import threading
import time
from datetime import datetime, timedelta
from typing import Any, NamedTuple

from sqlalchemy import Engine, Row, TextClause, text

from models.errors import RateLimited
from models.wording import minute
from tasks.client.limits import Limits
from tasks.client.waits import LONGEST_POSTPONEMENT
from tasks.database import database_errors

HEADROOM = 0.96
"""Requests leave late now and then; so spaced they still never arrive above the budget."""
BOOKINGS_PER_SECOND = 50
"""Above this rate several slots are booked at once, so that booking never costs more than the requests."""

FREE = "CASE WHEN budget.free_at > clock_timestamp() + :farthest THEN clock_timestamp() ELSE budget.free_at END"
"""A time that no queue can have brought about is a wait that was read wrongly: it is not kept."""
BOOKED = """
    free_at - :length AS slot, clock_timestamp() AS now,
    CASE WHEN postponed_until BETWEEN clock_timestamp() AND clock_timestamp() + :longest_postponement
         THEN postponed_until END AS postponed_until
"""
BOOK = f"""
    INSERT INTO request_budget AS budget (provider, account, free_at)
    VALUES (:provider, :account, clock_timestamp() + :length)
    ON CONFLICT (provider, account)
    DO UPDATE SET free_at = greatest({FREE}, clock_timestamp()) + :length
"""  # noqa: S608 - our own words
BOOK_NEXT = text(f"{BOOK} RETURNING {BOOKED}")
BOOK_BEHIND = text(f"{BOOK} WHERE {FREE} < clock_timestamp() + :length * 1.5 RETURNING {BOOKED}")
"""Only where no other request is waiting."""
SLOTS_LEFT_TO_OTHERS = 20
"""Slots that a bulk run leaves to others before it takes one all the same, so that it does not starve."""
LONGEST_QUEUE = 200
"""Bookings that may stand before one's own: more than all threads of all processes of an account."""
PUSH = text(f"""
    UPDATE request_budget AS budget SET free_at = greatest({FREE}, clock_timestamp() + :wait)
    WHERE provider = :provider AND account = :account
""")  # noqa: S608 - our own words
POSTPONE = text("""
    UPDATE request_budget SET postponed_until = clock_timestamp() + :wait
    WHERE provider = :provider AND account = :account
    RETURNING postponed_until
""")


class Slot(NamedTuple):
    """When a request may be sent, by the database's clock and by this process's."""

    at: datetime
    monotonic: float


class Budget:
    """The request budget of one account.

    Args:
        engine: of the database.
        key: `provider` and `account`.
        requests_per_second: its rate.
        longest_pause: seconds that it may be pushed.
        bulk: stands behind everybody else, with one slot at a time.
    """

    def __init__(
        self,
        engine: Engine,
        key: dict[str, str],
        requests_per_second: float,
        *,
        longest_pause: float = Limits().pause_seconds,
        bulk: bool = False,
    ) -> None:
        self._bulk = bulk
        self._engine = engine
        self._key = key
        self._gap = timedelta(seconds=1 / (requests_per_second * HEADROOM))
        self._at_once = max(1, round(requests_per_second / BOOKINGS_PER_SECOND))
        length = self._gap * self._at_once
        farthest = timedelta(seconds=longest_pause) + LONGEST_QUEUE * length
        self._values: dict[str, Any] = {**key, "length": length, "farthest": farthest}
        self._lock = threading.Lock()
        self._booked: list[Slot] = []

    def wait_for_slot(self) -> datetime:
        """Sleeps until this account may be asked again; returns that moment by the database's clock.

        Raises `RateLimited` where the provider asked for a pause that is longer than a run waits.
        """
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
        """The provider asked all requests of the account to wait."""
        with self._lock, database_errors(), self._engine.begin() as connection:
            self._booked.clear()
            connection.execute(PUSH, self._values | {"wait": timedelta(seconds=seconds)})

    def postpone(self, seconds: float) -> RateLimited:
        """The provider asked for a pause that is longer than a run waits: no run asks it before; as an error."""
        with self._lock, database_errors(), self._engine.begin() as connection:
            self._booked.clear()
            wait = timedelta(seconds=seconds)
            until = connection.execute(POSTPONE, self._key | {"wait": wait}).scalar_one()
        return _postponed(until, seconds)

    def _book(self) -> list[Slot]:
        """The next slots, the earliest last."""
        values = self._values | {"longest_postponement": timedelta(seconds=LONGEST_POSTPONEMENT)}
        row = (self._book_behind(values) if self._bulk else None) or self._booking(BOOK_NEXT, values)
        assert row is not None
        if row.postponed_until is not None:
            raise _postponed(row.postponed_until, (row.postponed_until - row.now).total_seconds())
        here = time.monotonic() - (row.now - row.slot).total_seconds()
        gap = self._gap.total_seconds()
        return [Slot(row.slot + self._gap * i, here + gap * i) for i in reversed(range(self._at_once))]

    def _book_behind(self, values: dict[str, Any]) -> Row[Any] | None:
        for _ in range(SLOTS_LEFT_TO_OTHERS):
            if (row := self._booking(BOOK_BEHIND, values)) is not None:
                return row
            time.sleep(values["length"].total_seconds())
        return None

    def _booking(self, statement: TextClause, values: dict[str, Any]) -> Row[Any] | None:
        with database_errors(), self._engine.begin() as connection:
            return connection.execute(statement, values).one_or_none()


def _postponed(until: datetime, seconds: float) -> RateLimited:
    return RateLimited(
        f"asked for a pause: postponed until {minute(until)}; the first run after that goes on", retry_after=seconds
    )
