"""Learning a calibration from two accounts' own records: nobody has to say which pairs are right."""

from dataclasses import replace

import numpy as np

from models.matching import clock
from models.matching.calibration import LAGS, PRIOR_FORWARDED, Calibration, prior
from models.matching.candidates import RULES, Edges, Rule, candidates, neighbours
from models.matching.density import Density
from models.matching.evidence import weigh
from models.matching.measures import MEASURES, NOTHING, Measure, Readings, rounding
from models.matching.records import OPEN, Floats, Ints, Records, lengths, pair_keys, spread_hash

ROUNDS = 4
RARE = 12
"""A number with more candidates than this within the widest search says nothing of the clock."""
FEWEST_MEASURED = 15
LEAST_GAIN = 0.2
"""Nats a pair, on average, below which a reading of durations is noise."""


def learn(records: Records, root: Ints, accounts: tuple[int, int], sampled: float = 1.0) -> Calibration:
    """The calibration of two accounts, or the prior where too few pairs are sure.

    `sampled` is the share of all telephone numbers that the records were chosen by.
    """
    learnt = learn_clock(records, root, accounts)
    if learnt is None:
        return prior()
    left, right = _calls(records, root, accounts)
    known = replace(prior(max(learnt.spread, 0.3)), track=learnt.track, spread=learnt.spread)
    known = replace(known, support=round(learnt.support), chance=_chance(records, root, accounts, sampled))
    readings = Readings(records)
    edges = candidates(records, (left, right), learnt.track)
    alone = _alone(edges)
    sure, contested = edges.only(alone), edges.only(np.setdiff1d(np.arange(edges.size), alone))
    for _ in range(ROUNDS):
        known = _round(records, readings, sure, known)
        believed = sure.only(weigh(records, readings, sure, known).score > 0)
        known = replace(known, coverage=_coverage(records, contested, believed, (left, right)))
    return replace(known, rounding=_rounding(records, left, right)).stored


def learn_clock(records: Records, root: Ints, accounts: tuple[int, int]) -> clock.Learnt | None:
    """How the clock of the second account goes against that of the first; None where too few pairs tell."""
    return clock.learn(_gaps(records, *_calls(records, root, accounts)))


def _calls(records: Records, root: Ints, accounts: tuple[int, int]) -> tuple[Ints, Ints]:
    """Positions of the calls of each account, legs left out."""
    is_root = root == np.arange(len(records))
    left, right = (np.flatnonzero((records["account"] == account) & is_root) for account in accounts)
    return left, right


def _gaps(records: Records, left: Ints, right: Ints) -> clock.Gaps:
    """Start gaps of records with the same numbers, however far apart; pairs of rare numbers count more."""
    edges = candidates(records, (left, right), clock.STILL, reach=clock.ZONE)
    edges = edges.only(edges.rule == RULES.index(Rule.NUMBERS))
    many = np.maximum(
        np.bincount(edges.left, minlength=len(records))[edges.left],
        np.bincount(edges.right, minlength=len(records))[edges.right],
    )
    rare = edges.only(many <= RARE)
    return clock.Gaps(records["started"][rare.right], rare.gap, 1.0 / np.sqrt(many[many <= RARE]))


def _alone(edges: Edges) -> Ints:
    """Positions of the edges whose two ends have no other, of one rule each."""
    only = [np.bincount(side)[side] == 1 for side in (edges.left, edges.right)]
    return np.flatnonzero(only[0] & only[1])


def _chance(records: Records, root: Ints, accounts: tuple[int, int], sampled: float) -> dict[Rule, Floats]:
    """How many different calls of the same key there are a second, by lag: the mean of both accounts."""
    chosen = np.flatnonzero(np.isin(records["account"], accounts) & (root == np.arange(len(records))))
    part, own_root = records[chosen], root[chosen]
    keys = {
        Rule.NUMBERS: (pair_keys(part), 1.0),
        Rule.REMOTE: (spread_hash(part["remote"]) * (part["remote"] != 0), 1.0),
        Rule.OWN: (part["own"], sampled),
    }
    counted = {rule: (neighbours(part, key, own_root), share) for rule, (key, share) in keys.items()}
    return {rule: _rates(lags, max(len(part), 1) * share) for rule, (lags, share) in counted.items()}


def _rates(lags: Floats, calls: float) -> Floats:
    """A second before or after a call; half a call is assumed where none was seen."""
    counts = np.histogram(lags, LAGS)[0]
    rates: Floats = (counts + 0.5) / (2 * np.diff(LAGS) * calls)
    return rates


def _round(records: Records, readings: Readings, sure: Edges, known: Calibration) -> Calibration:
    """Everything learnt again from the sure pairs, each as far as it is believed so far."""
    score = weigh(records, readings, sure, known).score
    belief = 1.0 / (1.0 + np.exp(-np.clip(score, -30, 30)))
    by_numbers = sure.rule == RULES.index(Rule.NUMBERS)
    measure = _best_measure(readings, sure, belief * by_numbers, known)
    same, different = _measured(readings, sure, belief * by_numbers, measure, known)
    return replace(
        known,
        starts=_starts(sure, belief, known),
        forwarded=_share_forwarded(belief, by_numbers),
        measure=measure,
        same=same,
        different=different,
        outcome=_table(records["outcome"], sure, belief, prior().outcome),
        direction=_table(records["direction"], sure, belief, prior().direction),
    )


def _share_forwarded(belief: Floats, by_numbers: Ints) -> float:
    held, all_held = (belief * ~by_numbers).sum(), belief.sum()
    return float(np.clip((held + 10 * PRIOR_FORWARDED) / (all_held + 10), 0.002, 0.5))


def _starts(sure: Edges, belief: Floats, known: Calibration) -> dict[Rule, Density]:
    near = Density.laplace(max(known.spread, 0.3))
    usual = sure.rule == RULES.index(Rule.NUMBERS)
    starts = Density.learnt(sure.gap[usual], belief[usual], near)
    late = Density.learnt(sure.gap[~usual], belief[~usual], Density.laplace(3 * max(known.spread, 2.0)))
    return {Rule.NUMBERS: starts, Rule.REMOTE: late, Rule.OWN: starts}


def _best_measure(readings: Readings, sure: Edges, belief: Floats, known: Calibration) -> Measure:
    """The reading of durations or ends that tells most between same and different calls, over all sure pairs."""
    gains = {measure: _gain(readings, sure, belief, measure, known) for measure in MEASURES}
    best = max(gains, key=lambda measure: gains[measure])
    return best if gains[best] > LEAST_GAIN * belief.sum() else NOTHING


def _gain(readings: Readings, sure: Edges, belief: Floats, measure: Measure, known: Calibration) -> float:
    apart, length, told = readings.compare(measure, sure.left, sure.right, known.track)
    if (belief * told).sum() < FEWEST_MEASURED:
        return 0.0
    same, different = _measured(readings, sure, belief, measure, known)
    talked = readings.talked[sure.left].astype(int)
    gain = 0.0
    for kind in (0, 1):
        chosen = told & (talked == kind)
        ratio = same[kind].log(apart[chosen]) - different[kind].log(length[chosen])
        gain += float((belief[chosen] * np.clip(ratio, -8, 8)).sum())
    return gain


def _measured(
    readings: Readings, sure: Edges, belief: Floats, measure: Measure, known: Calibration
) -> tuple[tuple[Density, Density], tuple[Density, Density]]:
    """How the measure differs for the same call, and for two calls: the right sides dealt out anew."""
    apart, _, told = readings.compare(measure, sure.left, sure.right, known.track)
    talked = readings.talked[sure.left]
    same, different = [], []
    for kind in (False, True):
        chosen = np.flatnonzero(told & (talked == kind))
        same.append(Density.learnt(apart[chosen], belief[chosen], Density.laplace(3.0)))
        left, right = sure.left[chosen], np.roll(sure.right[chosen], max(chosen.size // 3, 1))
        _, length, dealt = readings.compare(measure, left, right, known.track)
        weights = dealt * belief[chosen]
        different.append(Density.learnt(length, weights, Density.laplace(120.0 if kind else 30.0)))
    return (same[0], same[1]), (different[0], different[1])


def _table(words: Ints, sure: Edges, belief: Floats, assumed: Floats, strength: float = 20.0) -> Floats:
    """Log-likelihood ratios of two words: together in the same call, against each by itself."""
    size = assumed.shape[0]
    left, right = words[sure.left], words[sure.right]
    together = np.bincount(left * size + right, belief, size * size).reshape(size, size)
    alone = [np.bincount(side, minlength=size) + 1.0 for side in (left, right)]
    chance = np.outer(alone[0] / alone[0].sum(), alone[1] / alone[1].sum())
    expected = chance * np.exp(assumed)
    learnt = (together + strength * expected / expected.sum()) / (together.sum() + strength)
    ratio: Floats = np.log(learnt / chance)
    if size == OPEN.size:
        ratio[OPEN, :] = ratio[:, OPEN] = 0.0
    return ratio


def _coverage(records: Records, edges: Edges, held: Edges, sides: tuple[Ints, Ints]) -> tuple[float, float]:
    """Of the calls of each side, in the time that both cover, the share that the other holds.

    Only calls without a choice are counted; `held` are the pairs that are believed.
    """
    started = records["started"]
    shares = []
    for side, other, column in ((*sides, 0), (*sides[::-1], 1)):
        within = side[(started[side] >= started[other].min()) & (started[side] <= started[other].max())]
        mine = np.isin(within, held[column])
        contested = np.isin(within, edges[column]) & ~mine
        sure = max(within.size - contested.sum(), mine.sum())
        shares.append(float((mine.sum() + 1) / (sure + 2)))
    return shares[0], shares[1]


def _rounding(records: Records, left: Ints, right: Ints) -> tuple[int, int]:
    seconds = lengths(records)["duration"]
    return rounding(seconds[left]), rounding(seconds[right])
