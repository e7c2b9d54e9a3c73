"""Lists that move while they are read: with each page that is asked for, something has happened in between.

What happens, and to which record, is decided by counting.
"""

from collections import Counter
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

import msgspec

from sandbox.providers.table import Record, Table
from sandbox.world.world import World

CLOCK = timedelta(minutes=5)
"""How far the provider's clock is off, where it is."""
_TIMES = {"created", "createdAt", "startedAt", "ringingAt", "answeredAt", "endedAt", "updatedAt"}
_LONG_AGO = timedelta(days=3)


class Motion:
    """Moves the tables of a world."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._steps: Counter[tuple[str, str]] = Counter()

    def step(self, name: str, provider: str, stream: str) -> None:
        """Does what the fault `name` does to one list before a page of it is answered."""
        self._steps[provider, stream] += 1
        for move in _MOVES[name]:
            move(self, provider, stream)

    def _table(self, provider: str, stream: str) -> Table:
        return self._world.tables[provider][stream]

    def _luck(self, provider: str, stream: str, *salt: str) -> int:
        return crc32(":".join((provider, stream, str(self._steps[provider, stream]), *salt)).encode())

    def _pick(self, provider: str, stream: str, salt: str) -> Record | None:
        bodies = self._table(provider, stream).bodies
        if not bodies:
            return None
        found: Record = msgspec.json.decode(bodies[self._luck(provider, stream, salt) % len(bodies)])
        return found

    def appear(self, provider: str, stream: str) -> None:
        """One record more, somewhere in the list."""
        if (like := self._pick(provider, stream, "appear")) is not None:
            self._world.put(provider, stream, like | {"id": self._id(provider, stream)})

    def vanish(self, provider: str, stream: str) -> None:
        if (gone := self._pick(provider, stream, "vanish")) is not None:
            self._world.remove(provider, stream, gone["id"])

    def vanish_now_and_then(self, provider: str, stream: str) -> None:
        if self._steps[provider, stream] % 2:
            self.vanish(provider, stream)

    def change(self, provider: str, stream: str) -> None:
        if (old := self._pick(provider, stream, "change")) is not None:
            self._world.put(provider, stream, old | {"revision": self._steps[provider, stream]})

    def correct(self, provider: str, stream: str) -> None:
        """A call that ended long ago gets another duration and another end."""
        old = self._pick(provider, stream, "correct") if stream == "calls" else None
        if old is not None and _began(old) < datetime.now(UTC) - _LONG_AGO:
            later = {name: iso(_moment(old[name]) + timedelta(seconds=7)) for name in {"endedAt"} & _timed(old)}
            self._world.put(provider, stream, old | later | {"duration": self._steps[provider, stream]})

    def arrive(self, provider: str, stream: str, off: timedelta) -> None:
        """A call begins now, by a clock that is off."""
        like = self._pick(provider, stream, "arrive") if stream == "calls" else None
        if like is not None:
            new = shifted(like, datetime.now(UTC) + off) | {"id": self._id(provider, stream)}
            self._world.put(provider, stream, new)

    def _id(self, provider: str, stream: str) -> str:
        return f"{self._luck(provider, stream, 'id'):08x}-5eed-4000-a000-{self._steps[provider, stream]:012x}"


_Move = Callable[[Motion, str, str], None]
_MOVES: dict[str, tuple[_Move, ...]] = {
    "moving": (Motion.appear, Motion.vanish_now_and_then, Motion.change),
    "deletes": (Motion.vanish,),
    "late-changes": (Motion.correct,),
    "clock-ahead": (lambda motion, provider, stream: motion.arrive(provider, stream, CLOCK),),
    "clock-behind": (lambda motion, provider, stream: motion.arrive(provider, stream, -CLOCK),),
}
MOTIONS = tuple(_MOVES)


def shifted(record: Record, now: datetime) -> Record:
    """The same call, begun now."""
    by = now - _began(record)
    moved: Record = {name: iso(_moment(record[name]) + by) for name in _timed(record)}
    created = record.get("created")
    return record | moved | ({"created": created | {"at": iso(now)}} if isinstance(created, dict) else {})


def _timed(record: Record) -> set[str]:
    """Names of the times that a record says; Bird writes year 1 for none."""
    return {name for name in _TIMES & record.keys() if isinstance(record[name], str) and record[name] > "0002"}


def _began(record: Record) -> datetime:
    created: Any = record.get("created")
    return _moment(created["at"] if isinstance(created, dict) else record.get("startedAt") or record["createdAt"])


def _moment(text: Any) -> datetime:
    found = datetime.fromisoformat(text) if isinstance(text, str) else datetime.now(UTC)
    return found if found.tzinfo else found.replace(tzinfo=UTC)


def iso(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
