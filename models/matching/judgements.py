"""What people said: these two are one call, those two are not. It wins over all evidence, also transitively."""

from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from models.calibration.columns import Ints


class Judgement(NamedTuple):
    """Positions of two records."""

    left: int
    right: int
    same: bool


@dataclass(frozen=True, slots=True)
class Judgements:
    """Sets of roots that are one call, and pairs of sets that are not; a root without judgement is in no set."""

    sets: dict[int, int] = field(default_factory=dict)
    """The lowest root of the set of each root named."""
    barred: set[tuple[int, int]] = field(default_factory=set)

    def set_of(self, root: int) -> int:
        return self.sets.get(root, root)

    def bars(self, one: int, other: int) -> bool:
        if not self.barred:
            return False
        pair = self.set_of(one), self.set_of(other)
        return pair in self.barred or pair[::-1] in self.barred

    def one_call(self, accounts: Ints) -> tuple[Ints, Ints]:
        """Pairs of roots of one account that are one call, so that one must be a leg of the other."""
        first: dict[tuple[int, int], int] = {}
        pairs = [
            (first[key], root)
            for root in sorted(self.sets)
            if first.setdefault(key := (self.sets[root], int(accounts[root])), root) != root
        ]
        left, right = np.array(pairs, np.int64).reshape(-1, 2).T
        return left, right


NO_VERDICTS = Judgements()


def settle(judgements: Iterable[Judgement], root: Ints) -> Judgements:
    """Judgements in the order of their weight, the newest first: one that contradicts a weightier one is void."""
    settled = Judgements()
    for judgement in judgements:
        one, other = (int(root[side]) for side in judgement[:2])
        ends = settled.set_of(one), settled.set_of(other)
        if judgement.same and not settled.bars(one, other):
            settled = _united(settled, one, other)
        elif not judgement.same and ends[0] != ends[1]:
            named = {end: settled.set_of(end) for end in (one, other)}
            settled = Judgements(settled.sets | named, settled.barred | {(min(ends), max(ends))})
    return settled


def _united(settled: Judgements, one: int, other: int) -> Judgements:
    ends = {settled.set_of(one), settled.set_of(other)}
    new = min(ends)
    named = settled.sets | {end: settled.set_of(end) for end in (one, other)}
    sets = {root: new if old in ends else old for root, old in named.items()}
    moved = {tuple(sorted(new if end in ends else end for end in pair)) for pair in settled.barred}
    return Judgements(sets, {(pair[0], pair[1]) for pair in moved})
