"""Incidents in a story: after each run settled and told as the watchdog does, and held against what is promised."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime

from models.alerts.incident import Incident
from tasks.alerts.store import read_open, send_pending
from tasks.alerts.watchdog import look
from tasks.database import one_engine


@dataclass(frozen=True, slots=True)
class Watch:
    """Who is told of what is wrong."""

    database_url: str
    told: Counter[tuple[int, bool]] = field(default_factory=Counter)
    """How often each incident was told of, by whether it was over."""

    def broken(self, now: datetime) -> Iterator[str]:
        """Settles and tells; each promise that does not hold, in words."""
        with one_engine(self.database_url) as engine:
            look(engine, None, now)
            send_pending(engine, self._send)
            again = look(engine, None, now)
            if again.opened or again.closed:
                yield f"a second look at the same opens {len(again.opened)} incidents and closes {len(again.closed)}"
            told = self.told.copy()
            send_pending(engine, self._send)
        if told != self.told or any(times > 1 for times in self.told.values()):
            yield "an incident is told of twice"

    def open(self) -> list[str]:
        """What is wrong now."""
        return [f"{one.cause} {one.stream}: {one.detail}" for one in read_open(self.database_url)]

    def _send(self, group: list[Incident], is_over: bool) -> bool:
        self.told.update((one.id, is_over) for one in group)
        return True
