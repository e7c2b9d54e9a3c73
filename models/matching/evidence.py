"""How much speaks for two records being one call: log-likelihood ratios in nats, part by part.

The alternative is always that they are two calls of which each account holds only its own: how soon two calls of the
same numbers follow each other is learnt too, so that a gap of a minute says more of a rare number's call than of a
redialled one's.
"""

from typing import NamedTuple

import numpy as np

from models.matching.calibration import LAGS, MOST, Calibration
from models.matching.candidates import RULES, Edges, Rule
from models.matching.measures import Readings
from models.matching.records import Chosen, Floats, Ints, Records


class Evidence(NamedTuple):
    """Nats, by edge."""

    prior: Floats
    """From how often both accounts hold a call, and how the pair was found."""
    start: Floats
    length: Floats
    """From ends or durations, whichever tells more between these accounts."""
    outcome: Floats
    direction: Floats

    @property
    def score(self) -> Floats:
        return self.prior + self.start + self.length + self.outcome + self.direction

    def only(self, chosen: Chosen) -> "Evidence":
        return Evidence(*(part[chosen] for part in self))


def weigh(records: Records, readings: Readings, edges: Edges, known: Calibration) -> Evidence:
    return Evidence(
        prior=_prior(known)[edges.rule],
        start=_start(edges, known),
        length=_length(readings, edges, known),
        outcome=_said(records["outcome"], edges, known.outcome),
        direction=_said(records["direction"], edges, known.direction),
    )


def _prior(known: Calibration) -> Floats:
    """Both hold it, against each holding only its own."""
    left, right = np.clip(known.coverage, 0.02, 0.98)
    both = np.log(np.sqrt(left * right)) - np.log((1 - left) * (1 - right))
    share = {Rule.NUMBERS: 1 - known.forwarded, Rule.REMOTE: known.forwarded}
    return np.array([both + np.log(share.get(rule, 1.0)) for rule in RULES])


def _start(edges: Edges, known: Calibration) -> Floats:
    lag = np.clip(np.searchsorted(LAGS, np.abs(edges.gap), "right") - 1, 0, LAGS.size - 2)
    parts = np.zeros(edges.size)
    for rule, density in known.starts.items():
        chosen = edges.rule == RULES.index(rule)
        parts[chosen] = density.log(edges.gap[chosen]) - np.log(known.chance[rule][lag[chosen]])
    return parts


def _length(readings: Readings, edges: Edges, known: Calibration) -> Floats:
    apart, length, told = readings.compare(known.measure, edges.left, edges.right, known.track)
    talked = readings.talked[edges.left].astype(int)
    parts = np.zeros(edges.size)
    for kind in (0, 1):
        chosen = told & (talked == kind)
        parts[chosen] = known.same[kind].log(apart[chosen]) - known.different[kind].log(length[chosen])
    clipped: Floats = np.clip(parts, -3 * MOST, 3 * MOST)
    return clipped


def _said(words: Ints, edges: Edges, table: Floats) -> Floats:
    clipped: Floats = np.clip(table[words[edges.left], words[edges.right]], -MOST, MOST)
    return clipped
