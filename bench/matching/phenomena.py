"""Worlds of one trouble each: what exchanges, dialers and people do to a call on its way into two or three systems.

Three accounts: an exchange that writes a row per attempt or leg, a dialer and a customer system that
write one per call.
Another generator than `worlds`, with other habits: who holds a call depends on its line, customers follow Zipf's law,
starts have a heavy tail of set-up, agents press a button before the exchange is asked.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from random import Random
from typing import Any

import numpy as np

from bench.matching.worlds import DIRECTIONS, START, Setting, World
from bench.matching.written import (
    LINES,
    OUR_LINES,
    Call,
    Written,
    counts_menu,
    forwarded,
    hides,
    hides_and_moves,
    local_presence,
    mirrored,
    plain,
    queue,
    ring_group,
    routes,
    transfer,
    twice,
    two_legs,
    whole,
)
from models.calibration.columns import NO_TIME, OUTCOMES, SECOND, records_of
from models.vocabulary import Direction, Outcome

DAY = 86_400.0
EXCHANGE, DIALER, CUSTOMERS = range(3)
QUIET = (Outcome.MISSED, Outcome.BUSY, Outcome.FAILED, Outcome.CANCELLED)


Writer = Callable[[Random, Call], list[Written]]
Clock = Callable[[float], float]


@dataclass(frozen=True)
class Account:
    writes: Writer
    clock: Clock = lambda _: 0.0
    jitter: float = 0.3
    grain: float = 1.0
    duration: str = "talk"
    says_answer: bool = False
    says_end: bool = True
    holds: float = 0.85
    tail: float = 0.0
    """Share of starts that are late by up to 45 s."""
    at_end: bool = False
    """What it calls the start is the moment when the call ended."""
    half: bool = False
    """Its times are of a clock of twelve hours, without the half of the day."""


@dataclass(frozen=True)
class Trouble:
    name: str
    accounts: tuple[Account, ...]
    sequel: Callable[[Random, Call], Iterator[Call]] = lambda _rng, _call: iter(())
    days: float = 30.0
    people: float = 0.2
    line: Callable[[Random], int] = lambda rng: rng.randrange(LINES)
    outbound: float = 0.5
    shared: float | None = None
    """Share of the calls that all accounts hold; the others are held by one alone. None: by line."""
    follow: tuple[float, float] | None = None
    """The dialer calls the same person so many seconds after a call of the exchange that failed."""
    inside: bool = False
    """Every third call is between two lines of ours."""
    step: Clock | None = None
    """The dialer's clock, where it is not the usual one."""


# ---------------------------------------------------------------------------------------------------- what follows
def calls_back(rng: Random, call: Call) -> Iterator[Call]:
    if not call.talk and rng.random() < 0.4:
        yield replace(call, at=call.end + rng.uniform(1, 15), outbound=not call.outbound, **_answered(rng))


def redials(rng: Random, call: Call) -> Iterator[Call]:
    while not call.talk and rng.random() < 0.5:
        again = _answered(rng) if rng.random() < 0.4 else {}
        call = replace(call, at=call.end + rng.uniform(5, 60), **again)
        yield call


def _answered(rng: Random) -> dict[str, Any]:
    return {"talk": 3 + rng.lognormvariate(3.8, 1.1), "outcome": Outcome.ANSWERED, "ring": rng.uniform(2, 20)}


# ------------------------------------------------------------------------------------------------------ the making
def make(trouble: Trouble, calls: int, seed: int) -> World:
    rng = Random(f"{trouble.name} {seed}")
    if trouble.step:
        accounts = list(trouble.accounts)
        accounts[DIALER] = replace(accounts[DIALER], clock=trouble.step)
        trouble = replace(trouble, accounts=tuple(accounts))
    happened = list(_happened(rng, trouble, calls))
    rows: list[tuple[Any, ...]] = []
    truth: list[int] = []
    for call in happened:
        for number in _holders(rng, trouble, call):
            written = trouble.accounts[number].writes(rng, call)
            for one in written:
                rows.append(_row(rng, number, trouble.accounts[number], one))
                truth.append(call.number)
        if trouble.follow and not call.talk and truth[-1] == call.number and rows[-1][0] == EXCHANGE:
            after = replace(
                call, at=call.end + rng.uniform(*trouble.follow), number=calls * 10 + call.number, **_answered(rng)
            )
            rows.append(_row(rng, DIALER, trouble.accounts[DIALER], whole(after)))
            truth.append(after.number)
    order = list(range(1, len(rows) + 1))
    rng.shuffle(order)
    numbered = [(id_, row[0], id_ * 7919, 0, *row[1:]) for id_, row in zip(order, rows, strict=True)]
    chosen = np.argsort([row[1] for row in numbered], kind="stable")
    names = [f"provider-{'abc'[i]}" for i in range(len(trouble.accounts))]
    setting = Setting(trouble.name, ())
    return World(setting, records_of([numbered[i] for i in chosen]), np.array(truth)[chosen], names)


def _happened(rng: Random, trouble: Trouble, calls: int) -> Iterator[Call]:
    made = 0
    people = max(int(calls * trouble.people), 10)
    weights = np.cumsum(1 / np.arange(1, people + 1) ** 0.8).tolist()
    while made < calls:
        call = _call(rng, trouble, made, weights)
        call = internal(call) if trouble.inside else call
        yield call
        made += 1
        for further in trouble.sequel(rng, call):
            yield replace(further, number=made)
            made += 1


def _call(rng: Random, trouble: Trouble, number: int, weights: list[float]) -> Call:
    person = 1_000_000 + rng.choices(range(len(weights)), cum_weights=weights)[0]
    at = int(rng.random() * trouble.days) * DAY + (8 + 10 * rng.random()) * 3600
    talked = rng.random() < 0.62
    outcome = Outcome.ANSWERED if talked else rng.choices(QUIET, (60, 15, 10, 15))[0]
    talk = 3 + rng.lognormvariate(4.2, 1.1) if talked else 0.0
    ring = 1 + rng.random() ** 2 * 35
    outbound = rng.random() < trouble.outbound
    return Call(number, at, ring, talk, person, OUR_LINES + 1 + trouble.line(rng), outbound, outcome)


def _holders(rng: Random, trouble: Trouble, call: Call) -> list[int]:
    every = range(len(trouble.accounts))
    if trouble.shared is not None and rng.random() >= trouble.shared:
        return [rng.choice(every)]
    if trouble.shared is not None:
        return list(every)
    return [i for i in every if rng.random() < (0.97 if (call.line + i) % 5 else trouble.accounts[i].holds - 0.4)]


def _row(rng: Random, number: int, account: Account, one: Written) -> tuple[Any, ...]:
    off = account.clock(one.start) + rng.gauss(0, account.jitter)
    late = rng.uniform(5, 45) if rng.random() < account.tail else abs(rng.gauss(0, 0.4))
    late = min(late, max(one.end - one.start - 0.5, 0.0))
    talked = one.answer is not None
    length = one.end - (one.answer or one.end) if account.duration == "talk" else one.end - one.start
    return (
        number,
        one.remote,
        one.own,
        _time((one.end if account.at_end else one.start + late) + off, account),
        _time(one.answer + off, account) if one.answer is not None and account.says_answer else NO_TIME,
        _time(one.end + off, account) if account.says_end else NO_TIME,
        -1 if account.duration == "none" else round(length) if talked or account.duration == "total" else 0,
        DIRECTIONS.index(Direction.OUTBOUND if one.outbound else Direction.INBOUND),
        OUTCOMES.index(one.outcome),
        0,
    )


def _time(seconds: float, account: Account) -> int:
    at = (START + seconds) // account.grain * account.grain
    return int((at - at % DAY + at % (DAY / 2) if account.half else at) * SECOND)


def three(exchange: Writer = plain, dialer: Writer = plain, **changes: Any) -> tuple[Account, ...]:
    return (
        Account(exchange, says_answer=True),
        Account(dialer, clock=lambda s: 41.0 + 0.7 * s / DAY, **({"duration": "none"} | changes)),
        Account(plain, clock=lambda _: -23.0, duration="total", says_end=False),
    )


def two(exchange: Writer = plain, dialer: Writer = plain, **changes: Any) -> tuple[Account, ...]:
    return three(exchange, dialer, **changes)[:2]


def stepped(at: float) -> float:
    """A step of 86 s on the tenth day, and one day that is two minutes wrong."""
    return 12.0 + (86.0 if at > 10.4 * DAY else 0.0) + (120.0 if 16 * DAY < at < 17 * DAY else 0.0)


def changed_clocks(at: float) -> float:
    return 12.0 + (3600.0 if at > 14 * DAY else 0.0)


def internal(call: Call) -> Call:
    """Every third call is between two lines of ours."""
    return replace(call, person=OUR_LINES + 1 + (call.line + 3) % LINES) if call.number % 3 == 0 else call


TROUBLES = (
    Trouble("nothing shared", two(), shared=0.0),
    Trouble("nothing shared, follow-ups after 30 s", two(), shared=0.0, follow=(28, 32)),
    Trouble("nothing shared, follow-ups after 1 to 8 s", two(), shared=0.0, follow=(1, 8)),
    Trouble("a third shared, follow-ups after 30 s", two(), shared=0.33, follow=(28, 32)),
    Trouble("a third shared, follow-ups after 1 to 8 s", two(), shared=0.33, follow=(1, 8)),
    Trouble("ordinary", three()),
    Trouble("ring groups", three(ring_group), outbound=0.3),
    Trouble("failed routes", three(routes), outbound=0.8),
    Trouble("failed routes and redials", three(routes), sequel=redials, outbound=0.8, shared=0.67),
    Trouble("queues", three(queue), outbound=0.2),
    Trouble("two legs", three(two_legs), outbound=0.3),
    Trouble("transfers", three(transfer)),
    Trouble("rows written twice", three(dialer=twice)),
    Trouble("menus", three(counts_menu), outbound=0.3),
    Trouble("forwarding", three(dialer=forwarded), outbound=0.2),
    Trouble("internal", three(dialer=mirrored), sequel=calls_back, inside=True),
    Trouble("local presence", three(dialer=local_presence), outbound=0.8),
    Trouble("hidden callers", three(hides), outbound=0.3),
    Trouble("hidden, another line", three(hides_and_moves), outbound=0.3),
    Trouble("quick call-backs", three(), sequel=calls_back),
    Trouble("redials", three(), sequel=redials, outbound=0.8),
    Trouble("clock steps", three(), step=stepped),
    Trouble("changes of the clocks", three(), step=changed_clocks),
    Trouble("late starts", three(tail=0.05)),
    Trouble("ends for starts", three(at_end=True, duration="talk")),
    Trouble("twelve hours", three(half=True)),
    Trouble("whole minutes", three(grain=60.0)),
    Trouble("quarter hours", three(grain=900.0)),
    Trouble("a crowded main line", three(), people=0.004, outbound=0.1),
)
"""The first five share little or nothing: what is said there is wrong, or nearly all of it."""
