"""The receipt of one stream of one run: the counts of the contract, kept in memory and in `sync_run`."""

import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from typing import Any

from sqlalchemy import Engine, func, insert, update

from models.arrivals import Counts
from models.tables.ledger import Run
from models.vocabulary import RunState, StreamName
from tasks.database import in_transaction

Listener = Callable[["RunReceipt"], None]
"""Called with a receipt each time it moves."""


@dataclass(slots=True)
class RunReceipt:
    """Counts as they go, shared by the threads of a run."""

    provider: str
    account: str
    stream: StreamName
    listener: Listener = lambda _receipt: None
    outward: Callable[[object], str] = str
    """Makes a text such as may leave the house."""
    state: RunState = RunState.RUNNING
    windows: int = 0
    windows_failed: int = 0
    windows_known: int = 0
    """How many the run knew of when it was last asked: for progress."""
    records: int = 0
    """Read by id."""
    requests: int = 0
    counts: Counts = field(default_factory=Counts)
    error: str | None = None
    warning: str | None = None
    """What is odd although all went well; changes no state."""
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    """Both by this process's monotonic clock, in seconds."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @property
    def is_running(self) -> bool:
        return self.state is RunState.RUNNING

    @property
    def seconds(self) -> float:
        return round((self.ended or time.monotonic()) - self.began, 3)

    def add(self, counts: Counts) -> None:
        with self._lock:
            self.counts += counts
        self.listener(self)

    def add_requests(self, number: int) -> None:
        with self._lock:
            self.requests += number

    def window_done(self) -> None:
        with self._lock:
            self.windows += 1
        self.listener(self)

    def window_failed(self, error: str) -> None:
        with self._lock:
            self.windows_failed += 1
        self.note(error)

    def record_done(self) -> None:
        with self._lock:
            self.records += 1

    def note(self, error: str) -> None:
        """Something that makes the run partial; of several the first is kept."""
        with self._lock:
            self.error = self.error or self.outward(error)

    def warn(self, warning: str) -> None:
        """Something odd; of several the first is kept."""
        with self._lock:
            self.warning = self.warning or self.outward(warning)

    def close(self) -> None:
        """Settles state and time: completed when all windows are done, failed when none is, else partial."""
        if self.error is not None:
            self.state = RunState.PARTIAL if self.windows or self.records else RunState.FAILED
        else:
            self.state = RunState.COMPLETED
        self.ended = time.monotonic()
        self.listener(self)

    @property
    def sentence(self) -> str:
        """The receipt for a log."""
        counts = self.counts
        return (
            f"{self.stream} {self.state}: {counts.fetched:,} records in {self.windows + self.windows_failed:,} windows "
            f"and {self.requests:,} requests; {counts.inserted:,} inserted, {counts.updated:,} updated, "
            f"{counts.unchanged:,} unchanged, {counts.duplicate:,} duplicate, {counts.rejected:,} rejected, "
            f"{counts.deleted:,} deleted"
        )

    @property
    def numbers(self) -> dict[str, int]:
        """What `sync_run` counts, by its columns."""
        numbers = asdict(self.counts) | {"fetched": self.counts.fetched}
        return {"windows": self.windows + self.windows_failed, "requests": self.requests, **numbers}

    @property
    def document(self) -> dict[str, Any]:
        """The receipt as the contract spells it."""
        place = {"provider": self.provider, "account": self.account, "stream": str(self.stream)}
        numbers = {name: self.numbers[name] for name in COUNTED}
        end = {"error": self.error or self.warning}
        return place | {"state": str(self.state), "seconds": self.seconds} | numbers | end


COUNTED = (
    "windows",
    "requests",
    "fetched",
    "inserted",
    "updated",
    "unchanged",
    "duplicate",
    "rejected",
    "deleted",
)
"""In the order of the contract."""


STOPPED = "Stopped"
"""In place of an error's kind: cancelled, or its worker was asked to end."""


@dataclass(slots=True)
class StoredReceipt:
    """The receipt's row in `sync_run`."""

    engine: Engine
    receipt: RunReceipt
    id: int = 0

    def begin(self, *, filtered: bool, backfill: bool, flow_run_id: str | None) -> None:
        receipt = self.receipt
        place = {"provider": receipt.provider, "account": receipt.account, "stream": receipt.stream}
        kind = {"filtered": filtered, "backfill": backfill, "flow_run_id": flow_run_id}
        statement = insert(Run).values(**place, **kind, state=RunState.RUNNING).returning(Run.id)
        self.id = in_transaction(self.engine, lambda connection: connection.execute(statement).scalar_one())

    def renew(self, **values: Any) -> None:
        """Writes the counts so far and a sign of life."""
        columns = self.receipt.numbers | values
        statement = update(Run).where(Run.id == self.id).values(heartbeat_at=func.clock_timestamp(), **columns)
        in_transaction(self.engine, lambda connection: connection.execute(statement))

    def end(self, **values: Any) -> None:
        receipt = self.receipt
        end = {"state": receipt.state, "error": receipt.error or receipt.warning}
        self.renew(**end, **values, finished_at=func.clock_timestamp())
