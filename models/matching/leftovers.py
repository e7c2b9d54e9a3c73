"""Rows that segmentation leaves alone, settled one to one by another reading of their numbers.

Four stages, each on what the one before it left: a hidden caller on the same line; a call passed on over a line of ours
that the other account sees called, or calling; a hidden caller on another line. A partner is one whose start, length
and words agree; who vies for whom is settled by belief propagation for matchings.
"""

from collections.abc import Iterator
from dataclasses import replace
from enum import IntEnum
from typing import NamedTuple

import numpy as np

from models.calibration.blocks import Rows, near
from models.calibration.calibration import Calibration
from models.calibration.columns import DIRECTIONS, Bools, Chosen, Floats, Ints
from models.calibration.density import drawn_at
from models.matching.links import LEAST, Evidence, Sides, word
from models.vocabulary import Direction

INBOUND = DIRECTIONS.index(Direction.INBOUND)
WEAK = -3.0
"""Nats: pairs that more speaks against have no say."""
AROUND = 900.0
"""Seconds on either side in which other rows of a stage are counted."""
TURNS = 50
SPARE = 2.0
"""Seconds beyond the usual start gaps."""


class Stage(IntEnum):
    SAME_LINE, TO_OUR_LINE, FROM_OUR_LINE, OTHER_LINE = range(4)


SHARE = {Stage.SAME_LINE: 0.6, Stage.TO_OUR_LINE: 0.3, Stage.FROM_OUR_LINE: 0.3, Stage.OTHER_LINE: 0.1}
"""Of such rows of A, those that B holds."""


class Settled(NamedTuple):
    """Pairs of rows with their stage, probability and evidence."""

    i: Ints
    j: Ints
    stage: Ints
    probability: Floats
    evidence: Evidence

    def only(self, chosen: Chosen) -> "Settled":
        ends = self.i[chosen], self.j[chosen]
        return Settled(*ends, self.stage[chosen], self.probability[chosen], self.evidence.only(chosen))


def pairs(sides: Sides, known: Calibration, lines: Ints, stage: Stage) -> Settled:
    """All pairs of a stage for which not too much speaks against, each as if its rows were alone."""
    i, j = _near(sides, lines, stage, *_window(known))
    i, j = _allowed(sides, i, j, stage)
    evidence = _evidence(sides, i, j, known, stage)
    found = Settled(i, j, np.full(i.size, int(stage)), evidence.score, evidence)
    return found.only(evidence.score > WEAK)


def settle(sides: Sides, known: Calibration, lines: Ints, alone: tuple[Bools, Bools]) -> Iterator[Settled]:
    """Stage by stage; `alone` are the rows without a partner so far."""
    free = alone[0].copy(), alone[1].copy()
    for stage in Stage:
        found = pairs(sides, known, lines, stage)
        found = found.only(free[0][found.i] & free[1][found.j])
        found = found._replace(probability=_matched(sides, found, known))
        yield found
        for side, rows, one in ((0, found.i, sides.a), (1, found.j, sides.b)):
            free[side][np.bincount(rows, found.probability, len(one)) >= 0.5] = False


def rates(sides: Sides, lines: Ints, alone: tuple[Bools, Bools]) -> Floats:
    """By stage: rows of B a second, left over and of the stage's key, near a row of A."""
    found = []
    for stage in Stage:
        i, j = _near(sides, lines, stage, -AROUND, AROUND)
        i, j = _allowed(sides, i, j, stage)
        both = alone[0][i] & alone[1][j]
        rows = max(np.unique(i[both]).size, 1)
        found.append((both.sum() + 0.5) / rows / (2 * AROUND))
    return np.array(found)


def _window(known: Calibration) -> tuple[float, float]:
    return known.starts.quantile(0.002) - SPARE, known.starts.quantile(0.998) + SPARE


def _near(sides: Sides, lines: Ints, stage: Stage, low: float, high: float) -> tuple[Ints, Ints]:
    keys = _keys(sides, lines, stage)
    chosen = [np.flatnonzero(key) for key in keys]
    parts = [
        replace(rows.only(at), block=key[at]) for rows, at, key in zip((sides.a, sides.b), chosen, keys, strict=True)
    ]
    i, j = near(parts[0], parts[1], low, high)
    return chosen[0][i], chosen[1][j]


def _keys(sides: Sides, lines: Ints, stage: Stage) -> tuple[Ints, Ints]:
    """What the rows of a stage share; 0: not of the stage."""
    a, b = sides.a, sides.b
    match stage:
        case Stage.SAME_LINE:
            return _if_some_hidden(a, b, a.own, b.own)
        case Stage.TO_OUR_LINE:
            return _ours(a.own, lines), _ours(b.remote, lines)
        case Stage.FROM_OUR_LINE:
            return _ours(a.remote, lines), _ours(b.own, lines)
        case Stage.OTHER_LINE:
            return _if_some_hidden(a, b, np.ones_like(a.own), np.ones_like(b.own))


def _if_some_hidden(a: Rows, b: Rows, one: Ints, other: Ints) -> tuple[Ints, Ints]:
    """Without a hidden caller on either side there is nothing to look for on the other."""
    return one * bool((b.remote == 0).any() or (a.remote == 0).any()), other * bool(
        (a.remote == 0).any() or (b.remote == 0).any()
    )


def _ours(numbers: Ints, lines: Ints) -> Ints:
    return np.where(np.isin(numbers, lines), numbers, 0)


def _allowed(sides: Sides, i: Ints, j: Ints, stage: Stage) -> tuple[Ints, Ints]:
    a, b = sides.a, sides.b
    kept = a.direction[i] == b.direction[j]
    if stage in {Stage.SAME_LINE, Stage.OTHER_LINE}:
        kept &= (
            (a.remote[i] == 0) ^ (b.remote[j] == 0)
            if stage is Stage.SAME_LINE
            else (a.remote[i] == 0) | (b.remote[j] == 0)
        )
    else:
        kept &= (a.own[i] != b.own[j]) & (a.direction[i] == INBOUND)
    return i[kept], j[kept]


def _evidence(sides: Sides, i: Ints, j: Ints, known: Calibration, stage: Stage) -> Evidence:
    a, b = sides.a, sides.b
    left, right = a.reading(known.readings[0])[i], b.reading(known.readings[1])[j]
    fit = known.ends(b.end[j] - a.end[i]) if known.has_ends else known.lengths(right - left)
    with np.errstate(invalid="ignore"):
        timed = (left > 0) & (right > 0)
    share, nothing = SHARE[stage], np.zeros(i.size)
    held_b = np.minimum(known.shares[1].of(b), 0.9)[j]
    return Evidence(
        prior=np.log(share / (1 - share)) - np.log1p(-held_b),
        start=known.starts(b.start[j] - a.start[i]) - np.log(known.leftover[stage]),
        length=np.where(timed, np.maximum(fit - drawn_at(known.drawn, right, b.talked[j]), LEAST), 0.0),
        outcome=known.outcomes[word(a.outcome[i], left), word(b.outcome[j], right)],
        direction=nothing,
        run=nothing,
    )


def _matched(sides: Sides, found: Settled, known: Calibration) -> Floats:
    """Probabilities under "one to one": belief propagation; crowded stretches weigh less than the stage's mean says."""
    low, high = _window(known)
    many = np.bincount(found.i, minlength=len(sides.a))[found.i]
    here = np.maximum(many - 1, 0) / max(high - low, 1.0)
    crowd = np.maximum(np.log(np.maximum(here, 1e-9) / known.leftover[found.stage]), 0.0)
    odds = np.exp(np.clip(found.evidence.score - crowd, -30, 30))
    of_a, of_b = np.ones(odds.size), np.ones(odds.size)
    for _ in range(TURNS if odds.size else 0):
        of_a = _rest(found.i, odds * of_b, len(sides.a))
        of_b = _rest(found.j, odds * of_a, len(sides.b))
    believed = odds * of_a * of_b
    return believed / (1 + believed)


def _rest(rows: Ints, odds: Floats, size: int) -> Floats:
    """The chance that none of a row's other partners takes it."""
    others: Floats = np.bincount(rows, odds, size)[rows] - odds
    return 1 / (1 + np.maximum(others, 0))
