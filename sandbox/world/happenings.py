"""What really happened: calls, before any provider has written them down."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import TypeVar

from sandbox.world.clock import DAY, HOUR, MINUTE, SECOND
from sandbox.world.people import Agent, Cast, Line, Number, Person

SAKARI, BIRD, SKIPCALL = "sakari", "bird", "skipcall"
PROVIDERS: tuple[str, ...] = (SAKARI, BIRD, SKIPCALL)

T = TypeVar("T")


def _urn(shares: dict[T, int]) -> tuple[T, ...]:
    """What to draw from, each thing as often as its share says."""
    return tuple(thing for thing, share in shares.items() for _ in range(share))


_SEEN: tuple[tuple[str, ...], ...] = _urn(
    {
        (SAKARI,): 18,
        (BIRD,): 18,
        (SKIPCALL,): 20,
        (SAKARI, BIRD): 13,
        (SAKARI, SKIPCALL): 11,
        (BIRD, SKIPCALL): 9,
        PROVIDERS: 11,
    }
)
_OUTCOMES = _urn(
    {
        "answered": 60,
        "missed": 18,
        "voicemail": 7,
        "busy": 4,
        "failed": 2,
        "cancelled": 4,
        "rejected": 2,
        "forwarded": 3,
    }
)
_HOURS = _urn(dict(enumerate((0, 0, 0, 0, 0, 1, 2, 5, 12, 16, 16, 14, 8, 10, 15, 16, 14, 10, 5, 3, 2, 1, 0, 0))))
_LIVE_EVERY = 250
"""One call in so many is still going on when the world ends."""


@dataclass(frozen=True, slots=True)
class RealCall:
    at: int
    ring: int
    talk: int
    outbound: bool
    outcome: str
    person: Person | None
    """None: a hidden caller, or another line of the company."""
    number: Number | None
    """The other side's; None: hidden."""
    line: Line
    agent: Agent
    onward: Line
    """Where a forwarded call goes on to."""
    seen: tuple[str, ...]

    @property
    def answered(self) -> int:
        return self.at + self.ring

    @property
    def ended(self) -> int:
        return self.answered + self.talk

    @property
    def talked(self) -> bool:
        return self.outcome in {"answered", "voicemail", "forwarded"}

    @property
    def live(self) -> bool:
        return self.outcome == "in_progress"


def happenings(rng: Random, cast: Cast, until: int, days: int) -> Iterator[RealCall]:
    """Real calls without end, in no order of time."""
    count = 0
    while True:
        call = _call(rng, cast, _moment(rng, until, days))
        count += 1
        if count % _LIVE_EVERY == 3:
            yield _live(rng, call, until)
        else:
            yield call
            yield from _sequel(rng, cast, call)


def _moment(rng: Random, until: int, days: int) -> int:
    """In office hours, and over by `until`."""
    newest = until - 2 * HOUR
    day = (newest // DAY - int(rng.random() * days)) * DAY
    at = day + rng.choice(_HOURS) * HOUR + int(rng.random() * HOUR)
    return at if at <= newest else at - DAY


def _call(rng: Random, cast: Cast, at: int) -> RealCall:
    outbound = rng.random() < 0.62
    outcome = rng.choice(_OUTCOMES)
    if outcome == "forwarded":
        outbound = False
    ring = SECOND + int(rng.random() ** 2 * 50 * SECOND)
    talk = 2 * SECOND + int(rng.random() ** 3 * 20 * MINUTE)
    line, onward = rng.sample(cast.lines, 2)
    person, number = _other_side(rng, cast, onward, hidden=not outbound and rng.random() < 0.06)
    talked = outcome in {"answered", "voicemail", "forwarded"}
    seen = rng.choice(_SEEN)
    agent = rng.choice(cast.agents)
    return RealCall(at, ring, talk if talked else 0, outbound, outcome, person, number, line, agent, onward, seen)


def _other_side(rng: Random, cast: Cast, line: Line, *, hidden: bool) -> tuple[Person | None, Number | None]:
    if hidden:
        return None, None
    if rng.random() < 0.01:
        return None, line.number
    person = cast.people[int(rng.random() ** 2 * len(cast.people))]
    return person, rng.choice(person.numbers)


def _live(rng: Random, call: RealCall, until: int) -> RealCall:
    age = 20 * SECOND + int(rng.random() * 15 * MINUTE)
    return replace(call, at=until - age, ring=min(call.ring, age // 2), talk=0, outcome="in_progress")


def _sequel(rng: Random, cast: Cast, call: RealCall) -> Iterator[RealCall]:
    """Redials of the same pair, and the other calls of a parallel dialler."""
    if call.outbound and not call.talked:
        while rng.random() < 0.35:
            pause = 4 * SECOND + int(rng.random() ** 2 * 3 * MINUTE)
            outcome = "answered" if rng.random() < 0.4 else "missed"
            talk = 2 * SECOND + int(rng.random() * 3 * MINUTE) if outcome == "answered" else 0
            call = replace(call, at=call.ended + pause, outcome=outcome, talk=talk)
            yield call
    elif call.outbound and rng.random() < 0.02:
        for _ in range(3):
            person, number = _other_side(rng, cast, call.onward, hidden=False)
            yield replace(
                call, at=call.at + int(rng.random() * SECOND), person=person, number=number, outcome="cancelled", talk=0
            )
