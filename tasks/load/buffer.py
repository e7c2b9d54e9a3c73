"""Collects the records of one window and loads them in batches, each in one transaction with the window's progress."""

import time
from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from models.arrivals import Arrival, Counts, Rejection
from tasks.load.classify import Seen, classify
from tasks.load.store import RecordStore

BATCH = 2_000
"""Records."""
BATCH_SECONDS = 5.0


class RecordBuffer:
    """Records of one window, waiting to be loaded.

    Args:
        store: where they belong.
        note: called in the transaction of each batch with the counts of the whole window so far.
        loaded: called after each batch with the counts of that batch.
    """

    def __init__(
        self, store: RecordStore, note: Callable[[Connection, Counts], None], loaded: Callable[[Counts], None]
    ) -> None:
        self.counts = Counts()
        self.seen = Seen.nothing()
        self._store, self._note, self._loaded = store, note, loaded
        self._waiting: list[Arrival | Rejection] = []
        self._repeated = 0
        self._flushed_at = time.monotonic()

    def take(self, arrivals: Sequence[Arrival | Rejection]) -> None:
        self._waiting += arrivals
        if len(self._waiting) >= BATCH or time.monotonic() > self._flushed_at + BATCH_SECONDS:
            self.flush()

    def take_repeated(self, count: int) -> None:
        """So many records of a page that came a second time, byte for byte."""
        self._repeated += count
        self.take([])

    def flush(self) -> None:
        """Loads what is waiting. Raises what `note` raises; then nothing was loaded."""
        batch, store = classify(self._store, self._waiting, self.seen), self._store
        repeated = Counts(duplicate=self._repeated)

        def work(connection: Connection) -> Counts:
            counts = batch.write(connection, store.stream, store.key) + repeated
            self._note(connection, self.counts + counts)
            return counts

        counts = store.load(batch, work)
        self.counts += counts
        self._loaded(counts)
        self._waiting, self._repeated, self._flushed_at = [], 0, time.monotonic()
