"""Which records of two accounts may be one call: each pair with the rule that found it."""

from enum import StrEnum
from typing import NamedTuple

import numpy as np

from models.matching.clock import Track
from models.matching.joins import near
from models.matching.records import SECOND, Chosen, Floats, Ints, Records, pair_keys, spread_hash

REACH = 300.0
"""Seconds around the calibrated start: setting up a call, ringing and passing it on take no longer."""


class Rule(StrEnum):
    NUMBERS = "numbers"  # the same two numbers, whichever way round
    REMOTE = "remote"  # the same other party, through another number of ours
    OWN = "own"  # the same number of ours, and one side does not know the other party
    TRANSITIVE = "transitive"  # both are one call with a third
    VERDICT = "verdict"  # a person said so


RULES = list(Rule)


class Edges(NamedTuple):
    """Pairs of positions of records, left of the lower account; `gap` in seconds after calibration."""

    left: Ints
    right: Ints
    rule: Ints
    gap: Floats

    @property
    def size(self) -> int:
        return int(self.left.size)

    def only(self, chosen: Chosen) -> "Edges":
        return Edges(self.left[chosen], self.right[chosen], self.rule[chosen], self.gap[chosen])


def joined(all_edges: list[Edges]) -> Edges:
    if not all_edges:
        none = np.empty(0, np.int64)
        return Edges(none, none, none, np.empty(0))
    left, right, rule, gap = (np.concatenate(columns) for columns in zip(*all_edges, strict=True))
    return Edges(left, right, rule, gap)


def candidates(
    records: Records, sides: tuple[Ints, Ints], track: Track, *, reach: float = REACH, own_reach: float | None = None
) -> Edges:
    """Pairs of the records at the positions `sides`; those by the own number alone only within `own_reach`."""
    left, right = sides
    one, other = records[left], records[right]
    times = one["started"], track.corrected(other["started"])
    numbers = _pairs(Rule.NUMBERS, (pair_keys(one), pair_keys(other)), times, reach)
    remote = _pairs(Rule.REMOTE, (one["remote"], other["remote"]), times, reach)
    pairs = pair_keys(one), pair_keys(other)
    remote = remote.only((pairs[0][remote.left] != pairs[1][remote.right]) | (pairs[0][remote.left] == 0))
    found = [numbers, remote]
    if own_reach:
        found += _by_own(one, other, times, own_reach)
    edges = joined(found)
    return edges._replace(left=left[edges.left], right=right[edges.right])


def _by_own(one: Records, other: Records, times: tuple[Ints, Ints], reach: float) -> list[Edges]:
    """Hidden on the left against all on the right, and known on the left against hidden on the right."""
    hidden = [np.where(side["remote"] == 0, side["own"], 0) for side in (one, other)]
    known = np.where(one["remote"] != 0, one["own"], 0)
    keys = [(hidden[0], other["own"]), (known, hidden[1])]
    return [_pairs(Rule.OWN, pair, times, reach) for pair in keys]


def _pairs(rule: Rule, keys: tuple[Ints, Ints], times: tuple[Ints, Ints], reach: float) -> Edges:
    left, right = near(keys, times, int(reach * SECOND))
    gap = (times[1][right] - times[0][left]) / SECOND
    return Edges(left, right, np.full(left.size, RULES.index(rule)), gap)


def neighbours(records: Records, keys: Ints, root: Ints) -> Floats:
    """Distances in seconds between different calls of one account with the same key, each pair twice."""
    keys = np.where(keys != 0, keys ^ spread_hash(records["account"].astype(np.int64)), 0)
    left, right = near((keys, keys), (records["started"], records["started"]), int(REACH * SECOND))
    different = root[left] != root[right]
    distances: Floats = np.abs(records["started"][left] - records["started"][right])[different] / SECOND
    return distances
