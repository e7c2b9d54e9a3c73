"""What the provider does in a story: its records come, change, settle and vanish, its faults come and go."""

from collections.abc import Callable
from datetime import datetime, timedelta
from uuid import UUID

import msgspec

from sandbox.faults.motion import iso, shifted
from sandbox.providers.table import Record, Table
from sandbox.server import Sandbox
from sandbox.simulation.story import Kind, Step

FAULTS = ("errors", "no-total", "total-lies", "newest-first", "oldest-first", "token-expiry", "cursor-empty-page")
"""Those that are met in a story: they pass, and change no record."""
_GOES_ON = {"sakari": "active", "bird": "ongoing", "skipcall": "in-progress"}
_ENDED = {"sakari": "ended", "bird": "completed", "skipcall": "completed"}
_LATE = timedelta(hours=6)
_MOVES, _MOST_MOVES = (Kind.ARRIVE, Kind.CHANGE, Kind.VANISH, Kind.SETTLE), 60
"""Of a list while it is read, and how many in one run."""


class Life:
    """One provider of a sandbox, moved by the steps of a story."""

    def __init__(self, sandbox: Sandbox, provider: str) -> None:
        self.sandbox, self.provider = sandbox, provider
        self.touched: dict[tuple[str, str], datetime] = {}
        """When a record, by stream and id, was last written."""
        self._revisions = 0
        self._going_on: list[str] = []
        self._acts: dict[Kind, Callable[[int, datetime], None]] = {
            Kind.ARRIVE: self._arrive,
            Kind.LATE: lambda luck, now: self._begin(luck, now, now - _LATE * (luck % 97) / 97),
            Kind.SETTLE: self._settle,
            Kind.CHANGE: self._change,
            Kind.VANISH: self._vanish,
            Kind.CONTACT: self._meet,
            Kind.FAULT: lambda luck, _now: _toggle(self.sandbox.faults, FAULTS, luck),
        }

    def do(self, step: Step, now: datetime) -> None:
        """Does what a step says, where it says something of the provider."""
        if act := self._acts.get(step.kind):
            act(step.luck, now)

    def mover(self, luck: int, now: datetime) -> Callable[[], None]:
        """What happens between two pages of a run, as if at `now`; not for ever, as a list would grow by being read."""
        moves = [Step(_MOVES[(luck + turn) % len(_MOVES)], luck + 7 * turn) for turn in range(1, _MOST_MOVES + 1)]
        left = iter(moves)

        def move() -> None:
            if step := next(left, None):
                self.do(step, now)

        return move

    def deviate(self, luck: int, names: tuple[str, ...]) -> None:
        """Begins one of the deviations `names`, or ends those that are on."""
        _toggle(self.sandbox.deviations, names, luck)

    def calm(self) -> None:
        """Ends what goes wrong."""
        self.sandbox.faults.clear()
        self.sandbox.deviations.clear()

    def pick(self, stream: str, luck: int) -> Record | None:
        bodies = self._table(stream).bodies
        record: Record | None = msgspec.json.decode(bodies[luck % len(bodies)]) if bodies else None
        return record

    def _table(self, stream: str) -> Table:
        return self.sandbox.world.tables[self.provider][stream]

    def _write(self, stream: str, record: Record, now: datetime) -> None:
        self._revisions += 1
        changed = {"updatedAt": iso(now)} if "updatedAt" in record else {}
        self.sandbox.world.put(self.provider, stream, record | changed | {"revision": self._revisions})
        self.touched[stream, record["id"]] = now

    def _new_id(self) -> str:
        return str(UUID(int=0x5EED << 100 | self._revisions + 1))

    def _arrive(self, luck: int, now: datetime) -> None:
        for number in range(1 + luck % 3):
            self._begin(luck + number, now, now - timedelta(seconds=luck * (number + 1) % 240))

    def _begin(self, luck: int, now: datetime, began: datetime) -> None:
        """A call like one that was there; every second one goes on."""
        if (like := self.pick("calls", luck)) is None:
            return
        goes_on = bool(luck % 2)
        status = (_GOES_ON if goes_on else _ENDED)[self.provider]
        new = shifted(like, began) | {"id": self._new_id(), "status": status}
        new.pop("deletedAt", None)
        if goes_on:
            self._going_on.append(new["id"])
        self._write("calls", new, now)

    def _settle(self, luck: int, now: datetime) -> None:
        if not self._going_on:
            return
        body = self._table("calls").get(self._going_on.pop(luck % len(self._going_on)))
        if body is not None:
            self._write("calls", msgspec.json.decode(body) | {"status": _ENDED[self.provider]}, now)

    def _change(self, luck: int, now: datetime) -> None:
        stream = _stream(luck)
        if (record := self.pick(stream, luck // 4)) is not None:
            self._write(stream, record, now)

    def _vanish(self, luck: int, _now: datetime) -> None:
        stream = _stream(luck)
        if (record := self.pick(stream, luck // 4)) is not None and len(self._table(stream)) > 1:
            self.sandbox.world.remove(self.provider, stream, record["id"])

    def _meet(self, luck: int, now: datetime) -> None:
        if (like := self.pick("contacts", luck)) is not None:
            self._write("contacts", like | {"id": self._new_id()}, now)


def _stream(luck: int) -> str:
    return "contacts" if luck % 4 == 0 else "calls"


def _toggle(which: set[str], names: tuple[str, ...], luck: int) -> None:
    """Begins one, or ends all that is on."""
    if which or not names:
        which.clear()
    else:
        which.add(names[luck % len(names)])
