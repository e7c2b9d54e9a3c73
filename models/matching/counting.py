"""Counting between two rounds of segmentation, each link as far as it is believed."""

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from models.calibration.blocks import CLASSES, Rows, near
from models.calibration.calibration import (
    BAND,
    FARTHEST,
    LAGS,
    MOST_LINES,
    WORDS,
    Calibration,
    Shares,
    line_keys,
)
from models.calibration.columns import DIRECTIONS, OUTCOMES, Floats, Ints
from models.calibration.density import Gaps, drawn
from models.calibration.habits import floor, joined, prior
from models.matching.gap_zones import Round, barred, spread, trusted
from models.matching.links import Sides, alike, lengths_of, word
from models.matching.segmentation import beside

RARE = 1.0
"""Pairs of words that both sides of a ratio begin with: words that were hardly seen say hardly anything."""
HASTE = 2.0
"""How many times its step in odds a habit moves: by single ones the rounds would end half-way."""
STRENGTH = 4
"""Junctions that a prior counts as."""
LEAST_SHARE = 0.003
EXAMPLES = 20.0
"""Calls that the densities' prior counts as at first."""
BELIEVED = 1e-3
HALF = 0.5
"""What whole minutes count for of lags, where the other account is finer."""


class Pair(NamedTuple):
    """Pairs of one call, each with its weight: words of either side, whether direction and line agree."""

    words: tuple[Ints, Ints]
    same_direction: Ints
    same_line: Ints
    weight: Floats


class Neighbours(NamedTuple):
    """How another call of the same block near a call is: what one call is weighed against."""

    rates: Floats
    """A second, by whether the earlier call talked, and lag."""
    outcomes: Floats
    """Nats, by two outcomes: how much oftener they are neighbours than chance would have it."""
    same_direction: float
    same_line: float


def first_guess(sides: Sides, i: Ints, j: Ints, known: Calibration) -> Calibration:
    """From the rows nearest to each other."""
    a, b = sides.a, sides.b
    one = np.ones(i.size)
    left, right = a.reading(known.readings[0])[i], b.reading(known.readings[1])[j]
    timed = (left > 0) & (right > 0)
    same_direction, same_line = alike(a, b, i, j)
    pairs = Pair((word(a.outcome[i], left), word(b.outcome[j], right)), same_direction, same_line, one)
    known = replace(
        known,
        has_ends=bool(np.mean(a.known_end) > 0.5 and np.mean(b.known_end) > 0.5),
        starts=Gaps.learnt(BAND + 1, b.start[j] - a.start[i], one, EXAMPLES),
        lengths=Gaps.learnt(FARTHEST, (right - left)[timed], one[timed], EXAMPLES),
        ends=Gaps.learnt(FARTHEST, (b.end[j] - a.end[i])[timed], one[timed], EXAMPLES),
        drawn=drawn(b.reading(known.readings[1]), b.talked),
        habits=(np.maximum(prior(), floor(a)), np.maximum(prior(), floor(b))),
    )
    other = neighbours(sides, joined(a, known.habits[0]), joined(b, known.habits[1]), known.coarse)
    return _with_tables(known, sides, pairs, other)


def counted(seen: Round) -> Calibration:
    """Everything counted again."""
    known, links, sides, zone = seen.known, seen.links, seen.sides, seen.zone
    without = barred(seen)
    weight = np.where(np.isin(zone, without), 0.0, seen.said.link)
    used = weight > BELIEVED
    left, right = lengths_of(sides, links, known.readings)
    with np.errstate(invalid="ignore"):
        timed = used & (left > 0) & (right > 0)
        equal = timed & (np.abs(right - left) <= 1.5 + 0.01 * left)
    placed = used & trusted(zone, weight)
    known = replace(
        known,
        starts=Gaps.learnt(BAND + 1, links.gap[placed], weight[placed]),
        spread=spread(links.gap, weight, equal),
        lengths=Gaps.learnt(FARTHEST, (right - left)[timed], weight[timed]),
        ends=Gaps.learnt(FARTHEST, links.ends[timed], weight[timed]),
        support=round(float(weight.sum())),
        barred=without,
        shares=_both_shares(seen, weight),
        habits=_both_habits(seen, weight),
    )
    words = word(links.outcome_a, left)[used], word(links.outcome_b, right)[used]
    pairs = Pair(words, links.same_direction[used], links.same_line[used], weight[used])
    other = neighbours(sides, seen.said.junction_a, seen.said.junction_b, known.coarse)
    return _with_tables(known, sides, pairs, other)


# ------------------------------------------------------------------------------------------------------------ tables
def _with_tables(known: Calibration, sides: Sides, pairs: Pair, other: Neighbours) -> Calibration:
    """Log ratios of outcomes with lengths, of directions, of lines: of one call, against another call near it."""
    alone = []
    for rows, name in ((sides.a, known.readings[0]), (sides.b, known.readings[1])):
        count = np.bincount(word(rows.outcome, rows.reading(name)), minlength=WORDS) + 0.3
        alone.append(count / count.sum())
    places = pairs.words[0] * WORDS + pairs.words[1]
    together = np.bincount(places, pairs.weight, WORDS * WORDS).reshape(WORDS, WORDS)
    ratio = np.log((together + RARE) / (together.sum() * np.outer(*alone) + RARE))
    by_outcome = np.repeat(np.repeat(other.outcomes, 3, axis=0), 3, axis=1)
    return replace(
        known,
        rates=other.rates,
        outcomes=ratio - by_outcome,
        direction=_ratio(pairs.same_direction, pairs.weight, other.same_direction),
        line=_ratio(pairs.same_line, pairs.weight, other.same_line),
    )


def _ratio(same: Ints, weight: Floats, by_chance: float) -> Floats:
    share = float((weight[same == 1].sum() + 1) / (weight.sum() + 2))
    found: Floats = np.log([(1 - share) / (1 - by_chance), share / by_chance])
    return found


def neighbours(sides: Sides, on_a: Floats, on_b: Floats, coarse: tuple[bool, bool]) -> Neighbours:
    """From either account's own rows; two rows that are one call, by the junctions between them, do not count."""
    size = len(OUTCOMES)
    rates, together, alone = np.zeros((2, LAGS.size - 1)), np.zeros((size, size)), np.zeros(size)
    same_direction, same_line, held = 1.0, 0.6, 2.0
    for rows, on, blunt in ((sides.a, on_a, coarse == (True, False)), (sides.b, on_b, coarse == (False, True))):
        i, j, weight = _others(rows, on)
        rates = np.maximum(rates, (HALF if blunt else 1.0) * _rates(rows, i, j, weight))
        together += np.bincount(rows.outcome[i] * size + rows.outcome[j], weight, size * size).reshape(size, size)
        alone += np.bincount(rows.outcome, minlength=size)
        same_direction += float(weight[rows.direction[i] == rows.direction[j]].sum())
        same_line += float(weight[rows.own[i] == rows.own[j]].sum())
        held += float(weight.sum())
    share = (alone + 1) / (alone + 1).sum()
    apart, both = np.outer(share, share), (together + together.T) / 2
    ratio = np.log((both + 10 * apart) / (both.sum() + 10) / apart)
    return Neighbours(rates, ratio, same_direction / held, same_line / held)


def _others(rows: Rows, on: Floats) -> tuple[Ints, Ints, Floats]:
    """Pairs of rows of a block near each other, with the probability that they are two calls."""
    i, j = near(rows, rows, 0.0, LAGS[-1])
    i, j = i[i < j], j[i < j]
    so_far = np.cumsum(np.log(np.clip(on, 1e-9, 1.0)))
    return i, j, 1 - np.exp(so_far[j] - so_far[i])


def _rates(rows: Rows, i: Ints, j: Ints, weight: Floats) -> Floats:
    lag, found = rows.start[j] - rows.start[i], np.zeros((2, LAGS.size - 1))
    for talked in (0, 1):
        of = rows.talked == talked
        seen = np.histogram(lag[of[i]], LAGS, weights=weight[of[i]])[0]
        found[talked] = (seen + 0.5) / np.diff(LAGS) / max(int(of.sum()), 1)
    return found


# ---------------------------------------------------------------------------------------------------- shares, habits
def _both_shares(seen: Round, weight: Floats) -> tuple[Shares, Shares]:
    links, sides = seen.links, seen.sides
    return (
        _shares(sides.a, np.bincount(links.i, weight, len(sides.a)).astype(float), seen.said.junction_a),
        _shares(sides.b, np.bincount(links.j, weight, len(sides.b)).astype(float), seen.said.junction_b),
    )


def _shares(rows: Rows, met: Floats, junction: Floats) -> Shares:
    """Of its calls the share that the other account holds, by line and direction."""
    keys, line = np.unique(line_keys(rows), return_inverse=True)
    total, held = (np.bincount(line, values, keys.size) for values in (1 - junction, met))
    assumed = 6 * (held.sum() + 1) / (total.sum() + 2)
    by_direction = [np.bincount(keys % 4, values, len(DIRECTIONS)) for values in (held, total)]
    usual = _clipped((by_direction[0] + assumed) / (by_direction[1] + 6))
    most = np.sort(np.argsort(-total, kind="stable")[:MOST_LINES])
    return Shares(keys[most], _clipped((held + assumed) / (total + 6))[most], usual)


def _clipped(share: Floats) -> Floats:
    found: Floats = np.clip(share, LEAST_SHARE, 1 - LEAST_SHARE)
    return found


def _both_habits(seen: Round, weight: Floats) -> tuple[Floats, Floats]:
    links, sides, said = seen.links, seen.sides, seen.said
    met_a = beside(links.i, links.p, weight, len(sides.a))
    met_b = beside(links.j, links.q, weight, len(sides.b))
    return (
        _habit(sides.a, met_a, said.junction_a, seen.known.habits[0]),
        _habit(sides.b, met_b, said.junction_b, seen.known.habits[1]),
    )


def _habit(rows: Rows, met: Floats, junction: Floats, before: Floats) -> Floats:
    """From the junctions beside a call that the other account holds too."""
    near_call = np.maximum(met, np.concatenate([[0.0], met[:-1]])) > 0.5
    counts = (rows.junction >= 0) & ~rows.certain & near_call
    classes = rows.junction[counts]
    seen = np.bincount(classes, junction[counts], CLASSES).astype(float)
    held = np.bincount(classes, minlength=CLASSES).astype(float)
    least = floor(rows)
    learnt = (seen + STRENGTH * _pooled(seen, held, np.maximum(prior(), least))) / (held + STRENGTH)
    return np.clip(_hastened(before, learnt), np.maximum(least, 1e-4), 0.999)


def _hastened(before: Floats, learnt: Floats) -> Floats:
    old, new = (np.log(one / (1 - one)) for one in (np.clip(before, 1e-4, 0.999), np.clip(learnt, 1e-4, 0.999)))
    found: Floats = 1 / (1 + np.exp(-(old + HASTE * (new - old))))
    return found


def _pooled(seen: Floats, held: Floats, assumed: Floats) -> Floats:
    """What is assumed of each class, moved as all classes of its kind together say."""
    kind = np.arange(assumed.size) // 8
    expected, found = (np.bincount(kind, values) for values in (held * assumed, seen))
    return np.clip(assumed * ((found + 2) / (expected + 2))[kind], 1e-4, 0.97)
