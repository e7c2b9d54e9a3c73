"""What exchanges, dialers and customer systems write of one call."""

from dataclasses import dataclass, replace
from random import Random

from models.vocabulary import Outcome

LINES = 12
OUR_LINES = 500


@dataclass(frozen=True)
class Call:
    """What happened. Seconds since the world began."""

    number: int
    at: float
    ring: float
    talk: float
    person: int
    line: int
    outbound: bool
    outcome: Outcome

    @property
    def end(self) -> float:
        return self.at + self.ring + self.talk


@dataclass(frozen=True)
class Written:
    """A row as an account would write it by a right clock."""

    remote: int
    own: int
    start: float
    answer: float | None
    end: float
    outbound: bool
    outcome: Outcome
    parent: int = 0


def plain(_rng: Random, call: Call) -> list[Written]:
    return [whole(call)]


def whole(call: Call) -> Written:
    answer = call.at + call.ring if call.talk else None
    return Written(call.person, call.line, call.at, answer, call.end, call.outbound, call.outcome)


# ------------------------------------------------------------------------------------------- what exchanges write
def ring_group(rng: Random, call: Call) -> list[Written]:
    """One inbound call rings five phones: the loser's rows end when one is answered."""
    if call.outbound or call.outcome not in {Outcome.ANSWERED, Outcome.MISSED}:
        return [whole(call)]
    row = whole(call)
    until = call.at + call.ring
    losers = [
        replace(row, start=call.at + rng.random() * 0.4, answer=None, end=until + rng.random() * 0.3, outcome=outcome)
        for outcome in rng.choices((Outcome.MISSED, Outcome.CANCELLED), k=4)
    ]
    return [row, *losers]


def routes(rng: Random, call: Call) -> list[Written]:
    """Up to three routes are tried: those that fail do so at once."""
    at, rows = call.at, []
    for _ in range(rng.choice((0, 0, 1, 1, 2)) if call.outbound else 0):
        end = at + rng.uniform(0.1, 2.0)
        rows.append(Written(call.person, call.line, at, None, end, True, Outcome.FAILED))
        at = end + rng.uniform(0.1, 1.2)
    moved = replace(call, at=at, ring=max(call.ring - (at - call.at), 1.0))
    return [*rows, whole(moved)]


def queue(rng: Random, call: Call) -> list[Written]:
    """A menu, a wait that no row covers, tries of agents with pauses, then the one who answers."""
    if call.outbound or not call.talk:
        return [whole(call)]
    menu = call.at + rng.uniform(4, 18)
    rows = [Written(call.person, call.line, call.at, call.at, menu, False, Outcome.ANSWERED)]
    at = call.at + call.ring
    tries, begun = rng.choice((0, 1, 2, 3)), at
    for _ in range(tries):
        begun -= 9 + rng.uniform(5, 16)
        if begun > menu + 1:
            rows.append(Written(call.person, call.line, begun, None, begun + 9, False, Outcome.MISSED))
    rows.append(Written(call.person, call.line, at - 3, at, call.end, False, Outcome.ANSWERED))
    return rows


def two_legs(rng: Random, call: Call) -> list[Written]:
    """The main line answers at once, the person's own line seconds later; both end together."""
    if call.outbound:
        return [whole(call)]
    main = Written(call.person, OUR_LINES, call.at, call.at, call.end, False, Outcome.ANSWERED)
    leg = whole(replace(call, at=call.at + rng.uniform(0, 5), ring=call.ring, talk=call.talk))
    return [main, replace(leg, end=call.end)]


def transfer(rng: Random, call: Call) -> list[Written]:
    """Reception talks for a while, then the colleague; no second between."""
    if not call.talk or call.talk < 40 or rng.random() < 0.5:
        return [whole(call)]
    at = call.at + call.ring + call.talk * rng.uniform(0.1, 0.5)
    row = whole(call)
    return [replace(row, end=at), replace(row, start=at, answer=at, own=OUR_LINES + rng.randrange(LINES))]


def twice(rng: Random, call: Call) -> list[Written]:
    row = whole(call)
    return [row, replace(row, start=row.start + rng.random() * 0.8)] if rng.random() < 0.1 else [row]


def counts_menu(_rng: Random, call: Call) -> list[Written]:
    """The exchange counts the menu that comes before the call is put through."""
    row = whole(call)
    menu = 40.0 if not call.outbound else 0.0
    return [replace(row, start=row.start - menu, answer=row.start - menu if menu and row.answer else row.answer)]


# --------------------------------------------------------------------------------------------- what dialers write
def forwarded(rng: Random, call: Call) -> list[Written]:
    """Calls to three lines go on to another system, half of them under our own number in place of the caller's."""
    if call.outbound or call.line % 4:
        return [whole(call)]
    target = OUR_LINES + 100 + call.line % 3
    remote = call.line if rng.random() < 0.5 else call.person
    return [replace(whole(call), remote=remote, own=target, start=call.at + rng.uniform(0.5, 3))]


def local_presence(rng: Random, call: Call) -> list[Written]:
    return [replace(whole(call), own=10_000 + rng.randrange(4_000))] if call.outbound else [whole(call)]


def hides(_rng: Random, call: Call) -> list[Written]:
    hidden = not call.outbound and call.number % 6 == 0
    return [replace(whole(call), remote=0) if hidden else whole(call)]


def hides_and_moves(rng: Random, call: Call) -> list[Written]:
    row = hides(rng, call)[0]
    return [replace(row, own=OUR_LINES + 200)] if row.remote == 0 and call.number % 12 == 0 else [row]


def mirrored(_rng: Random, call: Call) -> list[Written]:
    """A call between two lines of ours, as the called side sees it."""
    row = whole(call)
    return [replace(row, remote=row.own, own=row.remote, outbound=not row.outbound)] if row.remote < 1_000 else [row]
