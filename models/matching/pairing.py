"""Two accounts decided: which records of both, and which rows of either, are one call, with what probability."""

from enum import StrEnum
from typing import NamedTuple

import numpy as np

from models.calibration.calibration import Calibration
from models.calibration.columns import Bools, Chosen, Floats, Ints
from models.calibration.habits import IMPOSSIBLE
from models.matching.leftovers import Settled, settle
from models.matching.links import Evidence, Links, Sides, is_crowded, links, weigh
from models.matching.segmentation import Aside, Posteriors, beside, solve

HEARD = 0.005
"""Probability below which a pair is not spoken of."""
CROWDED = 0.94
"""The most that is believed where several other calls begin at once."""
SAID = 60.0
"""Nats of a person's word."""


class Rule(StrEnum):
    NUMBERS = "numbers"  # the same two numbers, whichever way round
    REMOTE = "remote"  # the same other party, through another number of ours
    OWN = "own"  # the same number of ours, and one side does not know the other party
    FORWARD = "forward"  # a number of ours that one side was called at, the other was called by
    TIME = "time"  # a hidden caller on another line of ours
    TRANSITIVE = "transitive"  # both are one call with a third
    VERDICT = "verdict"  # a person said so


RULES = list(Rule)
_OF_STAGE = np.array([RULES.index(one) for one in (Rule.OWN, Rule.FORWARD, Rule.FORWARD, Rule.TIME)])


class Pairs(NamedTuple):
    """Pairs of records by position."""

    left: Ints
    right: Ints
    rule: Ints
    probability: Floats
    evidence: Evidence

    def only(self, chosen: Chosen) -> "Pairs":
        ends = self.left[chosen], self.right[chosen]
        return Pairs(*ends, self.rule[chosen], self.probability[chosen], self.evidence.only(chosen))


class Within(NamedTuple):
    """Pairs of records of one account that may be rows of one call."""

    left: Ints
    right: Ints
    probability: Floats
    informed: Bools
    """Whether the other account holds a call beside both."""


class Paired(NamedTuple):
    pairs: Pairs
    within: Within


class Words(NamedTuple):
    """What people said, as sorted keys of pairs of records: left * size + right."""

    same: Ints
    different: Ints
    size: int


def pair(sides: Sides, known: Calibration, lines: Ints, words: Words | None = None) -> Paired:
    if known.is_prior:
        return _nothing()
    found = links(sides)
    evidence = _with_words(sides, found, weigh(sides, found, known), words)
    said = solve(sides, found, evidence, known)
    by_link = _rows(sides, found, said, evidence)
    alone = tuple(
        np.bincount(of, by_link.probability, len(rows)) < 0.5
        for of, rows in ((by_link.left, sides.a), (by_link.right, sides.b))
    )
    crowded = is_crowded(sides.a, sides.b, (by_link.left, by_link.right), (alone[0], alone[1]), known)
    crowded |= sides.a.storm[by_link.left] | sides.b.storm[by_link.right]
    by_link = by_link._replace(
        probability=np.where(crowded, np.minimum(by_link.probability, CROWDED), by_link.probability)
    )
    stages = [_of_stage(one) for one in settle(sides, known, lines, (alone[0], alone[1]))]
    return Paired(_by_record(sides, joined([by_link, *stages])), _within(sides, found, said))


def joined(parts: list[Pairs]) -> Pairs:
    evidence = (np.concatenate(column) for column in zip(*(part.evidence for part in parts), strict=True))
    return Pairs(
        left=np.concatenate([part.left for part in parts]),
        right=np.concatenate([part.right for part in parts]),
        rule=np.concatenate([part.rule for part in parts]),
        probability=np.concatenate([part.probability for part in parts]),
        evidence=Evidence(*evidence),
    )


def _nothing() -> Paired:
    none, empty = np.empty(0, np.int64), np.empty(0)
    return Paired(Pairs(none, none, none, empty, Evidence(*(empty,) * 6)), Within(none, none, empty, none == 0))


def _with_words(sides: Sides, found: Links, evidence: Evidence, words: Words | None) -> Evidence:
    """A person's word about two rows, on every link that takes both."""
    if words is None or not (words.same.size or words.different.size):
        return evidence
    prior = evidence.prior.copy()
    for x in range(int(found.p.max(initial=0))):
        for y in range(int(found.q.max(initial=0))):
            both = np.flatnonzero((found.p > x) & (found.q > y))
            key = sides.a.at[found.i[both] + x] * words.size + sides.b.at[found.j[both] + y]
            prior[both] += np.where(np.isin(key, words.same), SAID, 0.0) + np.where(
                np.isin(key, words.different), IMPOSSIBLE, 0.0
            )
    return evidence._replace(prior=prior)


def _rows(sides: Sides, found: Links, said: Posteriors, evidence: Evidence) -> Pairs:
    """Pairs of rows with the sum over all links that take both; the likeliest link speaks for each."""
    heard = np.flatnonzero(said.link > HEARD)
    parts = []
    for x in range(int(found.p[heard].max(initial=0))):
        for y in range(int(found.q[heard].max(initial=0))):
            both = heard[(found.p[heard] > x) & (found.q[heard] > y)]
            parts.append((found.i[both] + x, found.j[both] + y, both, said.link[both]))
    for aside, along_a in ((said.aside_a, True), (said.aside_b, False)):
        parts.append(_not_of_run(found, aside, along_a=along_a))
    i, j, link, probability = (np.concatenate(column) for column in zip(*parts, strict=True))
    keys, place = np.unique(i * (len(sides.b) + 1) + j, return_inverse=True)
    total: Floats = np.clip(np.bincount(place, probability, keys.size), 0.0, 1.0).astype(float)
    order = np.lexsort((probability, place))
    best = link[order[np.searchsorted(place[order], np.arange(keys.size), "right") - 1]]
    i, j = keys // (len(sides.b) + 1), keys % (len(sides.b) + 1)
    same_line = found.same_line[best] == 1
    rule = np.where(same_line, RULES.index(Rule.NUMBERS), RULES.index(Rule.REMOTE))
    return Pairs(i, j, rule, total, evidence.only(best)).only(total > HEARD)


def _not_of_run(found: Links, aside: Aside, *, along_a: bool) -> tuple[Ints, Ints, Ints, Floats]:
    """What a row inside another call's run takes back."""
    size = (found.q if along_a else found.p)[aside.link]
    which = np.repeat(np.arange(size.size), size)
    inner = np.arange(which.size) - np.repeat(np.cumsum(size) - size, size)
    row, link = aside.row[which], aside.link[which]
    other = (found.j if along_a else found.i)[link] + inner
    return (row, other, link, -aside.probability[which]) if along_a else (other, row, link, -aside.probability[which])


def _of_stage(found: Settled) -> Pairs:
    return Pairs(found.i, found.j, _OF_STAGE[found.stage], found.probability, found.evidence).only(
        found.probability > HEARD
    )


def _by_record(sides: Sides, rows: Pairs) -> Pairs:
    return rows._replace(left=sides.a.at[rows.left], right=sides.b.at[rows.right])


def _within(sides: Sides, found: Links, said: Posteriors) -> Within:
    parts = []
    for rows, on, aside, (first, size) in (
        (sides.a, said.junction_a, said.aside_a, (found.i, found.p)),
        (sides.b, said.junction_b, said.aside_b, (found.j, found.q)),
    ):
        met = beside(first, size, said.link, len(rows)) > 0.5
        later = np.flatnonzero(rows.junction >= 0)
        parts.append((rows.at[later - 1], rows.at[later], on[later], met[later - 1] & met[later]))
        parts.append((rows.at[aside.row - 1], rows.at[aside.row + 1], aside.probability, aside.probability > 0))
    return Within(*(np.concatenate(column) for column in zip(*parts, strict=True)))
