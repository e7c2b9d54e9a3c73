"""The lattices of pieces, laid out as arrays: their cells, the steps between them, and how probable each step is."""

from typing import NamedTuple

import numpy as np

from models.calibration.columns import Bools, Floats, Ints
from models.calibration.habits import Runs
from models.matching.lattice import (
    ALONE_A,
    ALONE_B,
    FROM_ANY,
    LINKED,
    NOT_AFTER_A,
    NOT_AFTER_B,
    Cells,
    Steps,
    probabilities,
)
from models.matching.links import Sides
from models.matching.moves import Moves, spread_out
from models.matching.pieces import FAINT, Pieces

FAR = 1e8
"""Seconds: the times of two pieces never lie so near each other in one key."""


class Lonely(NamedTuple):
    """Runs of one account that stand alone: first row, rows, nats or probability."""

    first: Ints
    size: Ints
    value: Floats


class Taken(NamedTuple):
    """Probabilities: of each move, and of each run of two rows and more that stands alone, of A and of B."""

    moves: Floats
    alone: tuple[Lonely, Lonely]


class Ground(NamedTuple):
    """The pieces that need a lattice, and all that may be a step in them."""

    sides: Sides
    pieces: Pieces
    numbers: Ints
    """Of the pieces."""
    rank: Ints
    """Of each piece, its place among these."""
    moves: Moves
    alone: tuple[Lonely, Lonely]

    @property
    def first(self) -> tuple[Ints, Ints]:
        return self.pieces.first[0][self.numbers], self.pieces.first[1][self.numbers]

    @property
    def size(self) -> tuple[Ints, Ints]:
        return self.pieces.size[0][self.numbers], self.pieces.size[1][self.numbers]


class Columns(NamedTuple):
    """The cells (i, low..high) of every piece: a column per piece and i."""

    piece: Ints
    i: Ints
    """Rows of A consumed, from the piece's first one."""
    low: Ints
    high: Ints
    start: Ints
    """The number of the column's first cell."""
    of_piece: Ints
    """The first column of each piece."""

    def cell(self, column: Ints, j: Ints) -> Ints:
        return self.start[column] + j - self.low[column]

    def holds(self, column: Ints, j: Ints) -> Bools:
        found: Bools = (j >= self.low[column]) & (j <= self.high[column])
        return found


class Grid(NamedTuple):
    columns: Columns
    cells: Cells
    column: Ints
    """Of each cell."""
    j: Ints
    """Rows of B consumed, from the piece's first one."""


def walked(sides: Sides, pieces: Pieces, hard: Bools, moves: Moves, gain: tuple[Floats, Floats]) -> Taken:
    """`hard`: the pieces that need a lattice; `gain`: nats of each row going on with the call before it."""
    alone = (
        _alone_runs(gain[0], pieces.of[0], hard, sides.runs_a),
        _alone_runs(gain[1], pieces.of[1], hard, sides.runs_b),
    )
    ground = Ground(sides, pieces, np.flatnonzero(hard), np.cumsum(hard) - 1, moves, alone)
    grid = _grid(ground)
    linked, kept = _linked(ground, grid.columns)
    lonely = [_lonely(ground, grid, side) for side in (0, 1)]
    parts = [linked, lonely[0][0], lonely[1][0]]
    found = probabilities(grid.cells, Steps(*(np.concatenate(column) for column in zip(*parts, strict=True))))
    of_links, of_a, of_b = np.split(found, np.cumsum([one.source.size for one in parts])[:-1])
    by_move = np.zeros(moves.i.size)
    by_move[kept] = of_links
    return Taken(by_move, (_several(lonely[0][1], of_a), _several(lonely[1][1], of_b)))


def _several(runs: Lonely, probability: Floats) -> Lonely:
    several = runs.size > 1
    return Lonely(runs.first[several], runs.size[several], probability[several])


def _alone_runs(gain: Floats, of: Ints, hard: Bools, own: Runs) -> Lonely:
    """The runs of two rows and more that may stand alone in the pieces."""
    so_far = np.cumsum(gain)
    found = [Lonely(np.empty(0, np.int64), np.empty(0, np.int64), np.empty(0))]
    for p in range(1, len(own.may)):
        first = np.flatnonzero(own.may[p] & own.short[p] & hard[of])
        first = first[of[first] == of[first + p]]
        weight = so_far[first + p] - so_far[first]
        likely = weight > FAINT
        found.append(Lonely(first[likely], np.full(int(likely.sum()), p + 1), weight[likely]))
    joined = Lonely(*(np.concatenate(column) for column in zip(*found, strict=True)))
    order = np.argsort(joined.first, kind="stable")
    return Lonely(joined.first[order], joined.size[order], joined.value[order])


# --------------------------------------------------------------------------------------------------------- the cells
def _grid(ground: Ground) -> Grid:
    columns = _columns(ground, _reach(ground))
    column, inner = spread_out(columns.high - columns.low + 1)
    j = inner + columns.low[column]
    size_a, size_b = ground.size
    first, last = columns.start[columns.of_piece], columns.cell(columns.of_piece + size_a, size_b)
    return Grid(columns, Cells(columns.i[column] + j, columns.piece[column], first, last), column, j)


def _reach(ground: Ground) -> Floats:
    """By piece, the seconds by which the two accounts' progress may differ."""
    a, b, moves = ground.sides.a.start, ground.sides.b.start, ground.moves
    gap, span = np.zeros(ground.numbers.size), np.zeros(ground.numbers.size)
    at = ground.rank[ground.pieces.of[0][moves.i]]
    last_a, last_b = a[moves.i + moves.p - 1], b[moves.j + moves.q - 1]
    np.maximum.at(gap, at, np.abs(b[moves.j] - a[moves.i]))
    np.maximum.at(gap, at, np.abs(last_b - last_a))
    np.maximum.at(span, at, last_a - a[moves.i])
    np.maximum.at(span, at, last_b - b[moves.j])
    for runs, start, of in zip(ground.alone, (a, b), ground.pieces.of, strict=True):
        np.maximum.at(span, ground.rank[of[runs.first]], start[runs.first + runs.size - 1] - start[runs.first])
    return 1.0 + gap + span


def _columns(ground: Ground, reach: Floats) -> Columns:
    a, b = ground.sides.a.start, ground.sides.b.start
    (first_a, first_b), (size_a, size_b) = ground.first, ground.size
    piece, i = spread_out(size_a + 1)
    origin = np.minimum(a[first_a], b[first_b])
    row = first_a[piece] + i
    before = np.where(i > 0, a[np.maximum(row - 1, 0)] - origin[piece], -FAR / 2)
    after = np.where(i < size_a[piece], a[np.minimum(row, a.size - 1)] - origin[piece], FAR / 4)
    owner, inner = spread_out(size_b)
    keys = owner * FAR + b[first_b[owner] + inner] - origin[owner]
    base = np.cumsum(size_b) - size_b
    low = np.searchsorted(keys, piece * FAR + np.maximum(before - reach[piece], -FAR / 2), "left") - base[piece]
    high = np.searchsorted(keys, piece * FAR + np.minimum(after + reach[piece], FAR / 3), "right") - base[piece]
    low, high = np.clip(low, 0, size_b[piece]), np.clip(high, 0, size_b[piece])
    size = high - low + 1
    return Columns(piece, i, low, high, np.cumsum(size) - size, np.cumsum(size_a + 1) - (size_a + 1))


# --------------------------------------------------------------------------------------------------------- the steps
def _linked(ground: Ground, columns: Columns) -> tuple[Steps, Ints]:
    """The steps of the moves, and which moves have one."""
    moves, first = ground.moves, ground.first
    piece = ground.rank[ground.pieces.of[0][moves.i]]
    column = columns.of_piece[piece] + moves.i - first[0][piece]
    j = moves.j - first[1][piece]
    kept = np.flatnonzero(columns.holds(column, j) & columns.holds(column + moves.p, j + moves.q))
    source = columns.cell(column[kept], j[kept])
    target = columns.cell(column[kept] + moves.p[kept], j[kept] + moves.q[kept])
    return Steps(source, target, np.full(kept.size, FROM_ANY), np.full(kept.size, LINKED), moves.weight[kept]), kept


def _lonely(ground: Ground, grid: Grid, side: int) -> tuple[Steps, Lonely]:
    """Steps of rows that stand alone, singly or in runs; with the run of each."""
    piece = grid.cells.piece
    progress = (grid.columns.i[grid.column], grid.j)
    row = ground.first[side][piece] + progress[side]
    cell, size, weight = _from_cells(ground, row, np.flatnonzero(progress[side] < ground.size[side][piece]), side)
    by_a, by_b = (size, np.zeros_like(size))[:: 1 if side == 0 else -1]
    column, j = grid.column[cell] + by_a, grid.j[cell] + by_b
    kept = grid.columns.holds(column, j)
    cell, size, weight = cell[kept], size[kept], weight[kept]
    target = grid.columns.cell(column[kept], j[kept])
    origin = _origin(ground, side, row[cell] + size - 1, (piece[cell], progress[1 - side][cell]))
    kind = np.full(cell.size, ALONE_A if side == 0 else ALONE_B)
    return Steps(cell, target, origin, kind, weight), Lonely(row[cell], size, weight)


def _from_cells(ground: Ground, row: Ints, single: Ints, side: int) -> tuple[Ints, Ints, Floats]:
    """Cell, rows and nats: each row of `single` cells by itself, and each run that begins with it."""
    runs = ground.alone[side]
    low, high = (np.searchsorted(runs.first, row[single], edge) for edge in ("left", "right"))
    which, inner = spread_out(high - low)
    run = low[which] + inner
    return (
        np.concatenate([single, single[which]]),
        np.concatenate([np.ones(single.size, np.int64), runs.size[run]]),
        np.concatenate([np.zeros(single.size), runs.value[run]]),
    )


def _origin(ground: Ground, side: int, last: Ints, other: tuple[Ints, Ints]) -> Ints:
    """Rows that stand alone come in the order of their (last) start; at the same moment A comes before B."""
    piece, before = other
    mine, others = (ground.sides.a.start, ground.sides.b.start)[:: 1 if side == 0 else -1]
    began = others[(ground.first[1 - side][piece] + before - 1).clip(min=0)]
    in_order = (before == 0) | ((began < mine[last]) if side == 0 else (began <= mine[last]))
    return np.where(in_order, FROM_ANY, NOT_AFTER_B if side == 0 else NOT_AFTER_A)
