"""Many small blocks at once: those with nothing to choose in one sweep, the others one by one."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import groupby
from operator import itemgetter

import numpy as np

from models.matching.assignment import MARGIN, Answer, Order, Scores, Unit, assign
from models.matching.joins import components
from models.matching.records import Bools, Floats, Ints
from models.matching.verdicts import NO_VERDICTS, Verdicts


@dataclass(frozen=True, slots=True)
class Joined:
    """How far calls have been joined into real calls; all by position."""

    account: Ints
    unit: Ints
    """Of each root, the lowest root of its real call; of other records themselves."""
    margin: Floats
    """Of each unit, nats to the next best answer."""
    rivals: tuple[Ints, Ints]
    verdicts: Verdicts
    roots: Ints
    order: Order

    @classmethod
    def apart(cls, root: Ints, account: Ints, order: Order, verdicts: Verdicts = NO_VERDICTS) -> "Joined":
        """Nothing joined yet but what people said."""
        unit = np.arange(root.size)
        for one, lowest in verdicts.sets.items():
            unit[one] = lowest
        none = np.empty(0, np.int64)
        roots = np.flatnonzero(root == np.arange(root.size))
        return cls(account, unit, np.full(root.size, np.inf), (none, none), verdicts, roots, order)

    def pairs(self) -> tuple[Ints, Ints]:
        """All pairs of roots of one real call."""
        order = self.roots[np.argsort(self.unit[self.roots], kind="stable")]
        left, right = [], []
        for step in range(1, len(np.unique(self.account)) + 1):
            same = self.unit[order[:-step]] == self.unit[order[step:]]
            left.append(order[:-step][same])
            right.append(order[step:][same])
        return np.concatenate(left), np.concatenate(right)


def join(state: Joined, left: Ints, right: Ints, score: Floats) -> Joined:
    """Decides every block that the likely pairs of roots make up."""
    ends = state.unit[left], state.unit[right]
    open_ = ends[0] != ends[1]
    left, right, score, ends = left[open_], right[open_], score[open_], (ends[0][open_], ends[1][open_])
    block = components(state.unit.size, *ends)[ends[0]]
    easy = _easy(state, ends, block, score)
    unit, margin = state.unit.copy(), state.margin.copy()
    _join_easy(unit, margin, (ends[0][easy], ends[1][easy]), block[easy], score[easy])
    rivals = [state.rivals]
    hard = ~easy
    for answer in _answers(state, block[hard], left[hard], right[hard], score[hard]):
        _write(answer, unit, margin)
        rivals.append(_rivals(answer))
    one, other = (np.concatenate(side) for side in zip(*rivals, strict=True))
    return replace(state, unit=unit, margin=margin, rivals=(one, other))


def _easy(state: Joined, ends: tuple[Ints, Ints], block: Ints, score: Floats) -> Bools:
    """Edges of blocks with nothing to choose: one call of each account, and every two of them clearly alike."""
    size = block.max(initial=0) + 1
    edges, least = np.bincount(block, minlength=size), _least(block, score, size)
    units = np.bincount(np.unique(np.stack([np.tile(block, 2), np.concatenate(ends)]), axis=1)[0], minlength=size)
    crowded = np.bincount(state.unit[state.roots], minlength=state.unit.size) > 1
    odd = crowded[ends[0]] | crowded[ends[1]]
    if state.verdicts.sets:
        odd |= np.isin(ends, list(state.verdicts.sets)).any(axis=0)
    with_odd = np.bincount(block, odd, size) > 0
    easy: Bools = ((2 * edges == units * (units - 1)) & (least >= MARGIN) & ~with_odd)[block]
    return easy


def _least(block: Ints, score: Floats, size: int) -> Floats:
    least = np.full(size, np.inf)
    np.minimum.at(least, block, score)
    return least


def _join_easy(unit: Ints, margin: Floats, ends: tuple[Ints, Ints], block: Ints, score: Floats) -> None:
    """All of a block into the real call of its lowest root; as sure as its weakest pair."""
    size = unit.size
    lowest = np.full(size, size)
    for side in ends:
        np.minimum.at(lowest, block, side)
    for side in ends:
        unit[side] = lowest[block]
    margin[lowest[block]] = _least(block, score, size)[block]


def _answers(state: Joined, block: Ints, left: Ints, right: Ints, score: Floats) -> Iterator[Answer]:
    order = np.argsort(block, kind="stable")
    rows = zip(*(column[order].tolist() for column in (block, left, right, score)), strict=True)
    members = _members(state, np.concatenate([left, right]))
    for _, edges in groupby(rows, key=itemgetter(0)):
        scores: Scores = {(min(a, b), max(a, b)): value for _, a, b, value in edges}
        units = sorted({int(state.unit[call]) for pair in scores for call in pair})
        made = [
            Unit(members[unit], {int(state.account[call]) for call in members[unit]}, float(state.margin[unit]))
            for unit in units
        ]
        yield assign(made, scores, state.order, state.verdicts.bars)


def _members(state: Joined, calls: Ints) -> dict[int, list[int]]:
    """The roots of each unit that the calls belong to."""
    wanted = np.isin(state.unit[state.roots], state.unit[calls])
    members: dict[int, list[int]] = {}
    for root in state.roots[wanted].tolist():
        members.setdefault(int(state.unit[root]), []).append(root)
    return members


def _write(answer: Answer, unit: Ints, margin: Floats) -> None:
    for made in answer.units:
        lowest = min(made.members)
        unit[made.members] = lowest
        margin[lowest] = made.margin


def _rivals(answer: Answer) -> tuple[Ints, Ints]:
    pairs = [(call, other) for call, others in sorted(answer.rivals.items()) for other in sorted(others)]
    one, other = np.array(pairs, np.int64).reshape(-1, 2).T
    return one, other
