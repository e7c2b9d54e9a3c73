"""A closed set of records: what decisions on them rest on, and the blocks outside which nothing has a say."""

from collections.abc import Iterable, Mapping

import numpy as np

from models.calibration.blocks import PAUSES, Keys, Rows, block_keys, ends_so_far, merged, near, own_lines, rows_of
from models.calibration.calibration import BAND, Calibration
from models.calibration.columns import Ints, Records
from models.calibration.halves import HALF, by_one_clock
from models.calibration.neighbours import components
from models.matching.judgements import Judgement, settle
from models.matching.leftovers import Stage
from models.matching.leftovers import pairs as leftover_pairs
from models.matching.legs import family
from models.matching.links import Sides

Known = Mapping[tuple[int, int], Calibration]
"""By two accounts, the lower first."""


class Closed:
    """Records with all that decisions on them rest on; what several stages look at is made once."""

    def __init__(
        self, records: Records, known: Known, lines: Ints | None = None, judgements: Iterable[Judgement] = ()
    ) -> None:
        """The records hold all that has a say about any of them. `lines` are our own numbers, by default those that the
        records name; `judgements` come in the order of their weight.
        """
        self.records, self.known = records, known
        self.lines = own_lines(records) if lines is None else lines
        self.said = settle(judgements, np.arange(len(records)))
        self.family = family(records, self.said.one_call(records["account"]))
        self.keys = Keys(block_keys(records, self.lines), self.family)
        account = records["account"]
        self.positions = {int(one): np.flatnonzero(account == one) for one in np.unique(account)}
        self._sides: dict[tuple[int, int], Sides] = {}

    @property
    def learnt(self) -> list[tuple[tuple[int, int], Calibration]]:
        """The pairs of accounts that hold the same calls and are here."""
        here = self.positions.keys()
        pairs = sorted(self.known.items())
        return [(pair, known) for pair, known in pairs if not known.is_prior and here >= set(pair)]

    def sides(self, pair: tuple[int, int]) -> Sides:
        if pair not in self._sides:
            known = self.known[pair]
            positions = self.positions[pair[0]], self.positions[pair[1]]
            self._sides[pair] = Sides.of(*by_one_clock(self.records, positions, self.keys, known.stamps, known.track))
        return self._sides[pair]


def blocks_of(held: Closed, was: Ints | None) -> Ints:
    """The number of each record's block: records that have a say in each other's decision, or were one call so far."""
    every = np.arange(len(held.records))
    together = np.array(sorted(held.said.sets.items()), np.int64).reshape(-1, 2).T
    links = [(every, held.family), (together[0], together[1]), *_chains(held), *_leftover(held)]
    if was is not None:
        links.append(_company(was))
    left, right = (np.concatenate(side) for side in zip(*links, strict=True))
    return components(every.size, left, right)


def _chains(held: Closed) -> Iterable[tuple[Ints, Ints]]:
    """Neighbours of a block within the longest pause: in each account, and in two by one clock."""
    paired = {one for pair, _ in held.learnt for one in pair}
    for one, chosen in held.positions.items():
        if one not in paired:
            yield _chained(rows_of(held.records, chosen, held.keys))
    for accounts, known in held.learnt:
        sides = held.sides(accounts)
        yield from (_chained(sides.a), _chained(sides.b), _chained(merged(sides.a, sides.b)))
        if any(stamp.half for stamp in known.stamps):
            yield from _half_a_day_apart(sides)


def _half_a_day_apart(sides: Sides) -> Iterable[tuple[Ints, Ints]]:
    """Calls that have a say in which half of the day the other account means, wherever that put it."""
    for halves in (-2, -1, 1, 2):
        i, j = near(sides.a, sides.b, halves * HALF - BAND, halves * HALF + BAND)
        yield sides.a.at[i], sides.b.at[j]


def _chained(rows: Rows) -> tuple[Ints, Ints]:
    if len(rows) < 2:
        return rows.at[:0], rows.at[:0]
    pause = rows.start[1:] - ends_so_far(rows)[:-1]
    near = np.flatnonzero((rows.block[1:] == rows.block[:-1]) & (pause <= PAUSES[-1]))
    return rows.at[near], rows.at[near + 1]


def _leftover(held: Closed) -> Iterable[tuple[Ints, Ints]]:
    for accounts, known in held.learnt:
        sides = held.sides(accounts)
        for stage in Stage:
            found = leftover_pairs(sides, known, held.lines, stage)
            yield sides.a.at[found.i], sides.b.at[found.j]


def _company(was: Ints) -> tuple[Ints, Ints]:
    order = np.argsort(was, kind="stable")
    same = (was[order][1:] == was[order][:-1]) & (was[order][1:] != 0)
    return order[1:][same], order[:-1][same]
