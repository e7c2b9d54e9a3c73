"""Moves through a piece: a link, or two links at once where they cross in time."""

from typing import NamedTuple

import numpy as np

from models.calibration.columns import Chosen, Floats, Ints
from models.matching.links import Links

FIRM = -2.0
"""Nats: links that may cross another one."""
NEITHER, OF_A, OF_B = range(3)


class Moves(NamedTuple):
    """From (i, j), by p rows of A and q of B."""

    i: Ints
    j: Ints
    p: Ints
    q: Ints
    weight: Floats
    one: Ints
    other: Ints
    """The links taken, -1 for none."""
    aside: Ints
    """Whose row, of the second link, stands inside the run of the first one."""

    def only(self, chosen: Chosen) -> "Moves":
        return Moves(*(part[chosen] for part in self))  # type: ignore[arg-type]  # every part is a column


def moves(links: Links, score: Floats, number: Ints) -> Moves:
    """One move per link, and the composite ones. `number` names the links."""
    neither = np.full(number.size, NEITHER)
    plain = Moves(links.i, links.j, links.p, links.q, score, number, np.full(number.size, -1), neither)
    firm = plain.only(score > FIRM)
    parts = [plain, _crossed(firm), _inside(firm, OF_A), _inside(firm, OF_B)]
    return Moves(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def _crossed(links: Moves) -> Moves:
    """Neighbours that began in another order: the next of A with the one before of B."""
    span = int(links.j.max(initial=0)) + 64
    e, f = equal((links.i + links.p) * span + links.j, links.i * span + links.j + links.q)
    kept = links.j[f] < links.j[e]
    e, f = e[kept], f[kept]
    return Moves(
        i=links.i[e],
        j=links.j[f],
        p=links.p[e] + links.p[f],
        q=links.q[e] + links.q[f],
        weight=links.weight[e] + links.weight[f],
        one=links.one[e],
        other=links.one[f],
        aside=np.full(e.size, NEITHER),
    )


def _inside(links: Moves, whose: int) -> Moves:
    """A row within the other call's run of account `whose`, with the next row of the other account as its partner."""
    i, j, p, q = links[:4] if whose == OF_A else (links.j, links.i, links.q, links.p)
    runs, single = np.flatnonzero((p >= 3) & (q == 1)), np.flatnonzero((p == 1) & (q == 1))
    e, f = equal(j[runs] + 1, j[single])
    e, f = runs[e], single[f]
    kept = (i[f] > i[e]) & (i[f] < i[e] + p[e] - 1)
    e, f = e[kept], f[kept]
    two = np.full(e.size, 2)
    return Moves(
        i=links.i[e],
        j=links.j[e],
        p=links.p[e] if whose == OF_A else two,
        q=two if whose == OF_A else links.q[e],
        weight=links.weight[e] + links.weight[f],
        one=links.one[e],
        other=links.one[f],
        aside=np.full(e.size, whose),
    )


def equal(wanted: Ints, offered: Ints) -> tuple[Ints, Ints]:
    """All positions of equal values."""
    order = np.argsort(offered, kind="stable")
    first, last = (np.searchsorted(offered[order], wanted, side) for side in ("left", "right"))
    which, inner = spread_out(last - first)
    return which, order[first[which] + inner]


def spread_out(count: Ints) -> tuple[Ints, Ints]:
    """Each position as often as `count` says, with a number from nought for each of its times."""
    which = np.repeat(np.arange(count.size), count)
    return which, np.arange(which.size) - (np.cumsum(count) - count)[which]
