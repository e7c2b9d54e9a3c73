"""From records and what is known of their accounts to real calls: every stage in its order, on one closed set."""

from typing import NamedTuple

import numpy as np

from models.calibration.columns import Bools, Floats, Ints, Records
from models.matching.closed import Closed, blocks_of
from models.matching.combine import combine
from models.matching.judgements import Judgements
from models.matching.legs import Legs, roots
from models.matching.links import Evidence
from models.matching.pairing import RULES, Pairs, Rule, Within, Words, joined, pair

CAREFUL = 0.95
"""The probability from which a pair is joined, unless another one is asked for."""
RIVAL = 0.1
"""Probability from which what was not joined is named as a rival."""


class Matches(NamedTuple):
    """Pairs of roots of different accounts held to be one call, by position."""

    left: Ints
    right: Ints
    rule: Ints
    probability: Floats
    evidence: Evidence


class Decision(NamedTuple):
    legs: Legs
    call: Ints
    """Of each record, the id of its real call: the smallest id of its members."""
    matches: Matches
    rivals: tuple[Ints, Ints]
    """Pairs of undecided records and what they might be one with, by position, both ways round."""
    block: Ints
    """Of each record, the number of its block: nothing outside it had a say."""
    confidence: Floats
    """Of each record's real call: the probability that all its records are of one call, as its weakest member's."""


def decide(held: Closed, was: Ints | None = None, join: float = CAREFUL) -> Decision:
    """Which records are one call; `join` is the probability from which they are.

    `was` names the real call each record is in so far, 0 for none: it has no say and widens the blocks.
    """
    records = held.records
    pairs, within = _paired(held)
    place = combine(held, pairs, within, join)
    legs = roots(records, place)
    matches = _matches(records, place, legs, pairs, held.said)
    return Decision(
        legs=legs,
        call=_smallest(records["id"], place),
        matches=matches,
        rivals=_rivals(records, place, pairs),
        block=blocks_of(held, was),
        confidence=_confidence(place, pairs, within, held),
    )


def _paired(held: Closed) -> tuple[Pairs, Within]:
    words = _words(held)
    found = [pair(held.sides(accounts), known, held.lines, words) for accounts, known in held.learnt]
    none, empty = np.empty(0, np.int64), np.empty(0)
    nothing = Pairs(none, none, none, empty, Evidence(*(empty,) * 6))
    within = [Within(none, none, empty, none == 0), *(one.within for one in found)]
    every = Within(*(np.concatenate(column) for column in zip(*within, strict=True)))
    return joined([nothing, *(one.pairs for one in found)]), _agreed(every, len(held.records))


def _agreed(within: Within, size: int) -> Within:
    """Each pair once: where accounts hold a call beside both rows, the mean of what they say, else the greatest."""
    keys, place = np.unique(within.left * size + within.right, return_inverse=True)
    share = np.clip(within.probability, 1e-4, 1 - 1e-4)
    nats = np.log(share / (1 - share))
    informed = np.bincount(place, within.informed, keys.size)
    mean = np.bincount(place, nats * within.informed, keys.size) / np.maximum(informed, 1)
    most = np.full(keys.size, -np.inf)
    np.maximum.at(most, place, nats)
    said = np.where(informed > 0, mean, most)
    return Within(keys // size, keys % size, 1 / (1 + np.exp(-said)), informed > 0)


def _words(held: Closed) -> Words | None:
    if not held.said.sets:
        return None
    size = len(held.records)
    sets: dict[int, list[int]] = {}
    for one, lowest in held.said.sets.items():
        sets.setdefault(lowest, []).append(one)
    same = [(a, b) for members in sets.values() for a in members for b in members if a != b]
    barred = [
        pair
        for one, other in held.said.barred
        for a in sets.get(one, [one])
        for b in sets.get(other, [other])
        for pair in ((a, b), (b, a))
    ]
    keys = [np.array(sorted(a * size + b for a, b in found), np.int64) for found in (same, barred)]
    return Words(keys[0], keys[1], size)


def _smallest(ids: Ints, group: Ints) -> Ints:
    order = np.lexsort((ids, group))
    _, first, inverse = np.unique(group[order], return_index=True, return_inverse=True)
    found = np.empty_like(ids)
    found[order] = ids[order][first[inverse]]
    return found


# ----------------------------------------------------------------------------------------------------------- matches
def _matches(records: Records, place: Ints, legs: Legs, pairs: Pairs, said: Judgements) -> Matches:
    """All pairs of roots of one real call, with the evidence for each."""
    is_root = legs.root == np.arange(legs.root.size)
    roots_ = np.flatnonzero(is_root)
    order = roots_[np.lexsort((records["account"][roots_], place[roots_]))]
    left, right = [], []
    for step in range(1, len(np.unique(records["account"])) + 1):
        same = place[order[:-step]] == place[order[step:]]
        left.append(order[:-step][same])
        right.append(order[step:][same])
    one, other = (np.concatenate(side) if side else np.empty(0, np.int64) for side in (left, right))
    at, direct = _found(pairs, one, other, legs.root.size)
    rule = np.where(direct, pairs.rule[at] if pairs.rule.size else 0, RULES.index(Rule.TRANSITIVE))
    rule = np.where(_judged(one, other, said), RULES.index(Rule.VERDICT), rule)
    parts = [np.where(direct, part[at], 0.0) if pairs.rule.size else np.zeros(one.size) for part in pairs.evidence]
    probability = np.where(direct, pairs.probability[at], 0.5) if pairs.rule.size else np.full(one.size, 0.5)
    return Matches(one, other, rule, probability, Evidence(*parts))


def _judged(left: Ints, right: Ints, said: Judgements) -> Bools:
    """Pairs that a person said are one call."""
    if not said.sets:
        return np.zeros(left.size, bool)
    ends = zip(left.tolist(), right.tolist(), strict=True)
    return np.array([said.set_of(one) == said.set_of(other) for one, other in ends], bool)


def _found(pairs: Pairs, left: Ints, right: Ints, size: int) -> tuple[Ints, Bools]:
    """Where each pair of records stands among the pairs, and whether it does."""
    if not pairs.left.size:
        return np.zeros(left.size, np.int64), np.zeros(left.size, bool)
    keys = pairs.left * size + pairs.right
    order = np.argsort(keys, kind="stable")
    wanted = left * size + right
    at = order[np.minimum(np.searchsorted(keys[order], wanted), keys.size - 1)]
    return at, keys[at] == wanted


def _rivals(records: Records, place: Ints, pairs: Pairs) -> tuple[Ints, Ints]:
    """What might be one call with a record that has none of that account in its call."""
    account = records["account"].astype(np.int64)
    apart = (pairs.probability >= RIVAL) & (place[pairs.left] != place[pairs.right])
    one, other = pairs.left[apart], pairs.right[apart]
    holds = np.unique(place * 4096 + account)
    open_ = ~np.isin(place[one] * 4096 + account[other], holds) | ~np.isin(place[other] * 4096 + account[one], holds)
    one, other = one[open_], other[open_]
    return np.concatenate([one, other]), np.concatenate([other, one])


def _confidence(place: Ints, pairs: Pairs, within: Within, held: Closed) -> Floats:
    """Each record is as sure as its best pair in the call; the call is as sure as its weakest record."""
    size = place.size
    best = np.zeros(size)
    for one, other, sure in (
        (pairs.left, pairs.right, pairs.probability),
        (within.left, within.right, within.probability),
    ):
        same = place[one] == place[other]
        np.maximum.at(best, one[same], sure[same])
        np.maximum.at(best, other[same], sure[same])
    fellows = np.bincount(held.family, minlength=size)[held.family] > 1
    named = np.isin(np.arange(size), np.array(sorted(held.said.sets), np.int64))
    alone = np.bincount(place, minlength=size)[place] == 1
    best[fellows | named | alone] = 1.0
    weakest = np.ones(size)
    np.minimum.at(weakest, place, best)
    return weakest[place]
