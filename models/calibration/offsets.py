"""How one account's clock stands against the other's, before anything else is known: an offset with drift and steps.

The gaps of starts of all pairs of a block, however far apart: those of the same calls agree, all others lie anywhere.
First the offset where far more of them stand than about it; then, stretch by stretch, the path of offsets that leaves
most pairs near it, where a change costs: a step, a wrong hour or a change of the clocks comes out as one.
"""

from typing import NamedTuple

import numpy as np

from models.calibration.blocks import Rows, near
from models.calibration.clock import Track
from models.calibration.columns import SECOND, Floats, Ints

FARTHEST = 54_000.0
"""Seconds: a time zone and a half."""
MOST_PARTNERS = 80
"""A row with more partners than this within the widest search says nothing of the clock."""
WIDTHS = (4.0, 20.0, 70.0)
AROUND = 900.0
"""Seconds on either side whose pairs tell how many stand there by chance."""
SURE, SURE_IN_STRETCH = -14.0, -9.0
"""Log of the chance below which pairs of one offset are no accident."""
STRETCH = 70
"""Rows."""
SMALL_CHANGE, CHANGE = 2.0, 8.0
"""What a change of the offset costs, in nats."""


class Found(NamedTuple):
    track: Track
    width: float
    """Seconds about the track in which the pairs of one offset stand."""


class _Pairs(NamedTuple):
    left: Ints
    right: Ints
    gap: Floats


def find(a: Rows, b: Rows) -> Found | None:
    """None where no offset stands out."""
    pairs = _pairs(a, b)
    if not pairs.gap.size:
        return None
    best = _mode(a, b, pairs)
    if best is None:
        return None
    offset, width = best
    return Found(_stepped(b, pairs, offset, max(width, 8.0)), width)


def log_tail(count: Floats | Ints, expected: Floats | float) -> Floats:
    """Log of the chance of so many or more where `expected` are usual (Chernoff's bound for Poisson)."""
    count, expected = np.asarray(count, float), np.asarray(expected, float)
    bound = count - expected - count * np.log(np.maximum(count, 1e-9) / expected)
    return np.where(count <= expected, 0.0, bound)


def _pairs(a: Rows, b: Rows) -> _Pairs:
    calm_a, calm_b = a.only(~a.storm), b.only(~b.storm)
    i, j = near(calm_a, calm_b, -FARTHEST, FARTHEST)
    few = np.bincount(i, minlength=len(calm_a))[i] <= MOST_PARTNERS
    i, j = np.flatnonzero(~a.storm)[i[few]], np.flatnonzero(~b.storm)[j[few]]
    return _Pairs(i, j, b.start[j] - a.start[i])


def _mode(a: Rows, b: Rows, pairs: _Pairs) -> tuple[float, float] | None:
    """Offset and width: of all gaps, or of those with an equal length; the narrowest width that says nearly as much."""
    tried = [found for part in _subsets(a, b, pairs) for found in _peaks(np.sort(part))]
    best = min((chance for chance, _, _ in tried), default=0.0)
    if best > SURE:
        return None
    width, _, offset = min(
        (width, chance, gap) for chance, width, gap in tried if chance < SURE and chance <= 0.4 * best
    )
    return offset, width


def _subsets(a: Rows, b: Rows, pairs: _Pairs) -> list[Floats]:
    found = [pairs.gap]
    for one in ("total", "talk", "duration"):
        for other in ("total", "talk", "duration"):
            left, right = a.reading(one)[pairs.left], b.reading(other)[pairs.right]
            with np.errstate(invalid="ignore"):
                equal = (left > 3) & (np.abs(left - right) <= 1.5 + 0.01 * left)
            found.append(pairs.gap[equal])
    return found


def _peaks(gaps: Floats) -> list[tuple[float, float, float]]:
    """Log of chance, width and middle of the densest stretch of gaps, by width."""
    found = []
    for width in WIDTHS if gaps.size else ():
        count = np.searchsorted(gaps, gaps + width, "right") - np.arange(gaps.size)
        chance = log_tail(count, _expected(gaps, gaps, count, width, 0.02)) + np.log(gaps.size + 1)
        at = int(np.argmin(chance))
        found.append((float(chance[at]), width, float(np.median(gaps[at : at + count[at]]))))
    return found


def _expected(gaps: Floats, at: Floats, count: Ints, width: float, least: float) -> Floats:
    """How many gaps would stand in a stretch of `width` by chance: as many as around it, or anywhere."""
    around = np.searchsorted(gaps, at + AROUND, "right") - np.searchsorted(gaps, at - AROUND) - count
    everywhere = gaps.size * width / (2 * FARTHEST)
    found: Floats = np.maximum(around * width / (2 * AROUND), max(everywhere, least))
    return found


# ------------------------------------------------------------------------------------------------------------- steps
def _stepped(b: Rows, pairs: _Pairs, offset: float, width: float) -> Track:
    order = np.argsort(b.start, kind="stable")
    rank = np.empty(len(b), np.int64)
    rank[order] = np.arange(len(b))
    stretch = rank // STRETCH
    count = int(stretch.max()) + 1
    if count < 3:
        return _track(b.start[order], np.full(len(b), offset))
    of_pair = stretch[pairs.right]
    by_stretch = np.argsort(of_pair, kind="stable")
    bounds = np.searchsorted(of_pair[by_stretch], np.arange(1, count))
    parts = [np.sort(part) for part in np.split(pairs.gap[by_stretch], bounds)]
    peaks = _offsets(parts, offset, width)
    chosen = peaks[_path(parts, peaks, width)]
    at = chosen[np.arange(len(b)) // STRETCH]
    for s in np.flatnonzero(np.abs(np.diff(chosen)) > width) + 1:
        span = np.arange((int(s) - 1) * STRETCH, min((int(s) + 1) * STRETCH, len(b)))
        at[span] = _parted(pairs, rank, span, (chosen[s - 1], chosen[s], width))
    return _track(b.start[order], at)


def _offsets(parts: list[Floats], offset: float, width: float) -> Floats:
    """Offsets that stand out in some stretch, with the one of all."""
    found = [offset]
    for gaps in parts:
        if not gaps.size:
            continue
        count = np.searchsorted(gaps, gaps + width, "right") - np.arange(gaps.size)
        at = int(np.argmax(count))
        expected = _expected(gaps, gaps[at : at + 1], count[at : at + 1], width, 0.05)
        if count[at] >= 4 and log_tail(count[at], expected)[0] < SURE_IN_STRETCH:
            found.append(float(np.median(gaps[at : at + count[at]])))
    kept: list[float] = []
    for one in sorted(found):
        if not kept or one - kept[-1] > width / 2:
            kept.append(one)
    return np.array(kept)


def _path(parts: list[Floats], peaks: Floats, width: float) -> Ints:
    """Of each stretch the offset on the path that explains most (Viterbi)."""
    cost = np.where(np.abs(peaks[:, None] - peaks) <= 2 * width, SMALL_CHANGE, CHANGE)
    np.fill_diagonal(cost, 0.0)
    total, back = _explained(parts[0], peaks, width), []
    for gaps in parts[1:]:
        ways = total[:, None] - cost
        back.append(np.argmax(ways, axis=0))
        total = ways.max(axis=0) + _explained(gaps, peaks, width)
    path = [int(np.argmax(total))]
    for came in reversed(back):
        path.append(int(came[path[-1]]))
    return np.array(path[::-1], np.int64)


def _explained(gaps: Floats, peaks: Floats, width: float) -> Floats:
    reach = 0.75 * width
    count = np.searchsorted(gaps, peaks + reach, "right") - np.searchsorted(gaps, peaks - reach)
    return -log_tail(count, _expected(gaps, peaks, count, 2 * reach, 0.05))


def _parted(pairs: _Pairs, rank: Ints, span: Ints, change: tuple[float, float, float]) -> Floats:
    """The offset of each row of a span in which it changes: at the row that leaves most pairs near it."""
    old, new, width = change
    some = np.isin(rank[pairs.right], span)
    place, gap = rank[pairs.right][some] - span[0], pairs.gap[some]
    near_old, near_new = (np.bincount(place[np.abs(gap - one) <= width], minlength=span.size) > 0 for one in (old, new))
    at = int(np.argmax(np.concatenate([[0], np.cumsum(near_old)]) - np.concatenate([[0], np.cumsum(near_new)])))
    return np.where(np.arange(span.size) < at, old, new)


def _track(start: Floats, offset: Floats) -> Track:
    """Knots at both ends of each stretch of one offset."""
    change = np.flatnonzero(np.diff(offset) != 0)
    ends = np.unique(np.concatenate([[0, offset.size - 1], change, change + 1]))
    return Track(np.rint(start[ends] * SECOND).astype(np.int64), offset[ends])
