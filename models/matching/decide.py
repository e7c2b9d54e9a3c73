"""From records and calibrations to real calls: every stage in its order, on one closed set of records."""

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np

from models.matching.blocks import Joined, join
from models.matching.calibration import Calibration
from models.matching.candidates import RULES, Edges, Rule, candidates, joined
from models.matching.evidence import Evidence, weigh
from models.matching.joins import components
from models.matching.legs import Legs, legs
from models.matching.measures import Readings
from models.matching.records import Chosen, Floats, Ints, Records
from models.matching.verdicts import NO_VERDICTS, Verdict, Verdicts, settle

Calibrations = Mapping[tuple[int, int], Calibration]
"""By two accounts, the lower first."""


class Matches(NamedTuple):
    """Pairs of roots held to be one call, by position."""

    left: Ints
    right: Ints
    rule: Ints
    margin: Floats
    """Nats by which the next best answer for the real call is worse."""
    evidence: Evidence


class Decision(NamedTuple):
    legs: Legs
    call: Ints
    """Of each record, the id of its real call: the smallest id of its members."""
    matches: Matches
    rivals: tuple[Ints, Ints]
    """Pairs of ambiguous roots and what they might be one with, by position, both ways round."""
    block: Ints
    """Of each record, the number of its block: nothing outside it had a say."""


class Likely(NamedTuple):
    """Pairs of roots for which more speaks than against, by position, each once with its best evidence."""

    left: Ints
    right: Ints
    rule: Ints
    score: Floats
    evidence: Evidence

    def only(self, chosen: Chosen) -> "Likely":
        ends = self.left[chosen], self.right[chosen]
        return Likely(*ends, self.rule[chosen], self.score[chosen], self.evidence.only(chosen))


def decide(
    records: Records, calibrations: Calibrations, verdicts: Iterable[Verdict] = (), was: Ints | None = None
) -> Decision:
    """Which records are one call. The records must be closed: hold all that any of them could be one with.

    `verdicts` come in the order of their weight; `was` names the real call each record is in so far, 0 for none: it has
    no say in the decision and widens the blocks.
    """
    grouped, said = _grouped(records, list(verdicts))
    likely = find(records, grouped, calibrations)
    by_own = likely.rule == RULES.index(Rule.OWN)
    order = sorted(calibrations, key=lambda pair: (calibrations[pair].spread, pair))
    state = Joined.apart(grouped.root, records["account"], order, said)
    for stage in (~by_own, by_own):
        part = likely.only(stage)
        state = join(state, part.left, part.right, part.score)
    return Decision(
        legs=grouped,
        call=_smallest(records["id"], state.unit[grouped.root]),
        matches=_matches(state, likely, said),
        rivals=state.rivals,
        block=_blocks(grouped, likely, said, was),
    )


def _grouped(records: Records, verdicts: list[Verdict]) -> tuple[Legs, Verdicts]:
    grouped = legs(records)
    if not verdicts:
        return grouped, NO_VERDICTS
    said = settle(verdicts, grouped.root)
    within = said.one_call(records["account"])
    if within[0].size:
        grouped = legs(records, within)
        said = settle(verdicts, grouped.root)
    return grouped, said


def find(records: Records, grouped: Legs, calibrations: Calibrations) -> Likely:
    """Every pair of calls with evidence for it; between calls of several records the best pair of records speaks."""
    readings = Readings(records)
    positions = {int(one): np.flatnonzero(records["account"] == one) for one in np.unique(records["account"])}
    found = [
        _weighed(records, readings, positions[one], positions[other], known)
        for (one, other), known in calibrations.items()
        if one in positions and other in positions
    ]
    edges = joined([edges for edges, _ in found])
    empty = Evidence(*(np.empty(0),) * 5)
    evidence = Evidence(*(np.concatenate(parts) for parts in zip(empty, *(one for _, one in found), strict=True)))
    return _best_of_calls(edges, evidence, grouped.root)


def _weighed(
    records: Records, readings: Readings, left: Ints, right: Ints, known: Calibration
) -> tuple[Edges, Evidence]:
    edges = candidates(records, (left, right), known.track, own_reach=known.own_reach)
    evidence = weigh(records, readings, edges, known)
    likely = evidence.score > 0
    return edges.only(likely), evidence.only(likely)


def _best_of_calls(edges: Edges, evidence: Evidence, root: Ints) -> Likely:
    """One row per pair of calls: a rule on numbers before the own number alone, then the greater score."""
    left, right, score = root[edges.left], root[edges.right], evidence.score
    by_own = edges.rule == RULES.index(Rule.OWN)
    order = np.lexsort((edges.rule, -score, by_own, right, left))
    repeated = np.zeros(order.size, bool)
    repeated[1:] = (left[order][1:] == left[order][:-1]) & (right[order][1:] == right[order][:-1])
    kept = order[~repeated]
    return Likely(left[kept], right[kept], edges.rule[kept], score[kept], evidence.only(kept))


def _smallest(ids: Ints, group: Ints) -> Ints:
    order = np.lexsort((ids, group))
    _, first, inverse = np.unique(group[order], return_index=True, return_inverse=True)
    found = np.empty_like(ids)
    found[order] = ids[order][first[inverse]]
    return found


def _matches(state: Joined, likely: Likely, said: Verdicts) -> Matches:
    """All pairs of calls that ended in one real call, with the evidence for each pair."""
    left, right = state.pairs()
    size = state.unit.size
    known = likely.left * size + likely.right
    wanted = np.minimum(left, right) * size + np.maximum(left, right)
    place, direct = _lookup(known, wanted)
    swapped, direct_swapped = _lookup(known, np.maximum(left, right) * size + np.minimum(left, right))
    place, direct = np.where(direct, place, swapped), direct | direct_swapped
    rule = np.full(left.size, RULES.index(Rule.TRANSITIVE))
    rule[direct] = likely.rule[place[direct]]
    judged = (
        np.array([said.set_of(int(a)) == said.set_of(int(b)) for a, b in zip(left, right, strict=True)], bool)
        if said.sets
        else np.zeros(left.size, bool)
    )
    rule[judged] = RULES.index(Rule.VERDICT)
    parts = []
    for part in likely.evidence:
        values = np.zeros(left.size)
        values[direct] = part[place[direct]]
        parts.append(values)
    return Matches(left, right, rule, state.margin[state.unit[left]], Evidence(*parts))


def _lookup(known: Ints, wanted: Ints) -> tuple[Ints, Ints]:
    """Where each wanted value stands among the known ones, and whether it does."""
    if not known.size:
        return np.zeros(wanted.size, np.int64), np.zeros(wanted.size, bool)
    order = np.argsort(known)
    place = np.clip(np.searchsorted(known, wanted, sorter=order), 0, known.size - 1)
    place = order[place]
    return place, known[place] == wanted


def blocks(records: Records, calibrations: Calibrations, verdicts: Iterable[Verdict], was: Ints) -> Ints:
    """The number of each record's block, without deciding anything."""
    grouped, said = _grouped(records, list(verdicts))
    return _blocks(grouped, find(records, grouped, calibrations), said, was)


def _blocks(grouped: Legs, likely: Likely, said: Verdicts, was: Ints | None) -> Ints:
    """Records that have a say in each other's decision, or were one call so far."""
    every = np.arange(grouped.root.size)
    together = np.array(sorted(said.sets.items()), np.int64).reshape(-1, 2).T
    company = _company(np.zeros(0, np.int64) if was is None else was)
    left = np.concatenate([every, likely.left, together[0], company[0]])
    right = np.concatenate([grouped.root, likely.right, together[1], company[1]])
    return components(every.size, left, right)


def _company(was: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(was, kind="stable")
    same = (was[order][1:] == was[order][:-1]) & (was[order][1:] != 0)
    return order[1:][same], order[:-1][same]
