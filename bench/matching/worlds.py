"""Seeded worlds of rising hardness: real calls, and what three providers with habits of their own write down of them.

Deliberately another generator than the sandbox's, and made of switches, so that nothing can be fitted to one of them.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from random import Random
from typing import Any, NamedTuple

import numpy as np

from models.calibration.columns import NO_TIME, OUTCOMES, SECOND, Ints, Records, records_of
from models.vocabulary import Direction, Outcome

DAY = 86_400.0
START = 26.85 * 365.25 * DAY
"""Seconds since 2000: an ordinary week in late 2026."""
DIRECTIONS = list(Direction)
_HOURS = (0, 0, 0, 0, 0, 1, 2, 5, 12, 16, 16, 14, 8, 10, 15, 16, 14, 10, 5, 3, 2, 1, 0, 0)
_OUTCOMES = {"answered": 60, "missed": 20, "voicemail": 7, "busy": 5, "failed": 2, "cancelled": 4, "rejected": 2}


@dataclass(frozen=True)
class Habit:
    """How one provider writes calls down. Times in seconds."""

    offset: float = 0.0
    drift: Callable[[float], float] = lambda _: 0.0
    """Added to the offset, by seconds since the world began."""
    jitter: float = 0.4
    setup: float = 0.0
    """The start is later by up to this much, as set-up takes."""
    grain: float = 1.0
    """Times are cut down to whole multiples of this."""
    duration: str = "total"
    """`talk`, `total`, or nothing."""
    rounding: int = 1
    """Durations are rounded up to whole multiples of this."""
    says_end: bool = True
    says_answer: bool = False
    coverage: float = 0.75
    hides: float = 0.0
    """Share of inbound numbers that this provider does not show."""
    forwards: float = 0.0
    """Share of calls that it sees through another line of the company."""
    unanswered: bool = True
    legs: float = 0.0
    """Share of calls with a second record, a leg."""


@dataclass(frozen=True)
class Setting:
    name: str
    habits: tuple[Habit, ...]
    redials: float = 0.25
    main_line: float = 0.1
    days: float = 45.0
    people_per_call: float = 0.2
    bursts: float = 0.01
    callbacks: float = 0.05


class Real(NamedTuple):
    at: float
    ring: float
    talk: float
    outbound: bool
    outcome: Outcome
    person: int
    line: int


@dataclass
class World:
    setting: Setting
    records: Records
    truth: Ints
    """The real call of each record."""
    names: list[str] = field(default_factory=list)


def make(setting: Setting, calls: int, seed: int) -> World:
    rng = Random(f"{setting.name} {seed}")
    rows: list[tuple[Any, ...]] = []
    truth: list[int] = []
    for number, call in enumerate(_happenings(rng, setting, calls)):
        for account, habit in enumerate(setting.habits):
            if rng.random() < habit.coverage and (habit.unanswered or call.talk):
                for row in _written(rng, call, account, habit):
                    rows.append(row)
                    truth.append(number)
    order = list(range(1, len(rows) + 1))
    rng.shuffle(order)
    numbered = [
        (id_, row[0], id_ * 7919, row[1] and order[i - 1] * 7919, *row[2:])
        for i, (id_, row) in enumerate(zip(order, rows, strict=True))
    ]
    chosen = np.argsort([row[0] for row in numbered])
    names = [f"provider-{'abcdefgh'[i]}" for i in range(len(setting.habits))]
    return World(setting, records_of([numbered[i] for i in chosen]), np.array(truth)[chosen], names)


def _happenings(rng: Random, setting: Setting, calls: int) -> Iterator[Real]:
    people = max(20, int(calls * setting.people_per_call))
    made = 0
    while made < calls:
        call = _call(rng, setting, people)
        yield call
        made += 1
        for further in _sequel(rng, setting, call, people):
            yield further
            made += 1


def _call(rng: Random, setting: Setting, people: int) -> Real:
    hour = rng.choices(range(24), _HOURS)[0]
    at = int(rng.random() * setting.days) * DAY + (hour + rng.random()) * 3600
    outcome = Outcome(rng.choices(list(_OUTCOMES), list(_OUTCOMES.values()))[0])
    talked = outcome in {Outcome.ANSWERED, Outcome.VOICEMAIL}
    line = 0 if rng.random() < setting.main_line else rng.randrange(1, 15)
    person = int(rng.random() ** 2 * people)
    ring = 1 + rng.random() ** 2 * 40
    return Real(at, ring, rng.lognormvariate(4.3, 1.2) + 1 if talked else 0, rng.random() < 0.6, outcome, person, line)


def _sequel(rng: Random, setting: Setting, call: Real, people: int) -> Iterator[Real]:
    if call.outbound and rng.random() < setting.bursts:
        for _ in range(4):
            at, person = call.at + rng.random(), int(rng.random() * people)
            yield call._replace(at=at, person=person, talk=0.0, outcome=Outcome.CANCELLED)
    if not call.talk and rng.random() < setting.callbacks:
        at = call.at + call.ring + rng.uniform(5, 200)
        yield call._replace(at=at, outbound=not call.outbound, outcome=Outcome.ANSWERED, talk=rng.uniform(5, 300))
    while not call.talk and rng.random() < setting.redials:
        answered = rng.random() < 0.4
        at = call.at + call.ring + 3 + rng.expovariate(1 / 40)
        ring = 1 + rng.random() * 30
        outcome = Outcome.ANSWERED if answered else Outcome.MISSED
        call = call._replace(at=at, ring=ring, outcome=outcome, talk=rng.uniform(3, 200) if answered else 0.0)
        yield call


def _written(rng: Random, call: Real, account: int, habit: Habit) -> Iterator[tuple[Any, ...]]:
    line = call.line
    remote = 1_000_000 + call.person
    if rng.random() < habit.forwards:
        line = 1 + (line + 1 + rng.randrange(12)) % 14
    if not call.outbound and rng.random() < habit.hides:
        remote = 0
    row = _row(rng, call, account, habit, (remote, 500 + line))
    yield row
    if rng.random() < habit.legs:
        yield _leg(rng, row)


def _row(rng: Random, call: Real, account: int, habit: Habit, numbers: tuple[int, int]) -> tuple[Any, ...]:
    late = habit.offset + habit.drift(call.at) + rng.gauss(0, habit.jitter)
    started = call.at + late + rng.random() * habit.setup
    answered, ended = call.at + late + call.ring, call.at + late + call.ring + call.talk + rng.random()
    talked = call.talk > 0
    length = {"talk": call.talk, "total": ended - started}.get(habit.duration, -1.0)
    if habit.duration == "talk" and not talked:
        length = 0.0
    duration = int(np.ceil(max(length, 0) / habit.rounding) * habit.rounding) if length >= 0 else -1
    if habit.rounding == 1 and length >= 0:
        duration = round(length)
    return (
        account,
        0,
        *numbers,
        _time(started, habit.grain),
        _time(answered, habit.grain) if habit.says_answer and talked else NO_TIME,
        _time(max(ended, started), habit.grain) if habit.says_end else NO_TIME,
        duration,
        DIRECTIONS.index(Direction.OUTBOUND if call.outbound else Direction.INBOUND),
        OUTCOMES.index(call.outcome),
        0,
    )


def _leg(rng: Random, row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A record under the one before it; now and then to a colleague's number."""
    later = row[4] + int(rng.uniform(0, 6) * SECOND)
    remote = 900 + rng.randrange(30) if rng.random() < 0.3 else row[2]
    return (row[0], 1, remote, row[3], later, *row[5:])


def _time(seconds: float, grain: float) -> int:
    return int((START + seconds) // grain * grain * SECOND)


PLAIN = (
    Habit(duration="total", says_end=False, coverage=0.8),
    Habit(duration="talk", says_answer=True, coverage=0.7, jitter=0.6),
    Habit(duration="none", coverage=0.75, jitter=0.3),
)


def changed(habits: tuple[Habit, ...], **changes: tuple[Any, ...]) -> tuple[Habit, ...]:
    """Each habit with its own value of each change; `...` leaves it."""
    return tuple(
        replace(habit, **{name: values[i] for name, values in changes.items() if values[i] is not ...})
        for i, habit in enumerate(habits)
    )


SKEWED = changed(PLAIN, offset=(0.0, 41.0, -23.0))
REDIALS = changed(SKEWED, forwards=(..., 0.04, ...), legs=(..., 0.15, ...))
DRIFTING = changed(
    SKEWED,
    drift=(..., lambda s: 2.0 * s / DAY, lambda s: 25.0 * np.sin(s / (6 * DAY))),
)
HOUR_OFF = changed(SKEWED, offset=(..., 3600.0 + 12.0, ...))
COARSE = changed(SKEWED, grain=(..., 60.0, ...), says_answer=(..., False, ...))
HIDDEN = changed(SKEWED, hides=(0.17, ..., ...))
ALL = changed(
    REDIALS,
    grain=(..., ..., 60.0),
    hides=(0.1, ..., ...),
    drift=(..., lambda s: 1.5 * s / DAY, ...),
    offset=(..., 3600.0 + 41.0, ...),
    unanswered=(..., ..., True),
)

WORLDS = [
    Setting("clean", PLAIN, redials=0.0, callbacks=0.0),
    Setting("skewed clocks", SKEWED, redials=0.0),
    Setting("redials and forwarding", REDIALS, redials=0.45),
    Setting("drifting clock", DRIFTING),
    Setting("an hour off", HOUR_OFF),
    Setting("times to the minute", COARSE),
    Setting("hidden numbers", HIDDEN),
    Setting("all together", ALL, redials=0.35),
]
