"""How an account goes on from one row of a call to the next, and the runs of rows that one call may take."""

from typing import NamedTuple

import numpy as np

from models.calibration.blocks import (
    CLASSES,
    FIRST_PAUSE,
    INSIDE,
    INSIDE_KIND,
    KINDS,
    SAME_END,
    SOON,
    TOGETHER,
    TOGETHER_KIND,
    Rows,
    near,
)
from models.calibration.columns import Bools, Floats, Ints

MOST_ROWS = 16
"""Of one account in one call."""
SHORT_KINDS = FIRST_PAUSE + 5
"""Kinds of junctions up to a pause of 45 s; a longer one is believed only where another account's row spans it."""
BY_KIND = np.array([0.7, 0.5, 0.3, 0.4, 0.1, 0.05, 0.03, 0.01, 0.004, 0.002, 0.001])
"""Prior probability that a row goes on with the call before it: together, inside, after a pause of each class."""
LATER = (300.0, 1200.0)
"""Seconds after a row in which other calls of its block are counted."""
FEWEST = 8
"""Overlaps that make a habit."""
SPARE = 3.0
"""How many times as often as usual calls may overlap by chance."""
MOST = 0.9995
SURE = 0.9999
"""Probability within a family."""
IMPOSSIBLE = -1e3
"""Nats."""


def prior() -> Floats:
    """By class of junction."""
    one = np.arange(CLASSES)
    kind, before_talked, talked, same_line = one // 8, one // 4 % 2 == 1, one // 2 % 2 == 1, one % 2 == 1
    overlaps = kind < FIRST_PAUSE
    share = BY_KIND[kind] * np.where(before_talked & ~overlaps, 0.4, 1.0)
    share *= np.where((kind == INSIDE_KIND) & before_talked & talked, 0.1, 1.0)
    share *= np.where(same_line, 1.0, np.where(overlaps, 0.8, 0.3))
    found: Floats = np.clip(share, 1e-3, 0.9)
    return found


def floor(rows: Rows) -> Floats:
    """The least probability of each class, by the account's own rows.

    Calls that have nothing to do with each other begin together or within each other no oftener than they follow each
    other in the next quarter of an hour.
    """
    least = np.zeros(CLASSES)
    if not len(rows):
        return least
    i, j = near(rows, rows, *LATER)
    rate = (i.size + 1) / (LATER[1] - LATER[0])
    talked = float((rows.talked.sum() + 1) / (len(rows) + 2))
    same_line = float(((rows.own[i] == rows.own[j]).sum() + 1) / (i.size + 2))
    counted = np.bincount(rows.junction[rows.junction >= 0], minlength=CLASSES)
    for one in np.flatnonzero(counted[: 8 * INSIDE_KIND] >= FEWEST).tolist():
        window = TOGETHER if one // 8 == TOGETHER_KIND else SOON + 2 * SAME_END
        share = talked if one // 4 % 2 else 1 - talked
        share *= talked if one // 2 % 2 else 1 - talked
        share *= same_line if one % 2 else 1 - same_line
        least[one] = np.clip(1.0 - SPARE * rate * window * share / counted[one], 0.0, MOST)
    return least


def joined(rows: Rows, habit: Floats) -> Floats:
    """The probability that each row goes on with the call of the one before it."""
    usual = np.where(rows.junction >= 0, habit[np.maximum(rows.junction, 0)], 0.0)
    return np.where(rows.certain, SURE, usual)


def is_short(rows: Rows) -> Bools:
    """Junctions that need no other account to be believed."""
    found: Bools = rows.certain | ((rows.junction >= 0) & (rows.junction // 8 < SHORT_KINDS))
    return found


class Runs(NamedTuple):
    """Of the run of p + 1 rows from each row on, by [p, row]: what a call would be that takes just these."""

    may: Bools
    short: Bools
    """No junction in it needs another account."""
    start: Floats
    """The mean of the rows that begin together with the first."""
    end: Floats
    outcome: Ints
    """The best one."""
    talk: Floats
    """Added where a row comes after the others; the longer one counts where rows lie beside each other."""
    duration: Floats
    total: Floats


assert BY_KIND.size == KINDS


def runs(rows: Rows) -> Runs:
    size, known = len(rows), rows.known_end
    first = (np.ones(size, bool), np.ones(size, bool), rows.start, rows.end, rows.outcome, rows.talk, rows.duration)
    found, short, at_once = [first], is_short(rows), np.ones(size)
    while len(found) < MOST_ROWS and size:
        at = np.arange(size) + len(found)
        inside, at = at < size, np.minimum(at, size - 1)
        may, was_short, start, end, outcome, talk, duration = found[-1]
        may = may & inside & (rows.junction[at] >= 0)
        if not may.any():
            break
        after = rows.start[at] >= end - INSIDE
        together = rows.start[at] - rows.start <= TOGETHER
        at_once = at_once + together
        found.append((
            may,
            was_short & short[at],
            start + np.where(together, (rows.start[at] - start) / at_once, 0.0),
            np.fmax(end, rows.end[at]),
            np.minimum(outcome, rows.outcome[at]),
            _longer(talk, rows.talk[at], after),
            _longer(duration, rows.duration[at], after),
        ))  # fmt: skip
    may, was_short, start, end, outcome, talk, duration = (np.array(column) for column in zip(*found, strict=True))
    return Runs(may, was_short, start, end, outcome, talk, duration, np.where(known, end - rows.start, np.nan))


def _longer(so_far: Floats, more: Floats, after: Bools) -> Floats:
    return np.where(after, np.where(np.isnan(more), so_far, so_far + more), np.fmax(so_far, more))
