"""Pairs of records that share a key and lie near in time, found by sorting; the work grows with the records."""

import numpy as np
from scipy.sparse import coo_array  # type: ignore[import-untyped]
from scipy.sparse.csgraph import connected_components  # type: ignore[import-untyped]

from models.calibration.columns import Ints

MOST_NEIGHBOURS = 64
"""Of one record on one side: a number that is called without pause must not make the work grow with its square."""
_MILLISECOND = 1_000
_SPAN = 1 << 40
"""Milliseconds, 34 years: more than the records of one piece ever span."""


def near(keys: tuple[Ints, Ints], times: tuple[Ints, Ints], reach: int) -> tuple[Ints, Ints]:
    """Indices (left, right) of all pairs with equal keys, not 0, and times within `reach` microseconds."""
    left, right = (np.flatnonzero(side) for side in keys)
    if not left.size or not right.size:
        return left[:0], right[:0]
    ranks = np.unique(np.concatenate([keys[0][left], keys[1][right]]), return_inverse=True)[1].astype(np.int64)
    origin = min(times[0][left].min(), times[1][right].min()) - reach
    places = [
        rank * _SPAN + (time[chosen] - origin) // _MILLISECOND
        for rank, time, chosen in ((ranks[: left.size], times[0], left), (ranks[left.size :], times[1], right))
    ]
    order = np.argsort(places[1], kind="stable")
    first, last = _ranges(places[0], places[1][order], reach // _MILLISECOND)
    counts = last - first
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    return np.repeat(left, counts), right[order][np.repeat(first, counts) + offsets]


def _ranges(wanted: Ints, places: Ints, reach: int) -> tuple[Ints, Ints]:
    """Where the neighbours of each wanted place begin and end, no more than `MOST_NEIGHBOURS` around the middle."""
    first = np.searchsorted(places, wanted - reach, "left")
    last = np.searchsorted(places, wanted + reach, "right")
    middle = np.searchsorted(places, wanted, "left")
    half = MOST_NEIGHBOURS // 2
    return np.maximum(first, middle - half), np.minimum(last, middle + half)


def components(size: int, left: Ints, right: Ints) -> Ints:
    """The number of the connected component of each of `size` nodes, components counted by their first node."""
    graph = coo_array((np.ones(left.size, bool), (left, right)), shape=(size, size))
    labels: Ints = connected_components(graph, directed=False)[1].astype(np.int64)
    return labels
