"""Segmentation: over every way to cut the rows of two accounts into calls, the probability of each link and junction.

Pieces of one row of either account, and rows of one account alone, have closed answers; the others are lattices.
"""

from typing import NamedTuple

import numpy as np

from models.calibration.calibration import Calibration
from models.calibration.columns import Floats, Ints
from models.calibration.habits import is_short
from models.matching.links import Evidence, Links, Sides, gains
from models.matching.moves import OF_A, OF_B, Moves, moves
from models.matching.pieces import FAINT, cut
from models.matching.walk import Taken, walked

NEVER = -99.0
"""Nats."""
HARDLY = 1e-4


class Aside(NamedTuple):
    """Rows inside another call's run: `link` holds the run, `row` is not of it, and the rows around it are."""

    link: Ints
    row: Ints
    probability: Floats


class Posteriors(NamedTuple):
    """Probabilities, given what is known."""

    link: Floats
    junction_a: Floats
    """Of each row, to be of one call with the row before it in the block."""
    junction_b: Floats
    aside_a: Aside
    aside_b: Aside


NOTHING = Aside(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))


def solve(sides: Sides, found: Links, evidence: Evidence, known: Calibration) -> Posteriors:
    score, gain = evidence.score, (gains(sides.a, known, 0), gains(sides.b, known, 1))
    kept = np.flatnonzero(score > FAINT)
    likely = found.only(kept)
    pieces = cut(sides, likely, gain)
    single = (pieces.size[0] == 1) & (pieces.size[1] == 1)
    hard = (pieces.size[0] > 0) & (pieces.size[1] > 0) & ~single
    plain = single[pieces.of[0][likely.i]]
    link = np.zeros(score.size)
    link[kept[plain]] = logistic(score[kept[plain]])
    on = (
        np.where(hard[pieces.of[0]], 0.0, logistic(np.where(is_short(sides.a), gain[0], NEVER))),
        np.where(hard[pieces.of[1]], 0.0, logistic(np.where(is_short(sides.b), gain[1], NEVER))),
    )
    if not hard.any():
        return Posteriors(link, *on, NOTHING, NOTHING)
    ways = moves(likely.only(~plain), score[kept[~plain]], kept[~plain])
    return _booked(Posteriors(link, *on, NOTHING, NOTHING), found, ways, walked(sides, pieces, hard, ways, gain))


def logistic(value: Floats) -> Floats:
    found: Floats = 1.0 / (1.0 + np.exp(-np.clip(value, -700, 700)))
    return found


def beside(first: Ints, size: Ints, probability: Floats, count: int) -> Floats:
    """Of each row, how probable it is that the other account holds its call: the sum over the runs it is in."""
    met = np.zeros(count)
    for step in range(int(size.max(initial=0))):
        longer = size > step
        np.add.at(met, first[longer] + step, probability[longer])
    return met


# ----------------------------------------------------------------------------------------------------------- booking
def _booked(so_far: Posteriors, found: Links, ways: Moves, taken: Taken) -> Posteriors:
    link, on = so_far.link, (so_far.junction_a, so_far.junction_b)
    for column in (ways.one, ways.other):
        used = column >= 0
        np.add.at(link, column[used], taken.moves[used])
        for junction, first, size in ((on[0], found.i, found.p), (on[1], found.j, found.q)):
            _along(junction, first[column[used]], size[column[used]], taken.moves[used])
    for junction, alone in zip(on, taken.alone, strict=True):
        _along(junction, alone.first, alone.size, alone.value)
    asides = _aside(ways, taken, OF_A, found.i), _aside(ways, taken, OF_B, found.j)
    for junction, aside in zip(on, asides, strict=True):
        np.add.at(junction, aside.row, -aside.probability)
        np.add.at(junction, aside.row + 1, -aside.probability)
    return Posteriors(np.minimum(link, 1.0), np.clip(on[0], 0, 1), np.clip(on[1], 0, 1), *asides)


def _aside(ways: Moves, taken: Taken, whose: int, rows: Ints) -> Aside:
    chosen = np.flatnonzero((ways.aside == whose) & (taken.moves > HARDLY))
    return Aside(ways.one[chosen], rows[ways.other[chosen]], taken.moves[chosen])


def _along(on: Floats, first: Ints, size: Ints, probability: Floats) -> None:
    """Adds to the junctions inside runs."""
    for step in range(1, int(size.max(initial=1))):
        longer = size > step
        np.add.at(on, first[longer] + step, probability[longer])
