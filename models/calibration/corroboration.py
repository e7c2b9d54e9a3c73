"""Whether two accounts hold the same calls at all: what was not used to find the clock must agree beyond chance."""

from typing import NamedTuple

import numpy as np

from models.calibration.blocks import Rows, near
from models.calibration.columns import Floats, Ints
from models.calibration.offsets import log_tail

READINGS = ("total", "talk", "duration")
CHANCE = -9.0
"""Log of the chance of agreeing so by accident, at most."""
DEALS = 30
"""How often partners are dealt out again."""
SLACKS = (1.2, 5.0)
"""Seconds within which two lengths agree, besides a hundredth of them."""
FEWEST = 5
BOTH = 0.8
"""Of the calls in which one says that somebody talked, those of which the other says so too, at least."""
KNOWN = 0.5
"""Share of an account's rows with a reading, below which it is not used."""


class Agreement(NamedTuple):
    chance: float
    readings: tuple[str, str]


def agreement(a: Rows, b: Rows, i: Ints, j: Ints) -> Agreement | None:
    """The two readings of lengths (0 for calls without talk) that agree best among the pairs; None where none does."""
    generator = np.random.default_rng(len(i))
    found = [
        Agreement(_chance(a.reading(one)[i], b.reading(other)[j], generator), (one, other))
        for one in READINGS
        for other in READINGS
        if np.isfinite(a.reading(one)).mean() > KNOWN and np.isfinite(b.reading(other)).mean() > KNOWN
    ]
    best = min(found, default=None)
    return best if best is not None and best.chance < CHANCE else None


def _chance(left: Floats, right: Floats, generator: np.random.Generator) -> float:
    known = np.isfinite(left) & np.isfinite(right)
    left, right, size = left[known], right[known], int(known.sum())
    if size < FEWEST:
        return 0.0
    return min(
        _by_equality(left, right, generator), _by_order(left, right, generator), _by_talk(left, right, generator), 0.0
    )


def _by_equality(left: Floats, right: Floats, generator: np.random.Generator) -> float:
    found = 0.0
    # Every deal moves each partner to another call.
    order = generator.permutation(left.size)
    left, right = left[order], right[order]
    dealt = [np.roll(right, shift) for shift in range(1, min(DEALS, left.size - 1) + 1)]
    for slack in SLACKS:
        seen = _equal(left, right, slack)
        usual = float(np.mean([_equal(left, one, slack) for one in dealt]))
        if seen - usual > 0.15:
            found = min(found, float(log_tail(np.array(seen * left.size), max(usual, 0.02) * left.size)))
    return found


def _by_talk(left: Floats, right: Floats, generator: np.random.Generator) -> float:
    """Of calls in which both say that somebody talked, where they say so of the same: best for few calls."""
    talked = (left > 0) & (right > 0)
    fewer = min(int((left > 0).sum()), int((right > 0).sum()))
    if talked.sum() < max(FEWEST, BOTH * fewer):
        return 0.0
    return _by_equality(left[talked], right[talked], generator)


def _equal(left: Floats, right: Floats, slack: float) -> float:
    return float(np.mean(np.abs(left - right) <= slack + 0.01 * left))


def _by_order(left: Floats, right: Floats, generator: np.random.Generator) -> float:
    """The chance of their rank correlation."""
    if left.size < FEWEST + 1:
        return 0.0
    ranks = [np.argsort(np.argsort(one + 1e-6 * generator.random(one.size))) for one in (left, right)]
    correlation = float(np.corrcoef(ranks[0].astype(float), ranks[1].astype(float))[0, 1])
    if correlation <= 0.35:
        return 0.0
    return 0.5 * (left.size - 2) * float(np.log(max(1 - correlation**2, 1e-3)))


def mutual(a: Rows, b: Rows, width: float) -> tuple[Ints, Ints]:
    """Rows of one block that are nearest to each other in time, by one clock."""
    i, j = near(a, b, -width, width)
    gap = np.abs(b.start[j] - a.start[i])
    best_a, best_b = np.full(len(a), np.inf), np.full(len(b), np.inf)
    np.minimum.at(best_a, i, gap)
    np.minimum.at(best_b, j, gap)
    kept = (gap == best_a[i]) & (gap == best_b[j])
    return i[kept], j[kept]
