"""Links: a run of rows of A against a run of rows of B that may be one call, with what speaks for each."""

from typing import NamedTuple

import numpy as np

from models.calibration.blocks import Rows, near
from models.calibration.calibration import BAND, LAGS, Calibration, zones
from models.calibration.columns import TALKED, Bools, Chosen, Floats, Ints
from models.calibration.density import drawn_at
from models.calibration.habits import IMPOSSIBLE, Runs, joined, runs

STORM_BAND = 15.0
"""Seconds: rows of a storm are looked for only so near."""
CROWD_REACH = 300.0
"""Seconds around a start within which rows of the block say how crowded it is there."""
FAR_ENDS = 90.0
"""Seconds: where a run waits long without a row, the two ends may differ by no more."""
LEAST = -12.0
"""Nats that one length may speak against."""


class Links(NamedTuple):
    """`i`, `j`: first rows; `p`, `q`: how many rows of A and of B."""

    i: Ints
    j: Ints
    p: Ints
    q: Ints
    gap: Floats
    """Seconds from A's start to B's, by one clock: the means of the rows that begin together."""
    first_gap: Floats
    """The same of the first rows: of several that begin together either may be what the other account saw."""
    ends: Floats
    outcome_a: Ints
    outcome_b: Ints
    same_direction: Ints
    same_line: Ints
    crowd: Ints
    """Rows of B in the block near A's start."""

    def only(self, chosen: Chosen) -> "Links":
        return Links(*(part[chosen] for part in self))  # type: ignore[arg-type]  # every part is a column


class Sides(NamedTuple):
    """Two accounts' rows by one clock, and their runs."""

    a: Rows
    b: Rows
    runs_a: Runs
    runs_b: Runs

    @classmethod
    def of(cls, a: Rows, b: Rows) -> "Sides":
        return cls(a, b, runs(a), runs(b))


class Evidence(NamedTuple):
    """Nats, by link: what speaks for one call, against its rows being calls that each account holds alone."""

    prior: Floats
    start: Floats
    length: Floats
    outcome: Floats
    direction: Floats
    """Of direction and line."""
    run: Floats
    """From the habits of either account to write several rows of a call."""

    @property
    def score(self) -> Floats:
        return self.prior + self.start + self.length + self.outcome + self.direction + self.run

    def only(self, chosen: Chosen) -> "Evidence":
        return Evidence(*(part[chosen] for part in self))


def links(sides: Sides) -> Links:
    """Every link within the band; of one side no more than two rows stand against several of the other."""
    a, b = sides.a, sides.b
    i, j = near(a, b, -BAND, BAND)
    gap = b.start[j] - a.start[i]
    kept = ~(a.storm[i] | b.storm[j]) | (np.abs(gap) < STORM_BAND)
    i, j, gap = i[kept], j[kept], gap[kept]
    crowd = np.bincount(near(a, b, -CROWD_REACH, CROWD_REACH)[0], minlength=len(a))
    found = [
        _of_size(sides, i, j, p, q)
        for p in range(len(sides.runs_a.may))
        for q in range(len(sides.runs_b.may))
        if min(p, q) < 2
    ]
    i, j, p, q = (np.concatenate(column) for column in zip(*found, strict=True))
    same_direction, _ = alike(a, b, i, j)
    return Links(
        i=i,
        j=j,
        p=p + 1,
        q=q + 1,
        gap=sides.runs_b.start[q, j] - sides.runs_a.start[p, i],
        first_gap=b.start[j] - a.start[i],
        ends=sides.runs_b.end[q, j] - sides.runs_a.end[p, i],
        outcome_a=sides.runs_a.outcome[p, i],
        outcome_b=sides.runs_b.outcome[q, j],
        same_direction=same_direction,
        same_line=_some_line(a, b, (i, j), (p, q)),
        crowd=crowd[i],
    )


def _of_size(sides: Sides, i: Ints, j: Ints, p: int, q: int) -> tuple[Ints, Ints, Ints, Ints]:
    one, other = sides.runs_a, sides.runs_b
    may = one.may[p][i] & other.may[q][j]
    if p or q:
        spanned = np.abs(other.end[q][j] - one.end[p][i]) <= FAR_ENDS
        may &= (one.short[p][i] & other.short[q][j]) | spanned
    kept = np.flatnonzero(may)
    return i[kept], j[kept], np.full(kept.size, p), np.full(kept.size, q)


def alike(a: Rows, b: Rows, i: Ints, j: Ints) -> tuple[Ints, Ints]:
    """Whether direction and line agree; of a call between two lines of ours each side writes it the other way round."""
    mirrored = (a.own[i] == b.remote[j]) & (a.remote[i] == b.own[j]) & (a.own[i] != a.remote[i]) & (a.own[i] != 0)
    same_direction = (a.direction[i] == b.direction[j]) ^ mirrored
    same_line = ((a.own[i] == b.own[j]) & (a.own[i] != 0)) | mirrored
    return same_direction.astype(np.int64), same_line.astype(np.int64)


def _some_line(a: Rows, b: Rows, first: tuple[Ints, Ints], beyond: tuple[Ints, Ints]) -> Ints:
    """Whether some row of one run names the line of some row of the other."""
    found = np.zeros(first[0].size, np.int64)
    for x in range(int(beyond[0].max(initial=0)) + 1):
        for y in range(int(beyond[1].max(initial=0)) + 1):
            both = np.flatnonzero((beyond[0] >= x) & (beyond[1] >= y) & (found == 0))
            if both.size:
                found[both] = alike(a, b, first[0][both] + x, first[1][both] + y)[1]
    return found


def word(outcome: Ints, length: Floats) -> Ints:
    """An outcome with its length: 0, above 0, not known."""
    return outcome * 3 + np.where(np.isnan(length), 2, np.where(length > 0, 1, 0))


def lengths_of(sides: Sides, found: Links, readings: tuple[str, str]) -> tuple[Floats, Floats]:
    one: Floats = getattr(sides.runs_a, readings[0])[found.p - 1, found.i]
    other: Floats = getattr(sides.runs_b, readings[1])[found.q - 1, found.j]
    return one, other


def weigh(sides: Sides, found: Links, known: Calibration) -> Evidence:
    a, b = sides.a, sides.b
    left, right = lengths_of(sides, found, known.readings)
    held_a, held_b = (share.of(rows) for share, rows in zip(known.shares, (a, b), strict=True))
    words = word(found.outcome_a, left), word(found.outcome_b, right)
    zone = zones(found.gap, known.spread)
    return Evidence(
        prior=np.log(held_a)[found.i] - np.log1p(-held_a)[found.i] - np.log1p(-held_b)[found.j],
        start=np.logaddexp(known.starts(found.gap), known.starts(found.first_gap))
        - np.log(2)
        - _by_chance(sides, found, known)
        + np.where(np.isin(zone, known.barred), IMPOSSIBLE, 0.0),
        length=_length(found, (left, right), known),
        outcome=known.outcomes[words],
        direction=known.direction[found.same_direction] + known.line[found.same_line],
        run=_within(gains(a, known, 0), found.i, found.p) + _within(gains(b, known, 1), found.j, found.q),
    )


def _by_chance(sides: Sides, found: Links, known: Calibration) -> Floats:
    """Log of how many rows of B a second stand so near a row of A without being its call: as calls of a block follow
    each other, or as crowded as it is just there.
    """
    earlier = np.where(found.gap > 0, sides.a.talked[found.i], sides.b.talked[found.j]).astype(int)
    lag = np.clip(np.searchsorted(LAGS, np.abs(found.gap), "right") - 1, 0, LAGS.size - 2)
    around = np.maximum(found.crowd - 1, 0) / (2 * CROWD_REACH)
    rate: Floats = np.log(np.maximum(known.rates[earlier, lag], around) + 1e-7)
    return rate


def _length(found: Links, lengths: tuple[Floats, Floats], known: Calibration) -> Floats:
    left, right = lengths
    fit = known.lengths(right - left)
    if known.has_ends:
        fit = np.logaddexp(fit, known.ends(found.ends)) - np.log(2)
    by_itself = drawn_at(known.drawn, right, TALKED[found.outcome_b])
    with np.errstate(invalid="ignore"):
        timed = (left > 0) & (right > 0)
    said = np.where(timed, np.maximum(fit - by_itself, LEAST), 0.0)
    # Of several rows against several the starts already give the span.
    return np.where((found.p > 1) & (found.q > 1), np.minimum(said, 0.0), said)


def gains(rows: Rows, known: Calibration, side: int) -> Floats:
    """Nats of each row going on with the call before it, against beginning one of its own."""
    on = joined(rows, known.habits[side])
    alone = np.log1p(-known.shares[side].of(rows))
    with np.errstate(divide="ignore"):
        gain = np.log(on) - np.log1p(-on) - alone
    found: Floats = np.maximum(gain, IMPOSSIBLE)
    return found


def _within(gain: Floats, first: Ints, size: Ints) -> Floats:
    """The sum over the junctions inside runs."""
    so_far = np.cumsum(gain)
    found: Floats = so_far[first + size - 1] - so_far[first] if gain.size else np.zeros(first.size)
    return found


def is_crowded(a: Rows, b: Rows, pairs: tuple[Ints, Ints], alone: tuple[Bools, Bools], known: Calibration) -> Bools:
    """Whether three or more other calls begin where the start of this one may be: there an order says little."""
    i, j = near(a, b, known.starts.quantile(0.01), known.starts.quantile(0.99))
    met = np.bincount(i[alone[1][j]], minlength=len(a))
    back = np.bincount(j[alone[0][i]], minlength=len(b))
    found: Bools = np.maximum(met[pairs[0]] - 1, 0) + np.maximum(back[pairs[1]] - 1, 0) >= 3
    return found
