"""One call to one call: the best assignment inside a small block, and by how much it is the best.

Accounts join one after another, each by an optimal one-to-one assignment of its calls to the real calls so far. What
speaks for a call joining several others is the mean over them: their clocks and gaps tell the same story, and a sum
would believe it twice.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np
from scipy.optimize import linear_sum_assignment  # type: ignore[import-untyped]

from models.matching.records import Floats

MARGIN = 5.0
"""Nats by which an answer must be better than the next best: else it is ambiguous."""
UNLIKE = -3.0
"""Nats for two records that ought to look alike, being of one call by way of a third, and do not."""
BARRED = -1e6

Scores = dict[tuple[int, int], float]
"""Nats by pair of calls, the smaller number first."""


Barred = Callable[[int, int], bool]
Order = Sequence[tuple[int, int]]
"""Pairs of accounts, those whose clocks agree best first."""
ROUNDS = 2
"""What a later account settles may open the way for an earlier one."""


@dataclass(slots=True)
class Unit:
    """A real call in the making: at most one call of each account."""

    members: list[int]
    accounts: set[int]
    margin: float = np.inf


@dataclass(slots=True)
class Answer:
    units: list[Unit]
    rivals: dict[int, set[int]] = field(default_factory=dict)
    """Of each call that is ambiguous, those it might be one with."""


def assign(units: list[Unit], scores: Scores, order: Order, barred: Barred = lambda _a, _b: False) -> Answer:
    """Joins units as far as the evidence is clear. `barred` pairs are never one call."""
    answer = Answer(units)
    for _ in range(ROUNDS):
        for one, other in order:
            answer = _join(answer, one, other, scores, barred)
    joined = {member for unit in answer.units if len(unit.members) > 1 for member in unit.members}
    rivals = {call: others for call, others in answer.rivals.items() if call not in joined}
    return Answer(answer.units, rivals)


def _join(answer: Answer, one: int, other: int, scores: Scores, barred: Barred) -> Answer:
    """Assigns the real calls that hold a call of account `one` only to those that hold one of `other` only."""
    left, right = _side(answer.units, one, other), _side(answer.units, other, one)
    if not left or not right:
        return answer
    gains = np.array([[_together(a, b, scores, barred) for b in right] for a in left])
    gains = np.maximum(gains, 0.0)
    pairs = _best(gains)
    total = sum(gains[pair] for pair in pairs)
    rivals = {call: set(others) for call, others in answer.rivals.items()}
    gone: set[int] = set()
    made: list[Unit] = []
    for i, j in pairs:
        next_best = _best(_without(gains, i, j))
        margin = float(total - sum(gains[pair] for pair in next_best))
        if one not in left[i].accounts or other not in right[j].accounts:
            continue
        if margin >= MARGIN:
            members, accounts = left[i].members + right[j].members, left[i].accounts | right[j].accounts
            made.append(Unit(members, accounts, min(margin, left[i].margin, right[j].margin)))
            gone |= {id(left[i]), id(right[j])}
        else:
            changed = [(i, j), *(pair for pair in next_best if pair not in pairs)]
            _note(rivals, ((left[a], right[b]) for a, b in changed))
    return Answer([unit for unit in answer.units if id(unit) not in gone] + made, rivals)


def _side(units: list[Unit], one: int, other: int) -> list[Unit]:
    """The real calls of account `one` that lack `other`, and those that vie with them for the same partner."""
    taking = [unit for unit in units if one in unit.accounts and other not in unit.accounts]
    accounts = set().union(*(unit.accounts for unit in taking))
    vying = [unit for unit in units if not unit.accounts & {one, other} and unit.accounts & accounts]
    return taking + vying


def _together(one: Unit, other: Unit, scores: Scores, barred: Barred) -> float:
    """What speaks for two units being one call."""
    if one.accounts & other.accounts:
        return BARRED
    pairs = [(min(a, b), max(a, b)) for a in one.members for b in other.members]
    if any(barred(a, b) for a, b in pairs) or not any(pair in scores for pair in pairs):
        return BARRED
    return sum(scores.get(pair, UNLIKE) for pair in pairs) / len(pairs)


def _best(gains: Floats) -> list[tuple[int, int]]:
    """The one-to-one pairs with the greatest sum; only pairs that gain something."""
    if gains.size == 1:
        return [(0, 0)] if gains[0, 0] > 0 else []
    rows, columns = linear_sum_assignment(gains, maximize=True)
    return [(int(i), int(j)) for i, j in zip(rows, columns, strict=True) if gains[i, j] > 0]


def _without(gains: Floats, i: int, j: int) -> Floats:
    changed = gains.copy()
    changed[i, j] = 0.0
    return changed


def _note(rivals: dict[int, set[int]], pairs: Iterable[tuple[Unit, Unit]]) -> None:
    for one, other in pairs:
        for a in one.members:
            for b in other.members:
                rivals.setdefault(a, set()).add(b)
                rivals.setdefault(b, set()).add(a)
