"""One stream of one run, as it goes: the counts of the contract, for terminals, artifacts and the receipt."""

import threading
import time
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from models.vocabulary import RunState, StreamName
from tasks.load import Counts

Listener = Callable[["Line"], None]

LISTENER: ContextVar[Listener | None] = ContextVar("LISTENER", default=None)
"""Who wants to see lines move: a terminal, usually nobody."""


@dataclass(slots=True)
class Line:
    provider: str
    account: str
    stream: StreamName
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
    listener: Listener | None = None
    began: float = field(default_factory=time.monotonic)
    ended: float = 0.0
    """Both by this process's monotonic clock."""
    _lock: threading.Lock = field(default_factory=threading.Lock)

    @classmethod
    def of(cls, provider: str, account: str, stream: StreamName) -> "Line":
        """A line that those who listen here will see moving."""
        return cls(provider, account, stream, listener=LISTENER.get())

    @property
    def seconds(self) -> float:
        return round((self.ended or time.monotonic()) - self.began, 3)

    def add(self, counts: Counts) -> None:
        with self._lock:
            self.counts += counts
        self.tell()

    def add_requests(self, number: int) -> None:
        with self._lock:
            self.requests += number

    def window_done(self) -> None:
        with self._lock:
            self.windows += 1
        self.tell()

    def record_done(self) -> None:
        with self._lock:
            self.records += 1

    def note(self, error: str) -> None:
        """Something that makes the line partial without a window having failed."""
        with self._lock:
            self.error = self.error or error

    def window_failed(self, error: str) -> None:
        with self._lock:
            self.windows_failed += 1
            self.error = self.error or error

    def close(self) -> None:
        """Settles state and time: completed when all windows are done, failed when none is, else partial."""
        if self.error is not None:
            self.state = RunState.PARTIAL if self.windows or self.records else RunState.FAILED
        else:
            self.state = RunState.COMPLETED
        self.ended = time.monotonic()
        self.tell()

    def tell(self) -> None:
        if self.listener is not None:
            self.listener(self)

    @property
    def told(self) -> str:
        """The line as a sentence."""
        counts = self.counts
        return (
            f"{self.stream} {self.state}: {counts.fetched:,} records in {self.windows + self.windows_failed:,} windows "
            f"and {self.requests:,} requests; {counts.inserted:,} inserted, {counts.updated:,} updated, "
            f"{counts.unchanged:,} unchanged, {counts.duplicate:,} duplicate, {counts.rejected:,} rejected, "
            f"{counts.deleted:,} deleted"
        )

    @property
    def receipt(self) -> dict[str, Any]:
        """The line as the contract spells it."""
        counts = self.counts
        return {
            "provider": self.provider,
            "account": self.account,
            "stream": str(self.stream),
            "state": str(self.state),
            "seconds": self.seconds,
            "windows": self.windows + self.windows_failed,
            "requests": self.requests,
            "fetched": counts.fetched,
            "inserted": counts.inserted,
            "updated": counts.updated,
            "unchanged": counts.unchanged,
            "duplicate": counts.duplicate,
            "rejected": counts.rejected,
            "deleted": counts.deleted,
            "error": self.error or self.warning,
        }
