"""Pieces of blocks that no link and no junction holds together: each is segmented by itself."""

from typing import NamedTuple

import numpy as np

from models.calibration.blocks import Rows
from models.calibration.columns import Floats, Ints
from models.calibration.habits import is_short
from models.matching.links import Links, Sides

FAINT = -9.0
"""Nats: what speaks more than this against itself is left out."""


class Pieces(NamedTuple):
    """Numbers of pieces in their order; A on the left."""

    of: tuple[Ints, Ints]
    """The piece of each row."""
    first: tuple[Ints, Ints]
    """Each piece's first row."""
    size: tuple[Ints, Ints]
    """Each piece's number of rows."""


def cut(sides: Sides, likely: Links, gain: tuple[Floats, Floats]) -> Pieces:
    """`gain`: nats of each row going on with the call before it."""
    place_a, place_b = _interleaved(sides.a, sides.b)
    held = np.zeros(place_a.size + place_b.size + 1, np.int64)
    for low, high in [
        _linked(likely, place_a, place_b),
        _joined(sides.a, gain[0], place_a),
        _joined(sides.b, gain[1], place_b),
    ]:
        np.add.at(held, low + 1, 1)
        np.add.at(held, high + 1, -1)
    number = np.cumsum(np.cumsum(held)[:-1] == 0) - 1
    count = int(number[-1]) + 1 if number.size else 0
    of_a, of_b = number[place_a], number[place_b]
    every = np.arange(count)
    return Pieces(
        of=(of_a, of_b),
        first=(np.searchsorted(of_a, every), np.searchsorted(of_b, every)),
        size=(np.bincount(of_a, minlength=count), np.bincount(of_b, minlength=count)),
    )


def _interleaved(a: Rows, b: Rows) -> tuple[Ints, Ints]:
    """The places of the rows of both accounts in the order of (block, start)."""
    order = np.lexsort((np.concatenate([a.start, b.start]), np.concatenate([a.block, b.block])))
    place = np.empty(order.size, np.int64)
    place[order] = np.arange(order.size)
    return place[: len(a)], place[len(a) :]


def _linked(likely: Links, place_a: Ints, place_b: Ints) -> tuple[Ints, Ints]:
    """The first and the last place of each link."""
    low = np.minimum(place_a[likely.i], place_b[likely.j])
    return low, np.maximum(place_a[likely.i + likely.p - 1], place_b[likely.j + likely.q - 1])


def _joined(rows: Rows, gain: Floats, place: Ints) -> tuple[Ints, Ints]:
    later = np.flatnonzero(is_short(rows) & (gain > FAINT))
    return place[later - 1], place[later]
