"""Forward and backward over many lattices at once: the probability of every step, in logarithms.

A lattice is a piece of a block: its cells (i, j) are "i rows of A and j of B are consumed", a step consumes some of
either. All pieces advance together by i + j, so the work is a few array operations per diagonal, whatever their number.

Rows that stand alone are taken in the order of their start, so that no segmentation is counted twice: each cell knows
by which kind of step it was reached (`LINKED`, `ALONE_A`, `ALONE_B`), and each step from which of these it may go on.
"""

from collections.abc import Iterator
from typing import NamedTuple

import numpy as np

from models.calibration.columns import Floats, Ints

NEVER = -1e30
LINKED, ALONE_A, ALONE_B = range(3)
"""How a cell was reached."""
FROM_ANY, NOT_AFTER_B, NOT_AFTER_A = range(3)
"""From which a step may go on."""
_EXCLUDED = {FROM_ANY: (), NOT_AFTER_B: (ALONE_B,), NOT_AFTER_A: (ALONE_A,)}


class Steps(NamedTuple):
    """`source` and `target` are cells; `origin` and `kind` one of the words above; `weight` in nats."""

    source: Ints
    target: Ints
    origin: Ints
    kind: Ints
    weight: Floats


class Cells(NamedTuple):
    """`depth` is i + j; `first` and `last` name each piece's corners; `piece` the piece of each cell."""

    depth: Ints
    piece: Ints
    first: Ints
    last: Ints


def probabilities(cells: Cells, steps: Steps) -> Floats:
    """Of each step, the probability that the piece's segmentation takes it."""
    size = cells.depth.size
    ahead = _forward(cells, steps)
    behind = _backward(cells, steps)
    total = _any_of(ahead, slice(None), range(3))[cells.last]
    value = (
        _origins(ahead)[steps.origin * size + steps.source]
        + steps.weight
        + behind[steps.kind * size + steps.target]
        - total[cells.piece[steps.source]]
    )
    found: Floats = np.exp(np.minimum(value, 0.0))
    return found


def _forward(cells: Cells, steps: Steps) -> Floats:
    """By (how reached, cell): nats of all ways from the piece's first corner."""
    size = cells.depth.size
    ahead = np.full(3 * size, NEVER)
    ahead[LINKED * size + cells.first] = 0.0
    left = _origins(ahead)
    goal = steps.kind * size + steps.target
    rounds = _Rounds.by(cells.depth[steps.target], goal)
    by_depth = _by_depth(cells.depth)
    origin = (steps.origin * size + steps.source)[rounds.order]
    weight, goal = steps.weight[rounds.order], goal[rounds.order]
    for depth, low, high, starts in rounds.each():
        ahead[goal[low + starts]] = _summed(left[origin[low:high]] + weight[low:high], starts)
        now = by_depth[depth]
        _settle(left, ahead, now, size)
    return ahead


def _backward(cells: Cells, steps: Steps) -> Floats:
    """By (how reached, cell): nats of all ways to the piece's last corner."""
    size = cells.depth.size
    behind, onward = np.full(3 * size, NEVER), np.full(3 * size, NEVER)
    for kind in range(3):
        behind[kind * size + cells.last] = 0.0
    origin = steps.origin * size + steps.source
    rounds = _Rounds.by(cells.depth[steps.source], origin)
    by_depth = _by_depth(cells.depth)
    goal = (steps.kind * size + steps.target)[rounds.order]
    weight, origin = steps.weight[rounds.order], origin[rounds.order]
    ends = np.zeros(size, bool)
    ends[cells.last] = True
    for depth, low, high, starts in reversed(list(rounds.each())):
        onward[origin[low + starts]] = _summed(behind[goal[low:high]] + weight[low:high], starts)
        now = by_depth[depth]
        now = now[~ends[now]]
        for kind in range(3):
            allowed = [word for word, excluded in _EXCLUDED.items() if kind not in excluded]
            behind[kind * size + now] = _any_of(onward, now, allowed)
    return behind


class _Rounds(NamedTuple):
    """Steps sorted by (depth, group): of each depth where it begins and ends, and where its groups begin."""

    order: Ints
    depths: Ints
    bounds: Ints
    groups: Ints
    """Positions of the first step of every group."""

    @classmethod
    def by(cls, depth: Ints, group: Ints) -> "_Rounds":
        order = np.lexsort((group, depth))
        depth, group = depth[order], group[order]
        fresh = np.ones(order.size, bool)
        fresh[1:] = (depth[1:] != depth[:-1]) | (group[1:] != group[:-1])
        depths, first = np.unique(depth, return_index=True)
        return cls(order, depths, np.append(first, order.size), np.flatnonzero(fresh))

    def each(self) -> Iterator[tuple[int, int, int, Ints]]:
        """Depth, where its steps begin and end, and where its groups begin, counted from there."""
        cuts = np.searchsorted(self.groups, self.bounds)
        for k, depth in enumerate(self.depths.tolist()):
            low, high = int(self.bounds[k]), int(self.bounds[k + 1])
            yield depth, low, high, self.groups[cuts[k] : cuts[k + 1]] - low


def _by_depth(depth: Ints) -> list[Ints]:
    order = np.argsort(depth, kind="stable")
    return np.split(order, np.cumsum(np.bincount(depth))[:-1])


def _summed(values: Floats, starts: Ints) -> Floats:
    """Log of the sum of exponentials of each group."""
    top = np.maximum.reduceat(values, starts)
    sizes = np.diff(np.append(starts, values.size))
    return top + np.log(np.add.reduceat(np.exp(values - np.repeat(top, sizes)), starts))


def _origins(ahead: Floats) -> Floats:
    """By (origin, cell): nats of all ways by which a step with that origin may go on."""
    size = ahead.size // 3
    left = np.full(3 * size, NEVER)
    _settle(left, ahead, np.flatnonzero(ahead.reshape(3, size).max(axis=0) > NEVER), size)
    return left


def _settle(left: Floats, ahead: Floats, cells: Ints, size: int) -> None:
    linked, alone_a, alone_b = (ahead[kind * size + cells] for kind in range(3))
    left[NOT_AFTER_B * size + cells] = without_b = np.logaddexp(linked, alone_a)
    left[NOT_AFTER_A * size + cells] = np.logaddexp(linked, alone_b)
    left[FROM_ANY * size + cells] = np.logaddexp(without_b, alone_b)


def _any_of(values: Floats, cells: Ints | slice, kinds: "range | list[int]") -> Floats:
    parts = values.reshape(3, -1)[list(kinds)][:, cells]
    found: Floats = np.logaddexp.reduce(parts, axis=0)
    return found
