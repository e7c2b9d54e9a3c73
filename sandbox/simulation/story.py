"""What happens in a simulated life, as a list of steps made of a seed: it can be played again with steps left out."""

from collections.abc import Iterable
from enum import StrEnum
from random import Random
from typing import NamedTuple, TypeVar

from sandbox.world.happenings import PROVIDERS

MINUTES_OF_DAY = 24 * 60
_MOST_EVENTS = 4
"""Between two runs, one less than this."""

_BORN_OTHERWISE = 0.3
"""The share of lives whose provider never was as assumed."""

T = TypeVar("T")


class Kind(StrEnum):
    """Each step acts on whatever there is when it comes: none needs another one before it."""

    ARRIVE = "arrive"  # calls begin; some go on
    LATE = "late"  # a call appears that began hours ago
    SETTLE = "settle"  # a call that goes on comes to its end
    CHANGE = "change"  # a record is corrected
    VANISH = "vanish"  # a record is deleted
    CONTACT = "contact"  # a contact is new
    STIR = "stir"  # the next run reads lists that move
    FAULT = "fault"  # a fault begins, or all of them end
    DEVIATE = "deviate"  # the provider is no longer as assumed, or is so again
    WAIT = "wait"  # minutes pass
    CLOCK = "clock"  # the database's clock is corrected by some seconds, either way
    SYNC = "sync"  # a scheduled run of calls
    CONTACTS = "contacts"  # a scheduled run of contacts
    FULL = "full"  # all calls are read again
    BACKFILL = "backfill"  # calls of an older time are asked for
    NOTICE = "notice"  # a call is read by its id
    KILL = "kill"  # a run dies in the middle of a page


RUNS = frozenset({Kind.SYNC, Kind.CONTACTS, Kind.FULL, Kind.BACKFILL, Kind.NOTICE, Kind.KILL})
_LIFE = {
    Kind.ARRIVE: 30,
    Kind.LATE: 6,
    Kind.SETTLE: 20,
    Kind.CHANGE: 12,
    Kind.VANISH: 5,
    Kind.CONTACT: 6,
    Kind.STIR: 6,
    Kind.FAULT: 5,
    Kind.DEVIATE: 3,
    Kind.CLOCK: 2,
}
_SCHEDULE = {Kind.SYNC: 70, Kind.CONTACTS: 10, Kind.FULL: 3, Kind.BACKFILL: 4, Kind.NOTICE: 6, Kind.KILL: 7}
_WAITS = {5: 40, 15: 15, 60: 20, 240: 15, 720: 8, 3 * MINUTES_OF_DAY: 2}
"""Minutes between two runs; more than five where nothing ran."""


class Step(NamedTuple):
    kind: Kind
    luck: int
    """Decides which record, which fault, how many minutes: by its remainder."""

    def __str__(self) -> str:
        return f"{self.kind}:{self.luck}"


class Story(NamedTuple):
    """A life of one provider."""

    seed: int
    provider: str
    steps: tuple[Step, ...]

    def __str__(self) -> str:
        return f"seed {self.seed}, {self.provider}: {' '.join(map(str, self.steps))}"

    def of(self, steps: Iterable[Step]) -> "Story":
        return self._replace(steps=tuple(steps))

    @property
    def hours(self) -> float:
        return sum(step.luck for step in self.steps if step.kind is Kind.WAIT) / 60


def story(seed: int, days: float) -> Story:
    """The life that belongs to a seed; `days` of virtual time."""
    rng = Random(seed)
    provider, left, steps = rng.choice(PROVIDERS), days * MINUTES_OF_DAY, list[Step]()
    if rng.random() < _BORN_OTHERWISE:
        steps.append(Step(Kind.DEVIATE, rng.randrange(10_000)))
    while left > 0:
        steps += [Step(_drawn(rng, _LIFE), rng.randrange(10_000)) for _ in range(rng.randrange(_MOST_EVENTS))]
        steps.append(Step(Kind.WAIT, minutes := _drawn(rng, _WAITS)))
        steps.append(Step(_drawn(rng, _SCHEDULE), rng.randrange(10_000)))
        left -= minutes
    return Story(seed, provider, tuple(steps))


def _drawn(rng: Random, shares: dict[T, int]) -> T:
    return rng.choices(list(shares), list(shares.values()))[0]
