"""Where the records of a window go: loaded in batches as they fill, with progress noted and the claim renewed."""

import time

from sqlalchemy import Connection

from models.window import Span
from tasks.client import Tally
from tasks.intake import Desk, Intake
from tasks.ledger import Claim, Progress
from tasks.load import Counts
from tasks.reader import Arrival, SetAside

BATCH = 2_000
BATCH_SECONDS = 5.0


class Sink:
    """Takes the records of one claimed window."""

    def __init__(self, desk: Desk, claim: Claim, bounds: Span | None) -> None:
        self.tally, self.progress = Tally(), Progress()
        self._desk, self._claim = desk, claim
        self._intake = Intake(desk, self.tally, bounds)
        self._waiting: list[Arrival | SetAside] = []
        self._repeated = 0
        self._flushed_at = time.monotonic()

    def take(self, arrivals: list[Arrival | SetAside]) -> None:
        self._waiting += arrivals
        if len(self._waiting) >= BATCH or time.monotonic() > self._flushed_at + BATCH_SECONDS:
            self.flush()

    def take_again(self, count: int) -> None:
        """So many records of a page that came a second time, byte for byte."""
        self._repeated += count
        self.take([])

    def flush(self) -> None:
        """Loads what is waiting and notes progress, in one transaction. Raises `ClaimLost`."""
        batch, before = self._intake.sort(self._waiting), self.progress.counts
        self.progress.requests, self.progress.distinct_ids = self.tally.requests, len(self._intake.seen)
        repeated = Counts(duplicate=self._repeated)

        def work(connection: Connection) -> None:
            self.progress.counts = before + batch.write(connection, self._desk) + repeated
            self._desk.ledger.record(connection, self._claim, self.progress)

        self._desk.load(batch, work)
        self._desk.line.add(self.progress.counts - before)
        self._waiting, self._repeated, self._flushed_at = [], 0, time.monotonic()
